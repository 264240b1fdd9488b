//! A team seen as one agent.

use karma_nn::Heads;

use super::{Outcome, Sight, SnapshotError, VecEnv};

/// Environments whose agents are one: it sees what they all see, has all their heads, and is paid what
/// they are paid on average. MAPPO on it is PPO of a single agent.
#[derive(Clone, Debug)]
pub struct Joint<E> {
    team: E,
    outcome: Outcome,
}

impl<E: VecEnv> Joint<E> {
    /// The agents of `team` as one.
    #[must_use]
    pub fn new(team: E) -> Self {
        Self {
            outcome: Outcome::new(team.envs(), team.agents()),
            team,
        }
    }
}

impl<E: VecEnv> VecEnv for Joint<E> {
    fn envs(&self) -> usize {
        self.team.envs()
    }

    fn agents(&self) -> usize {
        1
    }

    fn heads(&self) -> Heads {
        let Heads { heads, choices } = self.team.heads();
        Heads {
            heads: heads * self.team.agents(),
            choices,
        }
    }

    fn width(&self) -> usize {
        self.team.width()
    }

    fn sight(&self) -> Sight {
        match self.team.sight() {
            Sight::State => Sight::State,
            Sight::Own(width) => Sight::Own(width * self.team.agents()),
        }
    }

    fn observe(&self, states: &mut [f32], own: &mut [f32]) {
        self.team.observe(states, own);
    }

    fn masks(&mut self, out: &mut [u8]) {
        self.team.masks(out);
    }

    fn step(&mut self, choices: &[u8], outcome: &mut Outcome) {
        self.team.step(choices, &mut self.outcome);
        let (agents, of) = (self.team.agents(), &self.outcome);
        outcome.rewards.copy_from_slice(&of.rewards);
        outcome.truncated.copy_from_slice(&of.truncated);
        outcome.terminated.copy_from_slice(&of.terminated);
        outcome.terms.copy_from_slice(&of.terms);
        for (mean, extras) in outcome
            .extras
            .iter_mut()
            .zip(of.extras.chunks_exact(agents))
        {
            *mean = extras.iter().sum::<f32>() / agents as f32;
        }
    }

    fn reset_ended(&mut self) {
        self.team.reset_ended();
    }

    fn snapshot(&self) -> Vec<u8> {
        self.team.snapshot()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        self.team.restore(snapshot)
    }
}
