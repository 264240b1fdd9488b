//! What the run was made from: seeds, hashes, versions, counts, times.

use karma_evaluate::Summary;
use serde::Serialize;
use serde_json::Value;

use super::{
    ReportInput,
    format::{float, number, text},
};

#[derive(Debug, Serialize)]
pub(super) struct FactsView {
    facts: Vec<(String, String)>,
    hashes: Vec<(String, String)>,
    times: Vec<Time>,
    total: String,
}

#[derive(Debug, Serialize)]
struct Time {
    step: String,
    seconds: String,
    /// Of the longest bar.
    share: f64,
}

/// Steps in the order in which they run.
const STEPS: [&str; 6] = ["fit", "train", "analyze", "transfer", "evaluate", "report"];

pub(super) fn view(input: &ReportInput, summary: Option<&Summary>) -> FactsView {
    let mut facts = Vec::new();
    let mut hashes = Vec::new();
    if let Some(manifest) = &input.manifest {
        let mut push = |name: &str, value: Option<String>| {
            facts.extend(value.map(|value| (name.to_owned(), value)));
        };
        push(
            "Version of KARMA",
            text(manifest, &["version"]).map(str::to_owned),
        );
        push(
            "Seed of the run",
            manifest.get("seed").map(ToString::to_string),
        );
        push(
            "CPU feature level",
            text(manifest, &["cpu_feature_level"]).map(str::to_owned),
        );
        hashes.extend(hashed(manifest.get("inputs")));
        let steps = manifest.get("steps").and_then(Value::as_object);
        // What an earlier report was is no file that this one was made from.
        let read = STEPS.iter().filter(|step| **step != "report");
        for step in read.filter_map(|step| steps?.get(*step)) {
            hashes.extend(hashed(step.get("outputs")));
        }
    }
    if let Some(summary) = summary {
        facts.extend(evaluation(summary));
    }
    let (times, total) = input.timing.as_ref().map(times).unwrap_or_default();
    if let Some(threads) = input.timing.as_ref().and_then(|t| float(t, "threads")) {
        facts.push(("Threads".to_owned(), number(threads, 0)));
    }
    FactsView {
        facts,
        hashes,
        times,
        total,
    }
}

fn evaluation(summary: &Summary) -> Vec<(String, String)> {
    let seeds: Vec<String> = summary.seeds.iter().map(ToString::to_string).collect();
    let played = summary.episodes_played;
    let calibration = &summary.calibration;
    [
        ("Unseen seeds", seeds.join(", ")),
        (
            "Episodes",
            format!(
                "{} on unseen seeds, {} to calibrate HPA, {} to search constant policies; {} min each",
                played.evaluation,
                played.hpa_calibration,
                played.constant_search,
                number(summary.duration_s / 60.0, 0)
            ),
        ),
        (
            "Calibrated HPA",
            format!(
                "best {} of {} grid points on validation seeds, one choice for all contexts: {} \
                 (default settings {})",
                calibration.objective,
                calibration.points,
                number(calibration.value, 2),
                number(calibration.default_value, 2)
            ),
        ),
        (
            "Intervals",
            format!(
                "95 %, expanded percentile bootstrap, {} resamples of the seeds",
                number(f64::from(summary.resamples), 0)
            ),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

fn hashed(files: Option<&Value>) -> Vec<(String, String)> {
    let files = files.and_then(Value::as_object);
    files
        .into_iter()
        .flatten()
        .filter_map(|(name, hash)| Some((name.clone(), hash.as_str()?.to_owned())))
        .collect()
}

fn times(timing: &Value) -> (Vec<Time>, String) {
    let of = |step: &str| timing.get("wall_s").and_then(|wall| float(wall, step));
    let longest = STEPS
        .iter()
        .filter_map(|step| of(step))
        .fold(f64::MIN_POSITIVE, f64::max);
    let times = STEPS
        .iter()
        .filter_map(|step| {
            let seconds = of(step)?;
            Some(Time {
                step: (*step).to_owned(),
                seconds: format!("{} s", number(seconds, 1)),
                share: (1000.0 * seconds / longest).round() / 1000.0,
            })
        })
        .collect();
    let total = float(timing, "total_s").map(|total| format!("{} s", number(total, 0)));
    (times, total.unwrap_or_default())
}
