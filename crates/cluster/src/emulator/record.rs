//! What only the emulator knows of an episode: the outcomes of legitimate requests.

use serde::{Deserialize, Serialize};

use super::histogram::LatencyHistogram;

/// Length of a bin of [`EpisodeRecord::bins`].
pub const BIN_S: f64 = 5.0;

/// Everything that evaluation needs of one episode. Legitimate requests only, unless said
/// otherwise; complete once the episode is over.
///
/// What is unanswered at the end of the episode is followed up to its own timeout. A request that
/// was not answered within the timeout has the timeout as its latency; one that failed earlier has
/// none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpisodeRecord {
    /// Length of the episode so far.
    pub time_s: f64,
    /// Requests that arrived.
    pub arrived: u64,
    /// Requests answered correctly within the client's timeout.
    pub answered_in_timeout: u64,
    /// Requests answered correctly within the SLO's latency.
    pub within_slo: u64,
    /// Attack requests (and connections) that arrived.
    pub attack_arrived: u64,
    /// Arrivals of each second and how many of them succeeded.
    pub seconds: Vec<SecondRow>,
    /// Latencies end to end, from arrival at the entry to the last answer.
    pub latency: LatencyHistogram,
    /// Arrivals of every [`BIN_S`] seconds, how many succeeded, and their p95.
    pub bins: Vec<BinRow>,
    /// Time integral of requests (attack included) waiting in queues, all services.
    pub queued_request_s: f64,
    /// Time integral of requests (attack included) at a service and unanswered, all services: a
    /// request that waits for a callee is in flight at both.
    pub in_flight_request_s: f64,
    /// Time integral of pods that hold a place on a node.
    pub pod_s: f64,
    /// Time integral of the CPU requests of those pods: what is paid for.
    pub cpu_core_s: f64,
    /// CPU time that pods really used.
    pub cpu_used_core_s: f64,
    /// One row per control window.
    pub windows: Vec<WindowRow>,
}

/// Arrivals of one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondRow {
    /// Requests that arrived.
    pub arrived: u32,
    /// Of these, answered correctly within the timeout.
    pub ok: u32,
}

/// Arrivals of one bin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BinRow {
    /// Start of the bin.
    pub time_s: f64,
    /// Requests that arrived.
    pub arrived: u32,
    /// Of these, answered correctly within the timeout.
    pub ok: u32,
    /// 95th percentile of their latencies; NaN where none has one.
    pub p95_ms: f64,
}

/// One control window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WindowRow {
    /// End of the window.
    pub time_s: f64,
    /// Legitimate requests per second that arrived.
    pub legit_rps: f64,
    /// Attack requests (and connections) per second that arrived.
    pub attack_rps: f64,
    /// Services in the order of the scenario.
    pub services: Vec<ServiceRow>,
}

/// One service in one control window, as it truly was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceRow {
    /// Desired replicas during the window.
    pub desired: u32,
    /// Ready pods at its end.
    pub ready: u32,
    /// Queued requests at its end.
    pub queued: u32,
    /// 95th percentile of the service's latency over the window, attack included; NaN where nothing
    /// was answered.
    pub p95_ms: f64,
}

impl EpisodeRecord {
    /// Share of arrivals answered correctly within the timeout; NaN where nothing arrived.
    #[must_use]
    pub fn success(&self) -> f64 {
        self.answered_in_timeout as f64 / self.arrived as f64
    }

    /// Share of arrivals answered correctly within the SLO's latency; NaN where nothing arrived.
    #[must_use]
    pub fn compliance(&self) -> f64 {
        self.within_slo as f64 / self.arrived as f64
    }

    /// Queued over in-flight requests, both over all services and the whole episode; 0 where none
    /// was in flight.
    #[must_use]
    pub fn pending(&self) -> f64 {
        if self.in_flight_request_s > 0.0 {
            self.queued_request_s / self.in_flight_request_s
        } else {
            0.0
        }
    }

    /// Mean number of pods.
    #[must_use]
    pub fn average_pods(&self) -> f64 {
        self.pod_s / self.time_s
    }

    /// Desired replicas of `service` in each window.
    pub fn desired(&self, service: usize) -> impl Iterator<Item = u32> + '_ {
        self.windows
            .iter()
            .map(move |row| row.services[service].desired)
    }
}
