//! The policy of a team: its actor networks, and which agents each of them decides for.

use karma_cluster::{
    Encoder, Scenario,
    action::CHOICES,
    scenario::{Algorithm, Sharing, TrainSettings},
    seed,
};
use karma_nn::{Activation, Heads, Level, Mlp, MlpShape, Scratch};
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
    /// Which actor each agent uses, from 0, in the order in which agents first use them.
    pub sharing: Vec<usize>,
    /// Whether one actor makes the choices of all agents together, in one row of outputs.
    pub joint: bool,
    /// Widths of every actor.
    pub shape: MlpShape,
}

impl Layout {
    /// The layout of a team of `scenario`, as its `train` has it but with hidden layers of `hidden`.
    #[must_use]
    pub fn new(scenario: &Scenario, hidden: usize) -> Self {
        let settings = TrainSettings {
            hidden: hidden as u32,
            ..scenario.train
        };
        Self::of(scenario, &settings)
    }

    /// The layout of a team of `scenario` that is trained with `settings`.
    #[must_use]
    pub fn of(scenario: &Scenario, settings: &TrainSettings) -> Self {
        let joint = settings.algorithm == Algorithm::Ppo;
        let body = (
            vec![settings.hidden as usize; 2],
            settings.recurrent.is_some(),
        );
        Self::shaped(scenario, sharing(scenario, settings.sharing), joint, body)
    }

    /// The layout of a team of `scenario` whose actors are shared and shaped so.
    pub(crate) fn shaped(
        scenario: &Scenario,
        sharing: Vec<usize>,
        joint: bool,
        (hidden, recurrent): (Vec<usize>, bool),
    ) -> Self {
        let services: Vec<String> = scenario.services.iter().map(|s| s.name.clone()).collect();
        let agents: Vec<String> = scenario
            .team
            .agents
            .iter()
            .map(|a| format!("{} ({})", a.name, a.role))
            .collect();
        let (askers, together) = if joint {
            (1, agents.len())
        } else {
            (agents.len(), 1)
        };
        Self {
            shape: MlpShape {
                inputs: services.len() * Encoder::PER_SERVICE + askers,
                hidden,
                outputs: together * services.len() * CHOICES,
                activation: Activation::Tanh,
                recurrent,
            },
            services,
            agents,
            per_service: Encoder::PER_SERVICE,
            choices: CHOICES,
            sharing,
            joint,
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

    /// Who asks an actor: every agent, or once for all of them.
    #[must_use]
    pub fn askers(&self) -> usize {
        if self.joint { 1 } else { self.agents.len() }
    }

    /// Numbers of what a team remembers between windows: one state per asker; 0 where actors remember
    /// nothing.
    #[must_use]
    pub fn state(&self) -> usize {
        self.askers() * self.shape.state()
    }

    /// Number of actors.
    #[must_use]
    pub fn actors(&self) -> usize {
        self.sharing.iter().max().map_or(0, |last| last + 1)
    }

    /// Who asks `actor`, in order.
    pub fn askers_of(&self, actor: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.askers()).filter(move |asker| self.sharing[*asker] == actor)
    }
}

/// The actor of each agent of `scenario`, numbered as agents first use them.
fn sharing(scenario: &Scenario, sharing: Sharing) -> Vec<usize> {
    let agents = &scenario.team.agents;
    let mut roles: Vec<&str> = Vec::new();
    let actors = agents.iter().enumerate().map(|(agent, of)| match sharing {
        Sharing::All => 0,
        Sharing::Agent => agent,
        Sharing::Role => {
            let known = roles.iter().position(|role| *role == of.role);
            known.unwrap_or_else(|| {
                roles.push(&of.role);
                roles.len() - 1
            })
        }
    });
    actors.collect()
}

/// Actors: encoded observation, which agent asks and what it remembers, to the logits of one head per
/// service.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// What the numbers mean.
    pub layout: Layout,
    /// The networks, all of the layout's shape.
    pub actors: Vec<Mlp>,
}

/// Buffers of [`Policy::logits`], reused between calls.
#[derive(Clone, Debug, Default)]
pub struct PolicyScratch {
    inputs: Vec<f32>,
    outputs: Vec<f32>,
    states: Vec<f32>,
    network: Scratch,
}

impl Policy {
    /// An untrained policy for `scenario`: what training with `seed` starts from, were its hidden
    /// layers of `hidden`.
    #[must_use]
    pub fn untrained(scenario: &Scenario, hidden: usize, seed: u64) -> Self {
        let layout = Layout::new(scenario, hidden);
        let actors = (0..layout.actors() as u64).map(|actor| {
            let mut rng = seed::derive(seed, "actor", actor);
            Mlp::new(layout.shape.clone(), &mut rng, 0.01)
        });
        Self {
            actors: actors.collect(),
            layout,
        }
    }

    /// The instruction set in use.
    #[must_use]
    pub fn level(&self) -> Level {
        self.actors.first().map_or_else(Level::best, Mlp::level)
    }

    /// Logits of every agent, agents × services × choices, for one encoded observation. `state` is
    /// what was remembered before and is then what is remembered after ([`Layout::state`] numbers);
    /// zeros remember nothing.
    ///
    /// # Panics
    /// If `observation` or `state` is not as long as the layout says.
    pub fn logits(
        &self,
        observation: &[f32],
        state: &mut [f32],
        scratch: &mut PolicyScratch,
        logits: &mut Vec<f32>,
    ) {
        let width = self.layout.shape.state();
        assert_eq!(state.len(), self.layout.state());
        let (layout, askers) = (&self.layout, self.layout.askers());
        let (inputs, outputs) = (layout.shape.inputs, layout.shape.outputs);
        assert_eq!(observation.len() + askers, inputs);
        logits.resize(askers * outputs, 0.0);
        for (index, actor) in self.actors.iter().enumerate() {
            scratch.inputs.clear();
            scratch.states.clear();
            for asker in layout.askers_of(index) {
                scratch.inputs.extend_from_slice(observation);
                let flags = (0..askers).map(|a| f32::from(u8::from(a == asker)));
                scratch.inputs.extend(flags);
                let of_asker = asker * width..(asker + 1) * width;
                scratch.states.extend_from_slice(&state[of_asker]);
            }
            let rows = scratch.inputs.len() / inputs;
            scratch.outputs.resize(rows * outputs, 0.0);
            let (network, out) = (&mut scratch.network, &mut scratch.outputs);
            if width > 0 {
                actor.step(&scratch.inputs, rows, &mut scratch.states, network, out);
            } else {
                actor.forward(&scratch.inputs, rows, network, out);
            }
            for (row, asker) in layout.askers_of(index).enumerate() {
                let out = &out[row * outputs..(row + 1) * outputs];
                logits[asker * outputs..(asker + 1) * outputs].copy_from_slice(out);
                let after = &scratch.states[row * width..(row + 1) * width];
                state[asker * width..(asker + 1) * width].copy_from_slice(after);
            }
        }
    }
}
