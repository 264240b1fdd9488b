//! The embedded cluster: a request-level discrete-event emulator in virtual time.

mod bench;
mod histogram;
mod record;

pub use bench::{BenchReport, bench};
pub use histogram::LatencyHistogram;
pub use record::{BIN_S, BinRow, EpisodeRecord, SecondRow, ServiceRow, WindowRow};

use crate::{
    cluster::{Cluster, ClusterError},
    observation::Observation,
    scenario::Scenario,
};

/// A cluster in virtual time.
///
/// Equal scenarios, seeds and calls give equal observations, byte for byte.
#[derive(Clone, Debug)]
pub struct Emulator {
    record: EpisodeRecord,
}

/// Where all requests of clients and attackers are. `arrived` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Requests that arrived from outside, attack included.
    pub arrived: u64,
    /// Answered correctly (in time or not).
    pub answered: u64,
    /// Refused, lost, failed or dropped.
    pub failed: u64,
    /// Waiting in the queue of some service.
    pub queued: u64,
    /// In service or on the network somewhere.
    pub in_service: u64,
}

impl Emulator {
    /// The cluster of `scenario` (one context) at the start of an episode: initial replicas ready,
    /// nothing measured yet.
    #[must_use]
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        let _ = (scenario, seed);
        todo!("lands next")
    }

    /// What only the emulator knows of the episode.
    #[must_use]
    pub fn record(&self) -> &EpisodeRecord {
        &self.record
    }

    /// Where all requests are.
    #[must_use]
    pub fn census(&self) -> Census {
        todo!("lands next")
    }

    /// Makes every scrape fail until switched off again, as [`crate::scenario::Effect::MetricOutage`].
    pub fn set_metric_outage(&mut self, on: bool) {
        let _ = on;
    }

    /// Makes every call to the API server fail until switched off again.
    pub fn set_api_down(&mut self, on: bool) {
        let _ = on;
    }
}

impl Cluster for Emulator {
    fn observe(&mut self) -> Result<Observation, ClusterError> {
        todo!("lands next")
    }

    fn scale(&mut self, service: usize, replicas: u32) -> Result<(), ClusterError> {
        let _ = (service, replicas);
        todo!("lands next")
    }

    fn advance(&mut self) -> bool {
        todo!("lands next")
    }
}
