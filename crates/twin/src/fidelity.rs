//! How far the twin can be trusted: errors on unseen runs, interval coverage, twin accuracy.

mod accuracy;
mod measure;

use serde::{Deserialize, Serialize};

pub use accuracy::{
    Constant, Factory, PolicyReturns, TwinAccuracy, accuracy, mean_return, measure_accuracy,
    play_in_both, untrained_policies,
};
pub(crate) use measure::measure;

/// The content of `fidelity.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fidelity {
    /// Windows of the long horizon: [`HORIZON`], or half a run where runs are shorter than two.
    pub horizon: usize,
    /// One entry per controlled metric, in the order of [`CONTROLLED`].
    pub metrics: Vec<MetricFidelity>,
    /// Runs that were fitted to.
    pub training_runs: usize,
    /// Runs that fidelity was measured on.
    pub validation_runs: usize,
    /// Windows of validation runs whose transition was recorded exactly so in a training run: what
    /// a lookup of recorded transitions can answer.
    pub lookup_hits: usize,
    /// Windows that were looked up.
    pub lookup_windows: usize,
    /// Services of which the trace does not show what a replica does.
    pub unidentified: Vec<String>,
    /// Returns of policies in cluster and twin; absent until they were played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<TwinAccuracy>,
}

/// The metrics that a controller acts on; the 20-step error has to beat persistence on each.
pub const CONTROLLED: [&str; 6] = [
    "queued",
    "cpu_millicores",
    "out_rate_rps",
    "latency_p95_ms",
    "replicas_ready",
    "errors_ps",
];

/// Windows of the long horizon, where runs are long enough.
pub const HORIZON: usize = 20;

/// Errors of one metric on unseen runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricFidelity {
    /// Name, as in `ServiceMetrics::NAMES`.
    pub metric: String,
    /// The space in which errors are taken, e.g. `ln(1 + ms)`.
    pub space: String,
    /// Errors one window ahead.
    pub one_step: ModelErrors,
    /// Errors [`Fidelity::horizon`] windows ahead, arrivals and actions given.
    pub twenty_step: ModelErrors,
    /// Share of values inside the central 90 % interval that the twin predicts one window ahead.
    pub coverage_90: f64,
}

/// Mean absolute errors of the models on the same rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelErrors {
    /// The twin.
    pub twin: f64,
    /// The value now is the value then.
    pub persistence: f64,
    /// Least squares.
    pub linear: f64,
    /// The queueing model alone.
    pub queueing: f64,
    /// Rows.
    pub rows: usize,
}

impl Fidelity {
    /// The controlled metrics on which the 20-step error is not below persistence; empty is good.
    #[must_use]
    pub fn losses(&self) -> Vec<&MetricFidelity> {
        self.metrics
            .iter()
            .filter(|m| m.twenty_step.twin >= m.twenty_step.persistence)
            .collect()
    }

    /// The errors as a table for people.
    #[must_use]
    pub fn table(&self) -> String {
        use std::fmt::Write as _;
        let mut text = format!(
            "{:<15} {:<14} {:>5} {:>9} {:>11} {:>9} {:>9} {:>9}\n",
            "metric", "space", "steps", "twin", "persistence", "linear", "queueing", "in 90 %"
        );
        for m in &self.metrics {
            for (steps, e) in [(1, &m.one_step), (self.horizon, &m.twenty_step)] {
                let covered = if steps == 1 {
                    format!("{:>8.1}%", 100.0 * m.coverage_90)
                } else {
                    String::new()
                };
                let _ = writeln!(
                    text,
                    "{:<15} {:<14} {steps:>5} {:>9.4} {:>11.4} {:>9.4} {:>9.4} {covered}",
                    m.metric, m.space, e.twin, e.persistence, e.linear, e.queueing
                );
            }
        }
        text
    }
}
