//! Faults that show in an observation.

use karma_cluster::{Observation, Scenario, ServiceMetrics};
use serde::{Deserialize, Serialize};

use crate::decision::{Fault, Reason};

/// Faults of the metrics of `observation`, at most one per service. Metrics older than
/// `stale_after_s` are stale.
#[must_use]
pub fn metric_faults(observation: &Observation, stale_after_s: f64) -> Vec<Fault> {
    observation
        .services
        .iter()
        .zip(&observation.metrics_age_s)
        .enumerate()
        .filter_map(|(service, (metrics, age_s))| {
            if !measured(metrics) || !age_s.is_finite() {
                Some(Fault::of(Reason::MetricsMissing, service))
            } else if *age_s > stale_after_s {
                Some(Fault::of(Reason::MetricsStale, service))
            } else {
                None
            }
        })
        .collect()
}

/// Whether a service was measured. Latencies may be absent for a good reason: nothing was
/// answered; whatever a scrape always finds may not.
#[must_use]
pub fn measured(metrics: &ServiceMetrics) -> bool {
    [
        metrics.replicas_desired,
        metrics.replicas_ready,
        metrics.queued,
        metrics.cpu_millicores,
        metrics.memory_mib,
        metrics.in_rate_rps,
        metrics.out_rate_rps,
        metrics.errors_ps,
    ]
    .iter()
    .all(|value| value.is_finite())
}

/// Watches the promise to users while the policy acts.
///
/// A window is a breach where an entry's p95 is above the SLO and the policy asks for less than the
/// fallback would somewhere: a promise that no one can keep is not the policy's fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SloWatch {
    entries: Vec<usize>,
    slo_ms: f64,
    patience_s: f64,
    since_s: Option<f64>,
}

impl SloWatch {
    /// Breaches shorter than `patience_s` are suffered.
    #[must_use]
    pub fn new(scenario: &Scenario, patience_s: f64) -> Self {
        Self {
            entries: scenario.entries(),
            slo_ms: scenario.slo.latency.seconds() * 1000.0,
            patience_s,
            since_s: None,
        }
    }

    /// Whether the breach has lasted for too long at `time_s`.
    #[must_use]
    pub fn breached(&self, time_s: f64) -> bool {
        self.since_s
            .is_some_and(|since_s| time_s - since_s >= self.patience_s)
    }

    /// Takes in a window in which the policy decided.
    pub fn watch(&mut self, observation: &Observation, desired: &[u32], fallback: &[u32]) {
        let late = self
            .entries
            .iter()
            .any(|entry| f64::from(observation.services[*entry].latency_p95_ms) > self.slo_ms);
        let less = desired.iter().zip(fallback).any(|(d, f)| d < f);
        self.since_s = (late && less).then(|| self.since_s.unwrap_or(observation.time_s));
    }

    /// Forgets a breach: somebody else decides.
    pub fn clear(&mut self) {
        self.since_s = None;
    }
}
