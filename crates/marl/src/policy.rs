//! The policy of a team: one actor network shared by its agents.

use karma_cluster::{Encoder, Scenario, action::CHOICES, seed};
use karma_nn::{Activation, Heads, Mlp, MlpShape, Scratch};
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
        Self {
            shape: MlpShape {
                inputs: services.len() * Encoder::PER_SERVICE + agents.len(),
                hidden: vec![hidden; 2],
                outputs: services.len() * CHOICES,
                activation: Activation::Tanh,
            },
            services,
            agents,
            per_service: Encoder::PER_SERVICE,
            choices: CHOICES,
        }
    }

    /// The heads of one agent.
    #[must_use]
    pub fn heads(&self) -> Heads {
        Heads {
            heads: self.services.len(),
            choices: self.choices,
        }
    }
}

/// An actor: encoded observation and which agent asks, to the logits of one head per service.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// What the numbers mean.
    pub layout: Layout,
    /// The network.
    pub actor: Mlp,
}

/// Buffers of [`Policy::logits`], reused between calls.
#[derive(Clone, Debug, Default)]
pub struct PolicyScratch {
    inputs: Vec<f32>,
    network: Scratch,
}

impl Policy {
    /// An untrained policy for `scenario`: what training with `seed` starts from.
    #[must_use]
    pub fn untrained(scenario: &Scenario, hidden: usize, seed: u64) -> Self {
        let layout = Layout::new(scenario, hidden);
        let actor = Mlp::new(
            layout.shape.clone(),
            &mut seed::derive(seed, "actor", 0),
            0.01,
        );
        Self { layout, actor }
    }

    /// Logits of every agent, agents × services × choices, for one encoded observation.
    ///
    /// # Panics
    /// If `observation` is not as long as the layout says.
    pub fn logits(&self, observation: &[f32], scratch: &mut PolicyScratch, logits: &mut Vec<f32>) {
        let agents = self.layout.agents.len();
        assert_eq!(observation.len() + agents, self.layout.shape.inputs);
        agent_rows(observation, agents, &mut scratch.inputs);
        logits.resize(agents * self.layout.shape.outputs, 0.0);
        self.actor
            .forward(&scratch.inputs, agents, &mut scratch.network, logits);
    }
}

/// Appends nothing but rows: one per agent, the observation followed by one flag per agent.
pub(crate) fn agent_rows(observation: &[f32], agents: usize, rows: &mut Vec<f32>) {
    rows.clear();
    append_agent_rows(observation, agents, rows);
}

/// Appends one row per agent: the observation followed by one flag per agent.
pub(crate) fn append_agent_rows(observation: &[f32], agents: usize, rows: &mut Vec<f32>) {
    for agent in 0..agents {
        rows.extend_from_slice(observation);
        rows.extend((0..agents).map(|a| f32::from(u8::from(a == agent))));
    }
}
