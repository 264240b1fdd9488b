//! What is measured of an episode, over the requests of legitimate users only.

use serde::{Deserialize, Serialize};

/// Which way a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// A metric of one episode. Its serde name is the key in `summary.json` and the column in
/// `episodes.parquet`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Answered correctly within the timeout ÷ arrived; what is unanswered at the end counts by its
    /// own timeout.
    SuccessPct,
    /// Answered within the SLO latency ÷ arrived.
    LatencyCompliancePct,
    /// Time-mean of queued requests ÷ time-mean of requests in flight, all services.
    PendingPct,
    /// Seconds of the disturbance in which at least 95 % of arrivals succeed ÷ its seconds.
    AvailabilityPct,
    /// From the onset of the disturbance until p95 and success are back within 10 % of the 120 s
    /// before it and stay so for 30 s.
    RecoveryS,
    /// Median end-to-end latency.
    LatencyP50Ms,
    /// 90th percentile of end-to-end latency.
    LatencyP90Ms,
    /// 95th percentile of end-to-end latency.
    LatencyP95Ms,
    /// 99th percentile of end-to-end latency.
    LatencyP99Ms,
    /// Hours that pods existed, summed.
    PodHours,
    /// Hours of one core used, summed.
    CpuHours,
    /// Pods, mean over the episode.
    AveragePods,
    /// Changes of direction of desired replicas, all services, per hour.
    TogglesPerHour,
    /// Variance of desired replicas over the episode, mean of the services.
    ReplicaVariance,
}

impl Metric {
    /// How many metrics there are.
    pub const COUNT: usize = 14;

    /// Every metric, in the order of tables and columns.
    pub const ALL: [Self; Self::COUNT] = [
        Self::SuccessPct,
        Self::LatencyCompliancePct,
        Self::PendingPct,
        Self::AvailabilityPct,
        Self::RecoveryS,
        Self::LatencyP50Ms,
        Self::LatencyP90Ms,
        Self::LatencyP95Ms,
        Self::LatencyP99Ms,
        Self::PodHours,
        Self::CpuHours,
        Self::AveragePods,
        Self::TogglesPerHour,
        Self::ReplicaVariance,
    ];

    /// Key in files, e.g. `success_pct`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        self.row().0
    }

    /// Short name in tables, with its unit, e.g. `success %`.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.row().1
    }

    /// Which way it is better.
    #[must_use]
    pub const fn better(self) -> Better {
        self.row().2
    }

    const fn row(self) -> (&'static str, &'static str, Better) {
        use Better::{Higher, Lower};
        match self {
            Self::SuccessPct => ("success_pct", "success %", Higher),
            Self::LatencyCompliancePct => ("latency_compliance_pct", "in SLO %", Higher),
            Self::PendingPct => ("pending_pct", "pending %", Lower),
            Self::AvailabilityPct => ("availability_pct", "available %", Higher),
            Self::RecoveryS => ("recovery_s", "recovery s", Lower),
            Self::LatencyP50Ms => ("latency_p50_ms", "p50 ms", Lower),
            Self::LatencyP90Ms => ("latency_p90_ms", "p90 ms", Lower),
            Self::LatencyP95Ms => ("latency_p95_ms", "p95 ms", Lower),
            Self::LatencyP99Ms => ("latency_p99_ms", "p99 ms", Lower),
            Self::PodHours => ("pod_hours", "pod-hours", Lower),
            Self::CpuHours => ("cpu_hours", "CPU-hours", Lower),
            Self::AveragePods => ("average_pods", "pods", Lower),
            Self::TogglesPerHour => ("toggles_per_hour", "toggles/h", Lower),
            Self::ReplicaVariance => ("replica_variance", "variance", Lower),
        }
    }
}

/// What one episode came to. A metric that does not apply is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EpisodeMetrics {
    values: [Option<f64>; Metric::COUNT],
    /// Whether recovery never came, so that `recovery_s` is a lower bound.
    pub recovery_censored: bool,
}

impl EpisodeMetrics {
    /// The value of `metric`.
    #[must_use]
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.values[metric as usize]
    }

    /// Sets the value of `metric`; one that is not finite is taken as not applicable.
    pub fn set(&mut self, metric: Metric, value: f64) {
        self.values[metric as usize] = value.is_finite().then_some(value);
    }

    /// Means of the metrics that apply to all of `episodes`; censored where one of them is.
    pub(crate) fn mean(episodes: &[Self]) -> Self {
        let mut mean = Self {
            recovery_censored: episodes.iter().any(|e| e.recovery_censored),
            ..Self::default()
        };
        for metric in Metric::ALL {
            let values: Option<Vec<f64>> = episodes.iter().map(|e| e.get(metric)).collect();
            if let Some(values) = values {
                mean.set(metric, values.iter().sum::<f64>() / values.len() as f64);
            }
        }
        mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_stand_at_their_own_index_and_serialize_as_their_key() {
        for (index, metric) in Metric::ALL.into_iter().enumerate() {
            assert_eq!(metric as usize, index);
            assert_eq!(
                serde_json::to_value(metric).ok(),
                Some(serde_json::Value::from(metric.key()))
            );
        }
    }
}
