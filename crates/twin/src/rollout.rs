//! One game as a cluster, so that any controller can play it.

use karma_cluster::{Cluster, ClusterError, Observation, Scenario};

use crate::model::Twin;

/// A single game of the twin behind the `Cluster` trait, its pods made up from the counts so that
/// the HPA rule can read them.
#[derive(Clone, Debug)]
pub struct TwinCluster {}

impl TwinCluster {
    /// Starts an episode of `scenario` (one context). The arrivals are those that the emulator
    /// would draw for `seed`.
    #[must_use]
    pub fn new(_twin: &Twin, _scenario: &Scenario, _seed: u64) -> Self {
        todo!("lands next")
    }
}

impl Cluster for TwinCluster {
    fn observe(&mut self) -> Result<Observation, ClusterError> {
        todo!("lands next")
    }

    fn scale(&mut self, _service: usize, _replicas: u32) -> Result<(), ClusterError> {
        todo!("lands next")
    }

    fn advance(&mut self) -> bool {
        todo!("lands next")
    }
}
