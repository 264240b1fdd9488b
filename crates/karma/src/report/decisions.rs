//! Who decided when and why, from `transfer/decisions.jsonl`.

use serde::Serialize;
use serde_json::Value;

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
    windows: usize,
    left_pct: f64,
    width_pct: f64,
    desired: String,
}

pub(super) fn view(decisions: &[Value]) -> Option<DecisionsView> {
    if decisions.is_empty() {
        return None;
    }
    let in_fallback = decisions.iter().filter(|d| state(d) == "fallback").count();
    let active = decisions.iter().filter(|d| state(d) == "active").count();
    Some(DecisionsView {
        words: format!(
            "{} decisions: the team decided {active}, the HPA fallback {in_fallback}.",
            decisions.len()
        ),
        strips: episodes(decisions).into_iter().map(strip).collect(),
    })
}

/// Splits where the windows start again or the demonstration changes.
fn episodes(decisions: &[Value]) -> Vec<&[Value]> {
    let window = |d: &Value| float(d, "window");
    decisions
        .chunk_by(|a, b| name(a) == name(b) && window(a) < window(b))
        .collect()
}

/// What the run shows, where the file says it.
fn name(decision: &Value) -> Option<&str> {
    text(
        decision,
        &["demonstration", "episode", "case", "run", "context"],
    )
}

fn state(decision: &Value) -> String {
    text(decision, &["state"])
        .unwrap_or("unknown")
        .to_lowercase()
}

fn strip(decisions: &[Value]) -> Strip {
    let windows = decisions.len();
    let runs = decisions
        .chunk_by(|a, b| state(a) == state(b) && text(a, &["reason"]) == text(b, &["reason"]));
    let mut first = 0;
    let mut log = Vec::new();
    for run in runs {
        log.push(segment(run, first, decisions));
        first += run.len();
    }
    let mut segments: Vec<Segment> = Vec::new();
    for segment in &log {
        match segments.last_mut() {
            Some(last) if last.state == segment.state => {
                last.width_pct += segment.width_pct;
                last.to.clone_from(&segment.to);
                last.windows += segment.windows;
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
            .unwrap_or_default(),
        end: time(decisions, windows),
        segments,
        log,
        omitted,
    }
}

fn segment(run: &[Value], first: usize, all: &[Value]) -> Segment {
    let share = |count: usize| 100.0 * count as f64 / all.len() as f64;
    let state = state(&run[0]);
    Segment {
        key: state.clone(),
        state: capitalized(&state),
        reason: text(&run[0], &["reason"])
            .unwrap_or("no reason recorded")
            .to_owned(),
        from: time(all, first),
        to: time(all, first + run.len()),
        windows: run.len(),
        left_pct: share(first),
        width_pct: share(run.len()),
        desired: desired(run),
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
fn time(decisions: &[Value], index: usize) -> String {
    let at = |index: usize| decisions.get(index).and_then(|d| float(d, "time_s"));
    let after_the_last = || {
        let (last, before) = (
            at(decisions.len() - 1)?,
            at(decisions.len().checked_sub(2)?)?,
        );
        Some(last + (last - before))
    };
    at(index)
        .or_else(after_the_last)
        .map(clock)
        .unwrap_or_default()
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}
