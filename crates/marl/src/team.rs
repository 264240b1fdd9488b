//! The team as a controller.

use karma_cluster::{Controller, Observation, Scenario};

use crate::{
    Guides, Policy,
    ground::{Guidance, History},
};

/// What a team decided in one window, and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TeamDecision {
    /// Chosen choices under the masks, agents × services.
    pub choices: Vec<u8>,
    /// What would have been chosen without masks, agents × services.
    pub unmasked: Vec<u8>,
    /// What the guides said.
    pub guidance: Guidance,
    /// The encoded observation.
    pub observation: Vec<f32>,
    /// Whether every logit was finite. Where it was not, every choice is "no change".
    pub finite: bool,
}

/// A team of agents with one policy: greedy, masked, deterministic.
#[derive(Clone, Debug)]
pub struct Team {
    /// The newest decision.
    pub last: TeamDecision,
    policy: Policy,
    guides: Guides,
    history: History,
}

impl Team {
    /// A team of `scenario`.
    ///
    /// # Panics
    /// If the policy's layout is not the scenario's; [`crate::bundle::load`] checks it.
    #[must_use]
    pub fn new(policy: Policy, guides: Guides, scenario: &Scenario) -> Self {
        let _ = scenario;
        Self {
            last: TeamDecision::default(),
            history: guides.history(),
            policy,
            guides,
        }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The guides.
    #[must_use]
    pub fn guides(&self) -> &Guides {
        &self.guides
    }

    /// The memory that the guides have of the episode so far.
    pub fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }
}

impl Controller for Team {
    fn name(&self) -> &'static str {
        "KARMA"
    }

    fn reset(&mut self, _scenario: &Scenario, _seed: u64) {
        todo!("lands next")
    }

    fn decide(&mut self, _observation: &Observation, _desired: &mut [u32]) {
        todo!("lands next")
    }
}
