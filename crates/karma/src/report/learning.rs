//! Learning curves from `train/metrics.jsonl`, and how the team stood against attackers that learned.

use serde_json::{Value, json};

use super::format::{float, number};

/// Charts: title, what it says, series (key in the file, name).
type Chart = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const CHARTS: [Chart; 6] = [
    (
        "Reward per window",
        "What the team is trained on: resilience minus the price of pods.",
        &[("reward", "training"), ("validation", "validation")],
    ),
    (
        "Success of a window",
        "Share of requests answered well in the twin.",
        &[("success", "success"), ("resilience", "resilience")],
    ),
    (
        "Pods in use",
        "Share of the replica bounds.",
        &[("pods", "pods")],
    ),
    (
        "Guides",
        "Bonuses minus penalties of the organization per window.",
        &[("guide_reward", "guide reward")],
    ),
    (
        "Entropy",
        "How undecided the agents still are.",
        &[("entropy", "entropy")],
    ),
    (
        "Update",
        "Distance between policies, clipped ratios, variance the critic explains.",
        &[
            ("approx_kl", "KL"),
            ("clip_fraction", "clipped"),
            ("explained_variance", "explained"),
        ],
    ),
];

/// The charts that the file has numbers for.
pub(super) fn charts(metrics: &[Value]) -> Vec<Value> {
    let x: Vec<f64> = metrics
        .iter()
        .enumerate()
        .map(|(index, row)| float(row, "iteration").unwrap_or(index as f64))
        .collect();
    CHARTS
        .iter()
        .filter_map(|(title, note, series)| {
            let series: Vec<Value> = series
                .iter()
                .filter_map(|(key, name)| {
                    let values: Vec<Option<f64>> =
                        metrics.iter().map(|row| float(row, key)).collect();
                    let is_known = values.iter().any(Option::is_some);
                    is_known.then(|| json!({ "name": name, "values": values }))
                })
                .collect();
            (!series.is_empty())
                .then(|| json!({ "title": title, "note": note, "x": x, "series": series }))
        })
        .collect()
}

/// How the team stood as each attacker joined, and in the end, from `train/exploitability.json`.
pub(super) fn attackers(told: &Value) -> Option<Value> {
    const SERIES: [(&str, &str); 3] = [
        ("nobody", "nobody"),
        ("random", "random"),
        ("best_response", "trained"),
    ];
    let mut met: Vec<&Value> = told["joined"].as_array()?.iter().collect();
    met.push(&told["after"]);
    let of = |key| -> Vec<Option<f64>> { met.iter().map(|met| float(met, key)).collect() };
    let series = SERIES.map(|(key, name)| json!({ "name": name, "values": of(key) }));
    Some(json!({
        "title": "Reward against attackers that learn",
        "note": "Per window of a calm cluster, before each attacker joined and in the end: against nobody, \
                 somebody random, and one trained from scratch against the team as it was.",
        "x": of("iteration"),
        "series": series,
    }))
}

/// What training came to.
pub(super) fn words(metrics: &[Value]) -> String {
    let (Some(first), Some(last)) = (metrics.first(), metrics.last()) else {
        return String::new();
    };
    let mut parts = vec![format!("{} iterations", metrics.len())];
    if let Some(steps) = float(last, "env_steps") {
        parts.push(format!("{} windows played in the twin", number(steps, 0)));
    }
    if let Some((from, to)) = float(first, "reward").zip(float(last, "reward")) {
        parts.push(format!(
            "reward per window from {} to {}",
            number(from, 3),
            number(to, 3)
        ));
    }
    if metrics
        .iter()
        .all(|row| float(row, "mask_violation_rate") == Some(0.0))
    {
        parts.push("no choice against a mask".to_owned());
    }
    format!("{}.", parts.join(", "))
}
