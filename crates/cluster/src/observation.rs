//! What can be seen of a cluster, and its one encoding for policies.
//!
//! [`ServiceMetrics`] is the state of one service over one window: what Prometheus and the API
//! server would show and nothing else. A metric that was not measured is NaN in memory and null in
//! files; it is never 0. The [`Encoder`] turns the newest two windows into the numbers that a
//! policy reads; training, evaluation and the controller all call it.

use serde::{Deserialize, Serialize};

use crate::scenario::Scenario;

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

/// The one encoder of observations.
///
/// For each service [`Encoder::PER_SERVICE`] numbers, roughly in [-1, 3]: shares of the replica
/// bound, logarithms of load against declared capacity, latency against the SLO, differences to the
/// window before, and whether the metrics were measured at all.
#[derive(Clone, Debug)]
pub struct Encoder {
    scales: Vec<ServiceScale>,
    slo_ms: f32,
}

#[derive(Clone, Copy, Debug)]
struct ServiceScale {
    max_replicas: f32,
    rate_per_replica: f32,
    cpu_request_millicores: f32,
    memory_request_mib: f32,
}

impl Encoder {
    /// Numbers per service.
    pub const PER_SERVICE: usize = 18;

    /// Names of the numbers of one service, in order, for those who read an encoded observation
    /// elsewhere. `log` is the logarithm of 1 plus a share, `change` the difference to the window
    /// before; shares are of the replica bound, requests, capacity or SLO.
    pub const NAMES: [&'static str; Self::PER_SERVICE] = [
        "replicas_desired_share",
        "replicas_ready_share",
        "replicas_pending_share",
        "replicas_failed_share",
        "backlog_log",
        "cpu_share",
        "memory_share",
        "load_share",
        "in_rate_share",
        "out_rate_share",
        "latency_p50_log",
        "latency_p95_log",
        "latency_p99_log",
        "error_share",
        "restarts",
        "load_change",
        "backlog_change",
        "is_measured",
    ];

    /// Takes the scales (bounds, requests, declared rate, SLO) from the scenario.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let scales = scenario
            .services
            .iter()
            .map(|service| ServiceScale {
                max_replicas: service.replicas.max as f32,
                rate_per_replica: service.rate_per_replica as f32,
                cpu_request_millicores: service.cpu_request.millicores() as f32,
                memory_request_mib: service.memory_request.mebibytes() as f32,
            })
            .collect();
        Self {
            scales,
            slo_ms: (scenario.slo.latency.seconds() * 1000.0) as f32,
        }
    }

    /// Length of an encoded observation: services × [`Self::PER_SERVICE`].
    #[must_use]
    pub fn width(&self) -> usize {
        self.scales.len() * Self::PER_SERVICE
    }

    /// Encodes the newest window with the one before it into `out` (length [`Self::width`]).
    ///
    /// Both slices hold one entry per service. In the first window pass the same slice twice.
    ///
    /// # Panics
    /// If a length does not match the scenario.
    pub fn encode(&self, before: &[ServiceMetrics], now: &[ServiceMetrics], out: &mut [f32]) {
        assert!(
            before.len() == self.scales.len()
                && now.len() == self.scales.len()
                && out.len() == self.width(),
            "an observation has one entry per service of the scenario"
        );
        for (((scale, before), now), out) in self
            .scales
            .iter()
            .zip(before)
            .zip(now)
            .zip(out.chunks_exact_mut(Self::PER_SERVICE))
        {
            self.encode_service(scale, before, now, out);
        }
    }

    fn encode_service(
        &self,
        scale: &ServiceScale,
        before: &ServiceMetrics,
        now: &ServiceMetrics,
        out: &mut [f32],
    ) {
        let ready = now.replicas_ready.max(1.0);
        let capacity = scale.rate_per_replica * ready;
        let load = |m: &ServiceMetrics| m.in_rate_rps / scale.rate_per_replica / scale.max_replicas;
        let backlog = |m: &ServiceMetrics| (m.queued / scale.rate_per_replica).max(0.0).ln_1p();
        let latency = |ms: f32| (ms / self.slo_ms).max(0.0).ln_1p();
        // In the order of NAMES.
        let features = [
            now.replicas_desired / scale.max_replicas,
            now.replicas_ready / scale.max_replicas,
            now.replicas_pending / scale.max_replicas,
            now.replicas_failed / scale.max_replicas,
            backlog(now),
            now.cpu_millicores / (scale.cpu_request_millicores * ready),
            now.memory_mib / (scale.memory_request_mib * ready),
            load(now),
            (now.in_rate_rps / capacity).min(4.0),
            (now.out_rate_rps / capacity).min(4.0),
            latency(now.latency_p50_ms),
            latency(now.latency_p95_ms),
            latency(now.latency_p99_ms),
            now.errors_ps / now.in_rate_rps.max(1.0),
            now.restarts.min(4.0),
            load(now) - load(before),
            backlog(now) - backlog(before),
            // Whether the service was scraped at all; the other zeros then mean "unknown".
            if now.in_rate_rps.is_nan() { 0.0 } else { 1.0 },
        ];
        for (out, feature) in out.iter_mut().zip(features) {
            *out = if feature.is_finite() {
                feature.clamp(-4.0, 4.0)
            } else {
                0.0
            };
        }
    }
}
