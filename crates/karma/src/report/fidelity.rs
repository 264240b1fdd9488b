//! How far the twin can be trusted, from `model/fidelity.json`.

use serde::Serialize;
use serde_json::Value;

use super::format::{digits_between, float, number, text, words};

#[derive(Debug, Serialize)]
pub(super) struct FidelityView {
    words: String,
    horizons: Vec<Horizon>,
    accuracy: Option<Accuracy>,
}

/// Errors at one distance ahead.
#[derive(Debug, Serialize)]
struct Horizon {
    title: &'static str,
    metrics: Vec<MetricBars>,
}

#[derive(Debug, Serialize)]
struct MetricBars {
    name: String,
    space: String,
    beats: bool,
    coverage: String,
    bars: Vec<Bar>,
}

#[derive(Debug, Serialize)]
struct Bar {
    key: &'static str,
    name: &'static str,
    error: String,
    /// Of the longest bar.
    share: f64,
}

#[derive(Debug, Serialize)]
struct Accuracy {
    mean: String,
    worst: String,
    policies: Vec<Policy>,
}

#[derive(Debug, Serialize)]
struct Policy {
    name: String,
    cluster: String,
    twin: String,
    accuracy: String,
    width_pct: f64,
}

const MODELS: [(&str, &str); 4] = [
    ("twin", "twin"),
    ("persistence", "persistence"),
    ("linear", "linear"),
    ("queueing", "queueing"),
];

pub(super) fn view(fidelity: &Value) -> FidelityView {
    let metrics: Vec<&Value> = list(fidelity, "metrics");
    let horizon = |title, key| Horizon {
        title,
        metrics: metrics
            .iter()
            .filter_map(|metric| bars(metric, key))
            .collect(),
    };
    let horizons: Vec<Horizon> = vec![
        horizon("20 windows ahead", "twenty_step"),
        horizon("1 window ahead", "one_step"),
    ];
    let horizons: Vec<Horizon> = horizons
        .into_iter()
        .filter(|h| !h.metrics.is_empty())
        .collect();
    FidelityView {
        words: summary_words(fidelity, &horizons),
        horizons,
        accuracy: fidelity.get("accuracy").and_then(accuracy),
    }
}

fn summary_words(fidelity: &Value, horizons: &[Horizon]) -> String {
    let mut words = Vec::new();
    if let Some(horizon) = horizons.first() {
        let beaten = horizon.metrics.iter().filter(|m| m.beats).count();
        words.push(format!(
            "{}, the twin is closer than persistence on {beaten} of {} metrics.",
            horizon.title,
            horizon.metrics.len()
        ));
    }
    let runs = float(fidelity, "training_runs").zip(float(fidelity, "validation_runs"));
    if let Some((training, validation)) = runs {
        words.push(format!(
            "Fitted to {} runs, measured on {} runs it never saw.",
            number(training, 0),
            number(validation, 0)
        ));
    }
    words.join(" ")
}

fn bars(metric: &Value, horizon: &str) -> Option<MetricBars> {
    let errors = metric.get(horizon)?;
    let of = |key| float(errors, key);
    let largest = MODELS
        .iter()
        .filter_map(|(key, _)| of(key))
        .fold(f64::MIN_POSITIVE, f64::max);
    Some(MetricBars {
        name: words(text(metric, &["metric", "name"])?),
        space: text(metric, &["space"]).unwrap_or_default().to_owned(),
        beats: of("twin")
            .zip(of("persistence"))
            .is_some_and(|(twin, p)| twin < p),
        coverage: float(metric, "coverage_90")
            .filter(|_| horizon == "one_step")
            .map(|share| format!("{} % inside the 90 % interval", number(100.0 * share, 0)))
            .unwrap_or_default(),
        bars: MODELS
            .iter()
            .filter_map(|(key, name)| {
                let error = of(key)?;
                Some(Bar {
                    key,
                    name,
                    error: number(error, if error.abs() < 10.0 { 3 } else { 1 }),
                    share: (1000.0 * error / largest).round() / 1000.0,
                })
            })
            .collect(),
    })
}

fn accuracy(accuracy: &Value) -> Option<Accuracy> {
    let percent = |value: f64| format!("{} %", number(100.0 * value, 1));
    let policies = list(accuracy, "policies");
    let returns = ["cluster", "twin"].into_iter();
    let returns = returns.flat_map(|key| policies.iter().filter_map(move |p| float(p, key)));
    let decimals = digits_between(returns);
    let policy = |policy: &&Value| {
        let share = float(policy, "accuracy")?;
        Some(Policy {
            name: text(policy, &["name"])?.to_owned(),
            cluster: number(float(policy, "cluster")?, decimals),
            twin: number(float(policy, "twin")?, decimals),
            accuracy: percent(share),
            width_pct: (1000.0 * share.clamp(0.0, 1.0)).round() / 10.0,
        })
    };
    Some(Accuracy {
        mean: percent(float(accuracy, "mean")?),
        worst: percent(float(accuracy, "worst")?),
        policies: policies.iter().filter_map(policy).collect(),
    })
}

/// The array at `key`; empty where there is none.
pub(super) fn list<'a>(value: &'a Value, key: &str) -> Vec<&'a Value> {
    let array = value.get(key).and_then(Value::as_array);
    array
        .map(|array| array.iter().collect())
        .unwrap_or_default()
}
