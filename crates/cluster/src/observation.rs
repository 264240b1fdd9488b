//! What can be seen of a cluster, and its one encoding for policies.
//!
//! [`ServiceMetrics`] is the state of one service over one window: what Prometheus and the API
//! server would show and nothing else. A metric that was not measured is NaN in memory and null in
//! files; it is never 0. The [`Encoder`] turns the newest two windows into the numbers that a
//! policy reads; training, evaluation and the controller all call it.

mod encoder;

use serde::{Deserialize, Serialize};

pub use self::encoder::Encoder;

/// One service over one window. NaN means not measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceMetrics {
    /// Replicas asked for (spec.replicas), at the end of the window.
    pub replicas_desired: f32,
    /// Pods that take traffic, at the end of the window.
    pub replicas_ready: f32,
    /// Pods that crashed or wait in back-off, at the end of the window.
    pub replicas_failed: f32,
    /// Pods that exist and are neither ready nor failed (unscheduled or starting).
    pub replicas_pending: f32,
    /// Requests waiting in the queues of all pods, newest scrape.
    pub queued: f32,
    /// Processor use of all pods, mean over the window.
    pub cpu_millicores: f32,
    /// Working set of all pods, newest scrape.
    pub memory_mib: f32,
    /// Requests that reached the service, refused ones included, per second.
    pub in_rate_rps: f32,
    /// Requests that the service answered well, per second.
    pub out_rate_rps: f32,
    /// Median time from arrival at the service to its answer, calls to others included.
    pub latency_p50_ms: f32,
    /// 95th percentile of the same.
    pub latency_p95_ms: f32,
    /// 99th percentile of the same.
    pub latency_p99_ms: f32,
    /// Requests refused, failed or timed out, per second.
    pub errors_ps: f32,
    /// Container restarts during the window.
    pub restarts: f32,
}

impl ServiceMetrics {
    /// How many numbers a service shows.
    pub const COUNT: usize = 14;

    /// Names in the order of [`Self::to_array`]; also the metric names in files.
    pub const NAMES: [&'static str; Self::COUNT] = [
        "replicas_desired",
        "replicas_ready",
        "replicas_failed",
        "replicas_pending",
        "queued",
        "cpu_millicores",
        "memory_mib",
        "in_rate_rps",
        "out_rate_rps",
        "latency_p50_ms",
        "latency_p95_ms",
        "latency_p99_ms",
        "errors_ps",
        "restarts",
    ];

    /// A service of which nothing was measured.
    pub const MISSING: Self = Self::from_array([f32::NAN; Self::COUNT]);

    /// A service at the start of an episode: all replicas ready, nothing scraped yet.
    #[must_use]
    pub const fn started(replicas: f32) -> Self {
        Self {
            replicas_desired: replicas,
            replicas_ready: replicas,
            replicas_failed: 0.0,
            replicas_pending: 0.0,
            restarts: 0.0,
            ..Self::MISSING
        }
    }

    /// What is left when scrapes bring nothing: what the API server shows.
    #[must_use]
    pub const fn unscraped(self) -> Self {
        Self {
            replicas_desired: self.replicas_desired,
            replicas_ready: self.replicas_ready,
            replicas_failed: self.replicas_failed,
            replicas_pending: self.replicas_pending,
            restarts: self.restarts,
            ..Self::MISSING
        }
    }

    /// The metrics in the order of [`Self::NAMES`].
    #[inline]
    #[must_use]
    pub const fn to_array(self) -> [f32; Self::COUNT] {
        [
            self.replicas_desired,
            self.replicas_ready,
            self.replicas_failed,
            self.replicas_pending,
            self.queued,
            self.cpu_millicores,
            self.memory_mib,
            self.in_rate_rps,
            self.out_rate_rps,
            self.latency_p50_ms,
            self.latency_p95_ms,
            self.latency_p99_ms,
            self.errors_ps,
            self.restarts,
        ]
    }

    /// The inverse of [`Self::to_array`].
    #[inline]
    #[must_use]
    pub const fn from_array(values: [f32; Self::COUNT]) -> Self {
        let [
            replicas_desired,
            replicas_ready,
            replicas_failed,
            replicas_pending,
            queued,
            cpu_millicores,
            memory_mib,
            in_rate_rps,
            out_rate_rps,
            latency_p50_ms,
            latency_p95_ms,
            latency_p99_ms,
            errors_ps,
            restarts,
        ] = values;
        Self {
            replicas_desired,
            replicas_ready,
            replicas_failed,
            replicas_pending,
            queued,
            cpu_millicores,
            memory_mib,
            in_rate_rps,
            out_rate_rps,
            latency_p50_ms,
            latency_p95_ms,
            latency_p99_ms,
            errors_ps,
            restarts,
        }
    }
}

/// Phase of a pod as the API server shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PodPhase {
    /// Not scheduled, or its containers have not started.
    Pending,
    /// At least one container runs.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly, or in crash back-off.
    Failed,
}

/// One pod as the API server and the metrics API show it; what the HPA rule reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PodObservation {
    /// Unique name within the service.
    pub name: String,
    /// Phase.
    pub phase: PodPhase,
    /// Status of the Ready condition; `None` where the pod has no such condition yet.
    pub ready: Option<bool>,
    /// Seconds since the last change of the Ready condition.
    pub ready_changed_s_ago: f64,
    /// Seconds since the pod started; `None` before it has.
    pub started_s_ago: Option<f64>,
    /// Whether the pod is being deleted.
    pub deleted: bool,
    /// Newest CPU sample; `None` where there is none.
    pub cpu_millicores: Option<f64>,
    /// Age of that sample.
    pub sample_s_ago: f64,
    /// Span over which the sample was taken.
    pub sample_window_s: f64,
}

/// Everything a controller may know at the end of one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Windows since the start of the episode or of the controller; 0 is the first observation.
    pub window: u32,
    /// Seconds since the same instant.
    pub time_s: f64,
    /// One entry per service, in the order of the scenario.
    pub services: Vec<ServiceMetrics>,
    /// Pods per service, in the same order.
    pub pods: Vec<Vec<PodObservation>>,
    /// Seconds since the newest scrape of each service; infinite before the first.
    pub metrics_age_s: Vec<f64>,
}
