//! Grounding: what the words of an organisation mean on a cluster.
//!
//! [`Guides`] gives the `moise` crate its vocabulary (subjects are services, features come from
//! [`ServiceMetrics`] and the scenario, actions are choices of a head) and evaluates the compiled
//! organisation once per game and window.

use karma_cluster::{Scenario, ServiceMetrics};
use karma_moise::{Organization, SpecFault};
use serde::{Deserialize, Serialize};

/// Why an organisation cannot guide the team of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroundError {
    /// The organisation does not fit the scenario; every fault with its key path.
    #[error("the organisation does not fit the scenario: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Organization(Vec<SpecFault>),
}

/// The guides of a scenario's team. Cheap to share, holds no state of any game.
#[derive(Clone, Debug)]
pub struct Guides {
    agents: usize,
    services: usize,
}

/// What guides remember of one game; [`Guides::history`] makes one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {}

/// What guides say about one game and window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guidance {
    /// Allowed choices, agents × services (agent-major); bit c = choice c. Never 0.
    pub masks: Vec<u8>,
    /// Whether any guide of the agent fired.
    pub fired: Vec<bool>,
    /// Which labels hold, in the order of [`Guides::label_names`].
    pub labels: Vec<bool>,
    /// Rules that were skipped in this window because they would have left no choice.
    pub conflicts: u32,
}

impl Guides {
    /// Compiles `organization` for the services and the team of `scenario`.
    ///
    /// # Errors
    /// [`GroundError`] with every fault of the organisation.
    pub fn new(_organization: &Organization, scenario: &Scenario) -> Result<Self, GroundError> {
        Ok(Self::none(scenario))
    }

    /// Guides that allow everything and pay nothing.
    #[must_use]
    pub fn none(scenario: &Scenario) -> Self {
        Self {
            agents: scenario.team.agents.len(),
            services: scenario.services.len(),
        }
    }

    /// Number of agents.
    #[must_use]
    pub fn agents(&self) -> usize {
        self.agents
    }

    /// Number of services, that is heads per agent.
    #[must_use]
    pub fn services(&self) -> usize {
        self.services
    }

    /// Names of the labels of [`Guidance::labels`], e.g. `queue_high(b)`.
    #[must_use]
    pub fn label_names(&self) -> &[String] {
        &[]
    }

    /// The memory of a game that has not started.
    #[must_use]
    pub fn history(&self) -> History {
        History {}
    }

    /// Takes in the newest window and writes what is allowed now. Call once per window.
    ///
    /// # Panics
    /// If `now` does not have one entry per service.
    pub fn observe(&self, _history: &mut History, now: &[ServiceMetrics], out: &mut Guidance) {
        assert_eq!(now.len(), self.services);
        out.masks.clear();
        out.masks.resize(self.agents * self.services, 0x7f);
        out.fired.clear();
        out.fired.resize(self.agents, false);
        out.labels.clear();
        out.conflicts = 0;
    }

    /// Adds penalties and bonuses of the window last observed to `rewards` (one per agent), given
    /// the choices (agents × services) made in it. Call once per window, after
    /// [`Guides::observe`].
    ///
    /// # Panics
    /// If a length does not match.
    pub fn reward(&self, _history: &mut History, choices: &[u8], rewards: &mut [f32]) {
        assert!(choices.len() == self.agents * self.services && rewards.len() == self.agents);
    }
}
