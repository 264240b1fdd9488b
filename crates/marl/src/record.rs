//! What a team does on a cluster, written down: trajectories.

use std::path::Path;

use karma_cluster::{Cluster, Scenario, ServiceMetrics};

use crate::{Team, error::Result};

/// Episodes of one team.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trajectories {
    /// Services in order.
    pub services: Vec<String>,
    /// Names of the agents in order.
    pub agents: Vec<String>,
    /// Roles of the agents in order.
    pub roles: Vec<String>,
    /// Names of the labels in order.
    pub labels: Vec<String>,
    /// Numbers of an encoded observation.
    pub width: usize,
    /// The episodes.
    pub episodes: Vec<Episode>,
}

/// One episode.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Episode {
    /// Context of the scenario.
    pub context: String,
    /// Seed of the cluster.
    pub seed: u64,
    /// Windows in order.
    pub windows: Vec<Step>,
}

/// One window of an episode.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Seconds since the start.
    pub time_s: f64,
    /// The encoded observation that was decided on.
    pub observation: Vec<f32>,
    /// The metrics behind it.
    pub metrics: Vec<ServiceMetrics>,
    /// Which labels hold.
    pub labels: Vec<bool>,
    /// Desired replicas after the decision.
    pub desired: Vec<u32>,
    /// Team reward of the window after the decision.
    pub reward: f32,
    /// What each agent did.
    pub agents: Vec<AgentStep>,
}

/// What one agent did in one window; all per service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentStep {
    /// Choices made.
    pub choices: Vec<u8>,
    /// What would have been chosen without masks.
    pub unmasked: Vec<u8>,
    /// Allowed choices, one bit each.
    pub masks: Vec<u8>,
    /// Whether a guide of the agent fired.
    pub fired: bool,
    /// Penalties and bonuses of the agent's guides.
    pub guide_reward: f32,
}

impl Trajectories {
    /// Appends the episodes of `other`.
    ///
    /// # Panics
    /// If services, agents or labels differ.
    pub fn extend(&mut self, other: Self) {
        if self.episodes.is_empty() {
            *self = other;
            return;
        }
        assert!(
            self.services == other.services
                && self.agents == other.agents
                && self.labels == other.labels,
            "trajectories of one team"
        );
        self.episodes.extend(other.episodes);
    }

    /// Writes one row per episode, window and agent.
    ///
    /// # Errors
    /// [`MarlError::File`](crate::MarlError::File).
    pub fn write_parquet(&self, _path: &Path) -> Result<()> {
        todo!("lands next")
    }

    /// Reads what [`Self::write_parquet`] wrote.
    ///
    /// # Errors
    /// [`MarlError::File`](crate::MarlError::File) or [`MarlError::Broken`](crate::MarlError::Broken).
    pub fn read_parquet(_path: &Path) -> Result<Self> {
        todo!("lands next")
    }
}

/// Plays `cluster` with `team` until its episode ends. `scenario` is one context of the team's
/// scenario; `context` and `seed` only label the episode.
///
/// # Errors
/// [`MarlError::Cluster`](crate::MarlError::Cluster) when the cluster cannot be observed at all.
pub fn record(
    _cluster: &mut dyn Cluster,
    _team: &mut Team,
    _scenario: &Scenario,
    _context: &str,
    _seed: u64,
) -> Result<Trajectories> {
    todo!("lands next")
}
