//! Who decided when and why, from `transfer/decisions.jsonl`.

use serde::Serialize;
use serde_json::{Value, json};

use super::format::{clock, float, text, words};

/// Rows of the log shown at most; the file has all.
const LOG_ROWS: usize = 200;

#[derive(Debug, Serialize)]
pub(super) struct DecisionsView {
    words: String,
    strips: Vec<Strip>,
}

/// One run of the controller.
#[derive(Debug, Serialize)]
struct Strip {
    title: String,
    end: String,
    segments: Vec<Segment>,
    log: Vec<Segment>,
    omitted: usize,
}

/// Windows in a row with the same state and reason.
#[derive(Clone, Debug, Serialize)]
struct Segment {
    state: String,
    /// State as a class name.
    key: String,
    reason: String,
    from: String,
    to: String,
    left_pct: f64,
    width_pct: f64,
    desired: String,
}

/// What the reasons mean; their names are the keys of the file.
const REASONS: [(&str, &str); 16] = [
    ("starting", "it has just started"),
    ("policy_missing", "no policy is loaded"),
    ("policy_dead", "the policy is gone"),
    ("policy_timeout", "the policy did not answer in time"),
    (
        "policy_not_finite",
        "the policy gave a number that is not finite",
    ),
    (
        "policy_malformed",
        "the policy's answer does not fit the services",
    ),
    ("api_error", "the API server failed"),
    ("observation_gap", "nothing was observed for too long"),
    ("metrics_missing", "metrics are missing"),
    ("metrics_stale", "metrics are too old"),
    ("drift", "the cluster no longer behaves as the twin"),
    (
        "slo_breach",
        "users waited too long while the policy asked for less",
    ),
    (
        "probation",
        "the policy decides in shadow until it has been healthy for long enough",
    ),
    ("healthy", "nothing speaks against the policy"),
    ("observe", "nothing is written in Observe"),
    ("paused", "paused"),
];

/// `services` are the names in order.
pub(super) fn view(decisions: &[Value], services: &[String]) -> Option<DecisionsView> {
    if decisions.is_empty() {
        return None;
    }
    let of = |source: &str| {
        let is_of = |d: &&Value| text(d, &["source"]) == Some(source);
        decisions.iter().filter(is_of).count()
    };
    Some(DecisionsView {
        words: format!(
            "{} decisions in {} demonstrations, each with a fault on purpose: the policy decided {}, the \
             HPA fallback {}, and {} windows held everything. While a fault lasts, nothing falls.",
            decisions.len(),
            episodes(decisions).len(),
            of("policy"),
            of("fallback"),
            of("hold"),
        ),
        strips: episodes(decisions)
            .into_iter()
            .map(|decisions| strip(decisions, services))
            .collect(),
    })
}

/// Desired replicas of every demonstration, with the spans in which the policy did not decide.
pub(super) fn charts(decisions: &[Value], services: &[String]) -> Vec<Value> {
    let desired =
        |decision: &Value, service: usize| decision.get("desired")?.get(service)?.as_f64();
    let chart = |decisions: &[Value]| {
        let count = decisions[0]
            .get("desired")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        let series: Vec<Value> = (0..count)
            .map(|service| {
                let values = decisions.iter().chain(decisions.last());
                let values: Vec<_> = values.map(|d| desired(d, service)).collect();
                json!({ "name": service_name(services, service), "values": values })
            })
            .collect();
        json!({
            // The last window lasts as long as the others.
            "x": (0..=decisions.len()).map(|w| seconds(decisions, w)).collect::<Vec<_>>(),
            "series": series,
            "spans": fallback_spans(decisions),
        })
    };
    episodes(decisions).into_iter().map(chart).collect()
}

fn fallback_spans(decisions: &[Value]) -> Vec<Value> {
    let mut first = 0;
    let mut spans = Vec::new();
    for run in decisions.chunk_by(|a, b| state(a) == state(b)) {
        if state(&run[0]) == "fallback" {
            spans.push(json!({
                "from_s": seconds(decisions, first),
                "to_s": seconds(decisions, first + run.len()),
            }));
        }
        first += run.len();
    }
    spans
}

fn service_name(services: &[String], index: usize) -> String {
    services
        .get(index)
        .cloned()
        .unwrap_or_else(|| format!("service {index}"))
}

/// Splits where the windows start again or the demonstration changes.
fn episodes(decisions: &[Value]) -> Vec<&[Value]> {
    let window = |d: &Value| float(d, "window");
    decisions
        .chunk_by(|a, b| name(a) == name(b) && window(a) < window(b))
        .collect()
}

fn name(decision: &Value) -> Option<&str> {
    text(decision, &["demonstration"])
}

fn state(decision: &Value) -> &str {
    text(decision, &["state"]).unwrap_or("unknown")
}

