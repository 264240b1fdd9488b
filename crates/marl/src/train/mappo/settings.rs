//! What can be chosen of the algorithm; every variant is a choice here, never a copy.

use karma_cluster::scenario::{Algorithm, RecurrentSettings, TrainSettings};

/// What the critic reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CriticInput {
    /// The global state, once per step of an environment: MAPPO.
    #[default]
    Team,
    /// The global state, once per agent: MAPPO as most trainers write it, for comparison.
    State,
    /// What each agent sees: IPPO.
    Sight,
}

/// How networks that remember are trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recurrent {
    /// Steps that gradients go back through; rollouts are whole multiples of it.
    pub sequence: usize,
}

impl From<RecurrentSettings> for Recurrent {
    fn from(of: RecurrentSettings) -> Self {
        Self {
            sequence: of.sequence as usize,
        }
    }
}

/// Settings of the algorithm.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Iterations over which learning rate and entropy coefficient fall.
    pub iterations: u32,
    /// Steps per rollout and environment.
    pub steps: usize,
    /// Width of the two hidden layers of both networks.
    pub hidden: usize,
    /// Learning rate at the start.
    pub learning_rate: f64,
    /// Discount per step.
    pub gamma: f64,
    /// GAE λ.
    pub gae_lambda: f64,
    /// Ratio and value clip; infinite for none.
    pub clip: f64,
    /// Entropy coefficient at the start.
    pub entropy: f64,
    /// Share of it that is left at the end.
    pub entropy_left: f64,
    /// Mean divergence of an epoch above which the iteration's update stops.
    pub kl_stop: Option<f64>,
    /// Whether the critic learns returns on their own scale instead of [`ValueNorm`](crate::train::ValueNorm)'s.
    pub raw_values: bool,
    /// What the critic reads.
    pub critic: CriticInput,
    /// Which network each agent uses, from 0; empty for one that all share.
    pub sharing: Vec<usize>,
    /// Makes the second hidden layer of all networks a gated recurrent unit; none for networks that
    /// remember nothing.
    pub recurrent: Option<Recurrent>,
    /// Passes over a rollout.
    pub epochs: u32,
    /// Minibatches per pass.
    pub minibatches: usize,
    /// Weight of the loss that teaches the unmasked policy what masks allow.
    pub mask_loss: f64,
    /// Trains towards worse instead of better: the check that training matters.
    pub flip_advantage: bool,
}

/// Mean divergence of an epoch above which an iteration's update stops.
const KL_STOP: f64 = 0.03;

impl From<&TrainSettings> for Settings {
    /// How a scenario trains. What is its team's alone is left to whoever trains that: who shares a
    /// network, whether networks remember, and that one agent decides for all, which is a matter of
    /// the environment ([`Joint`](crate::train::env::Joint)).
    fn from(of: &TrainSettings) -> Self {
        let once = of.algorithm == Algorithm::A2c;
        Self {
            iterations: of.iterations,
            steps: of.steps as usize,
            hidden: of.hidden as usize,
            learning_rate: of.learning_rate,
            gamma: of.gamma,
            gae_lambda: of.gae_lambda,
            clip: if once { f64::INFINITY } else { of.clip },
            entropy: of.entropy,
            entropy_left: 0.1,
            kl_stop: Some(KL_STOP),
            raw_values: false,
            critic: match of.algorithm {
                Algorithm::Mappo | Algorithm::Ppo | Algorithm::A2c => CriticInput::Team,
                Algorithm::Ippo => CriticInput::Sight,
            },
            sharing: Vec::new(),
            recurrent: None,
            epochs: if once { 1 } else { of.epochs },
            minibatches: if once { 1 } else { of.minibatches as usize },
            mask_loss: of.mask_loss,
            flip_advantage: of.flip_advantage,
        }
    }
}
