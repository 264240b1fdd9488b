//! What the trainer needs of a world: many environments stepping together on flat arrays.

mod joint;
pub mod simple_spread;

use std::sync::Arc;

use karma_nn::{Heads, Mlp};

pub use joint::Joint;
pub use simple_spread::SimpleSpread;

/// Why a snapshot was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the snapshot of the environments does not fit: {0}")]
pub struct SnapshotError(pub String);

/// What one step gave, environment by environment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Reward of the team.
    pub rewards: Vec<f32>,
    /// What each agent gets on top (environments × agents).
    pub extras: Vec<f32>,
    /// Cut off by a time limit: the future has a value.
    pub truncated: Vec<bool>,
    /// Over: the future has none.
    pub terminated: Vec<bool>,
    /// Resilience, success and share of pods in use: for the log.
    pub terms: Vec<[f32; 3]>,
}

impl Outcome {
    /// Zeros for `envs` environments of `agents` agents.
    #[must_use]
    pub fn new(envs: usize, agents: usize) -> Self {
        Self {
            rewards: vec![0.0; envs],
            extras: vec![0.0; envs * agents],
            truncated: vec![false; envs],
            terminated: vec![false; envs],
            terms: vec![[0.0; 3]; envs],
        }
    }

    /// Environments that have come to an end, by whatever end.
    pub fn ended(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.rewards.len()).filter(|env| self.truncated[*env] || self.terminated[*env])
    }

    /// Whether any environment has come to an end.
    #[must_use]
    pub fn any_ended(&self) -> bool {
        self.truncated.contains(&true) || self.terminated.contains(&true)
    }
}

/// What an agent sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The global state, as every other agent does.
    State,
    /// An observation of its own, of so many numbers.
    Own(usize),
}

impl Sight {
    /// Numbers of an agent's own observation; 0 where it sees the state.
    #[must_use]
    pub fn own(self) -> usize {
        match self {
            Self::State => 0,
            Self::Own(width) => width,
        }
    }
}

/// Environments of one team, all of one shape.
///
/// A round is `observe → masks → step`, then, where some have ended, `observe` for the value of their
/// last state and `reset_ended`. The trainer takes several of them, plays each on a thread of its own
/// and never lets them meet: nothing that one does may depend on another.
pub trait VecEnv: Send {
    /// Environments.
    fn envs(&self) -> usize;

    /// Agents in each.
    fn agents(&self) -> usize;

    /// Heads and choices of each agent.
    fn heads(&self) -> Heads;

    /// Numbers of the global state.
    fn width(&self) -> usize;

    /// What agents see; the state unless said otherwise.
    fn sight(&self) -> Sight {
        Sight::State
    }

    /// Writes the global state of every environment, `envs × width`, and what every agent sees by
    /// itself, `envs × agents × sight().own()`.
    fn observe(&self, states: &mut [f32], own: &mut [f32]);

    /// Writes what is allowed now, `envs × agents × heads`, one bit per choice. Called once per step.
    fn masks(&mut self, out: &mut [u8]);

    /// Takes one step with `choices: envs × agents × heads`.
    fn step(&mut self, choices: &[u8], outcome: &mut Outcome);

    /// Starts those that have ended anew.
    fn reset_ended(&mut self);

    /// Learned opponents, in the order in which they joined, from now on; for environments that have
    /// any.
    fn face(&mut self, _rivals: &[Arc<Mlp>]) {}

    /// Everything that changes, so that [`Self::restore`] continues with the same bits.
    fn snapshot(&self) -> Vec<u8>;

    /// Continues where a snapshot of the same environments was taken.
    ///
    /// # Errors
    /// [`SnapshotError`] where it is of others.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError>;
}
