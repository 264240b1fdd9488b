//! The policy of a team: one actor network shared by its agents.

use karma_cluster::{Scenario, action::CHOICES};
use karma_nn::{Activation, Mlp, MlpShape};
use serde::{Deserialize, Serialize};

/// What a policy reads and writes, by name, so that it is only used where that means the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Services in order.
    pub services: Vec<String>,
    /// Agents in order, `name (role)`.
    pub agents: Vec<String>,
    /// Encoded numbers per service.
    pub per_service: usize,
    /// Choices per head.
    pub choices: usize,
    /// Widths of the network.
    pub shape: MlpShape,
}

impl Layout {
    /// The layout of a team of `scenario` with two hidden layers of `hidden`.
    #[must_use]
    pub fn new(scenario: &Scenario, hidden: usize) -> Self {
        let services: Vec<String> = scenario.services.iter().map(|s| s.name.clone()).collect();
        let agents: Vec<String> = scenario
            .team
            .agents
            .iter()
            .map(|a| format!("{} ({})", a.name, a.role))
            .collect();
        let per_service = karma_cluster::Encoder::PER_SERVICE;
        Self {
            shape: MlpShape {
                inputs: services.len() * per_service + agents.len() + services.len(),
                hidden: vec![hidden; 2],
                outputs: services.len() * CHOICES,
                activation: Activation::Tanh,
            },
            services,
            agents,
            per_service,
            choices: CHOICES,
        }
    }
}

/// An actor: encoded observation, which agent asks, and its own last changes, to the logits of one
/// head per service.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// What the numbers mean.
    pub layout: Layout,
    /// The network.
    pub actor: Mlp,
}

impl Policy {
    /// An untrained policy for `scenario`.
    #[must_use]
    pub fn untrained(_scenario: &Scenario, _hidden: usize, _seed: u64) -> Self {
        todo!("lands next")
    }
}
