//! How far the twin can be trusted: errors on unseen runs, interval coverage, twin accuracy.

use serde::{Deserialize, Serialize};

/// The content of `fidelity.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fidelity {
    /// One entry per controlled metric, in the order of [`CONTROLLED`].
    pub metrics: Vec<MetricFidelity>,
    /// Runs that were fitted to.
    pub training_runs: usize,
    /// Runs that fidelity was measured on.
    pub validation_runs: usize,
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

/// Errors of one metric on unseen runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricFidelity {
    /// Name, as in `ServiceMetrics::NAMES`.
    pub metric: String,
    /// The space in which errors are taken, e.g. `ln(1 + ms)`.
    pub space: String,
    /// Errors one window ahead.
    pub one_step: ModelErrors,
    /// Errors 20 windows ahead, arrivals and actions given.
    pub twenty_step: ModelErrors,
    /// Share of values inside the central 90 % interval that the twin predicts one window ahead.
    pub coverage_90: f64,
}

/// Mean absolute errors of the models on the same rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// Twin accuracy: how well returns in the twin tell returns in the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TwinAccuracy {
    /// Return that counts as 1 after rescaling.
    pub ceiling: f64,
    /// One row per policy.
    pub policies: Vec<PolicyReturns>,
    /// Mean of the rows' accuracies.
    pub mean: f64,
    /// The worst row's accuracy.
    pub worst: f64,
}

/// One policy played in both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyReturns {
    /// Name of the policy.
    pub name: String,
    /// Mean return in the cluster.
    pub cluster: f64,
    /// Mean return in the twin.
    pub twin: f64,
    /// min(c/t, t/c) of the rescaled returns.
    pub accuracy: f64,
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
}

/// Twin accuracy of `policies` (name, return in the cluster, return in the twin), rescaled so that
/// the worst policy in the cluster is 0 and `ceiling` is 1.
#[must_use]
pub fn accuracy(_policies: &[(String, f64, f64)], _ceiling: f64) -> TwinAccuracy {
    todo!("lands next")
}