fn strip(decisions: &[Value], services: &[String]) -> Strip {
    let runs = decisions
        .chunk_by(|a, b| state(a) == state(b) && reason(a, services) == reason(b, services));
    let mut first = 0;
    let mut log = Vec::new();
    for run in runs {
        log.push(segment(run, first, decisions, services));
        first += run.len();
    }
    let mut segments: Vec<Segment> = Vec::new();
    for segment in &log {
        match segments.last_mut() {
            Some(last) if last.key == segment.key => {
                last.width_pct += segment.width_pct;
                last.to.clone_from(&segment.to);
            }
            _ => segments.push(segment.clone()),
        }
    }
    let omitted = log.len().saturating_sub(LOG_ROWS);
    log.truncate(LOG_ROWS);
    Strip {
        title: decisions
            .first()
            .and_then(name)
            .map(words)
            .map(capitalized)
            .unwrap_or_default(),
        end: clock(seconds(decisions, decisions.len())),
        segments,
        log,
        omitted,
    }
}

fn segment(run: &[Value], first: usize, all: &[Value], services: &[String]) -> Segment {
    let share = |count: usize| 100.0 * count as f64 / all.len() as f64;
    let key = state(&run[0]).to_owned();
    Segment {
        state: capitalized(key.clone()),
        key,
        reason: reason(&run[0], services),
        from: clock(seconds(all, first)),
        to: clock(seconds(all, first + run.len())),
        left_pct: share(first),
        width_pct: share(run.len()),
        desired: desired(run),
    }
}

/// The reason in words, with the services that it concerns and what it goes back to.
fn reason(decision: &Value, services: &[String]) -> String {
    let meaning = |key: &str| {
        let known = REASONS.iter().find(|(name, _)| *name == key);
        known.map_or_else(|| words(key), |(_, meaning)| (*meaning).to_owned())
    };
    let key = text(decision, &["reason"]).unwrap_or("no reason recorded");
    let mut sentence = meaning(key);
    let faults = decision.get("faults").and_then(Value::as_array);
    let concerned: Vec<String> = faults
        .into_iter()
        .flatten()
        .filter(|fault| text(fault, &["reason"]) == Some(key))
        .filter_map(|fault| fault.get("service")?.as_u64())
        .map(|service| service_name(services, service as usize))
        .collect();
    if !concerned.is_empty() {
        sentence = format!("{sentence} ({})", concerned.join(", "));
    }
    match text(decision, &["cause"]).filter(|cause| *cause != key) {
        Some(cause) => format!("{sentence}; before: {}", meaning(cause)),
        None => sentence,
    }
}

/// Desired replicas over a run of windows, as `3-3-2-1 → 5-4-2-1`.
fn desired(run: &[Value]) -> String {
    let of = |decision: &Value| -> Option<String> {
        let replicas = decision.get("desired")?.as_array()?;
        let replicas: Vec<String> = replicas.iter().map(ToString::to_string).collect();
        Some(replicas.join("-"))
    };
    match (run.first().and_then(of), run.last().and_then(of)) {
        (Some(first), Some(last)) if first == last => first,
        (Some(first), Some(last)) => format!("{first} → {last}"),
        _ => String::new(),
    }
}

/// When window `index` starts; the end of the last where there is no such window.
fn seconds(decisions: &[Value], index: usize) -> f64 {
    let at = |index: usize| decisions.get(index).and_then(|d| float(d, "time_s"));
    let after_the_last = || {
        let last = decisions.len().checked_sub(1)?;
        let (end, before) = (at(last)?, at(last.checked_sub(1)?)?);
        Some(end + (end - before))
    };
    at(index).or_else(after_the_last).unwrap_or_default()
}

fn capitalized(text: String) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(demonstration: &str, window: u32, state: &str, reason: &str) -> Value {
        json!({
            "demonstration": demonstration, "window": window, "time_s": 15 * window, "state": state,
            "source": "policy", "reason": reason, "desired": [window, 2],
            "faults": [{ "reason": reason, "service": 1 }],
        })
    }

    #[test]
    fn windows_of_one_state_and_reason_are_told_once() {
        let rows = [
            row("killed", 0, "active", "healthy"),
            row("killed", 1, "fallback", "metrics_stale"),
            row("killed", 2, "fallback", "metrics_stale"),
            row("outage", 0, "active", "healthy"),
        ];
        let services = ["a".to_owned(), "b".to_owned()];
        let view = view(&rows, &services);
        let strips: Vec<Strip> = view.map(|view| view.strips).unwrap_or_default();
        assert_eq!(strips.len(), 2);
        let log = &strips[0].log;
        assert_eq!(log.len(), 2);
        assert_eq!(log[1].reason, "metrics are too old (b)");
        assert_eq!((log[1].from.as_str(), log[1].to.as_str()), ("0:15", "0:45"));
        assert_eq!(log[1].desired, "1-2 → 2-2");
        let charts = charts(&rows, &services);
        assert_eq!(
            charts[0]["spans"],
            json!([{ "from_s": 15.0, "to_s": 45.0 }])
        );
        assert_eq!(charts[0]["series"][1]["name"], "b");
    }
}
