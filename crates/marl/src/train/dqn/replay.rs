//! What is remembered of one part of the environments: the newest steps, in a ring.

use std::ops::Range;

use crate::train::{
    Fault,
    env::{Outcome, VecEnv},
    view::{Seen, Shape},
};

/// The newest `capacity` steps. A cell is one environment at one step; slot `s` holds cells
/// `s · envs ..`.
#[derive(Clone, Debug)]
pub(super) struct Replay {
    shape: Shape,
    envs: usize,
    capacity: usize,
    /// Steps taken in all.
    steps: usize,
    pub(super) seen: Seen,
    /// What was seen after the step, before a reset.
    after: Seen,
    masks: Vec<u8>,
    chosen: Vec<u8>,
    /// Team reward plus the agent's own.
    rewards: Vec<f32>,
    ends: Vec<End>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    No,
    Terminated,
    Truncated,
}

/// The slot of the step being taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    first: usize,
    envs: usize,
}

impl Slot {
    pub(super) fn cells(self) -> Range<usize> {
        self.first..self.first + self.envs
    }
}

/// A remembered step and where its rewards lead.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) cell: usize,
    /// Cells whose rewards count, oldest first, `cell` among them.
    pub(super) path: Vec<usize>,
    pub(super) future: Future,
}

/// What stands for the rewards after the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Future {
    /// Nothing: the episode was over.
    None,
    /// The value of what was seen in this cell.
    Cell(usize),
    /// The value of what was seen after this cell, where a time limit cut the episode off.
    After(usize),
}

impl Replay {
    pub(super) fn new(shape: Shape, envs: usize, capacity: usize) -> Self {
        let cells = envs * capacity;
        let (mut seen, mut after) = (Seen::default(), Seen::default());
        seen.resize(shape, cells);
        after.resize(shape, cells);
        Self {
            shape,
            envs,
            capacity,
            steps: 0,
            seen,
            after,
            masks: vec![0; cells * shape.joint()],
            chosen: vec![0; cells * shape.joint()],
            rewards: vec![0.0; cells * shape.agents],
            ends: vec![End::No; cells],
        }
    }

    /// Writes what `env` shows and allows into the slot of the oldest step.
    pub(super) fn begin(&mut self, env: &mut impl VecEnv) -> Slot {
        let first = self.steps % self.capacity * self.envs;
        self.seen.look(self.shape, env, first);
        let joint = self.shape.joint();
        env.masks(&mut self.masks[first * joint..(first + self.envs) * joint]);
        Slot {
            first,
            envs: self.envs,
        }
    }

    fn span(&self, slot: Slot) -> Range<usize> {
        let joint = self.shape.joint();
        slot.first * joint..(slot.first + self.envs) * joint
    }

    /// Masks of the step being taken, and room for its choices.
    pub(super) fn choices(&mut self, slot: Slot) -> (&[u8], &mut [u8]) {
        let span = self.span(slot);
        (&self.masks[span.clone()], &mut self.chosen[span])
    }

    pub(super) fn chosen(&self, slot: Slot) -> &[u8] {
        &self.chosen[self.span(slot)]
    }

    /// Choices made in one cell.
    pub(super) fn chosen_at(&self, cell: usize) -> &[u8] {
        let joint = self.shape.joint();
        &self.chosen[cell * joint..(cell + 1) * joint]
    }

    /// Remembers what came of the step, number `step` of those being played.
    pub(super) fn end(
        &mut self,
        slot: Slot,
        step: usize,
        outcome: &Outcome,
        env: &impl VecEnv,
    ) -> Result<(), Fault> {
        let agents = self.shape.agents;
        self.after.look(self.shape, env, slot.first);
        for (row, extra) in outcome.extras.iter().enumerate() {
            let reward = outcome.rewards[row / agents] + extra;
            if !reward.is_finite() {
                return Err(Fault {
                    step,
                    agent: Some(row % agents),
                    term: "reward",
                });
            }
            self.rewards[slot.first * agents + row] = reward;
        }
        for env in 0..self.envs {
            self.ends[slot.first + env] = match (outcome.terminated[env], outcome.truncated[env]) {
                (true, _) => End::Terminated,
                (false, true) => End::Truncated,
                (false, false) => End::No,
            };
        }
        self.steps += 1;
        Ok(())
    }

    /// The step at share `at` of what is remembered of `env`, with up to `n` steps of reward; none
    /// while less than `n` + 1 steps are remembered.
    pub(super) fn sample(&self, env: usize, at: f64, n: usize) -> Option<Sample> {
        let kept = self.steps.min(self.capacity);
        let (oldest, usable) = (self.steps - kept, kept.checked_sub(n)?);
        if usable == 0 {
            return None;
        }
        let step = oldest + ((at * usable as f64) as usize).min(usable - 1);
        let cell = |step: usize| step % self.capacity * self.envs + env;
        let mut path = Vec::with_capacity(n);
        for ahead in step..step + n {
            path.push(cell(ahead));
            let future = match self.ends[cell(ahead)] {
                // Q6. A time limit is no end: what was seen when it came is valued.
                End::Truncated => Future::After(cell(ahead)),
                End::Terminated => Future::None,
                End::No => continue,
            };
            return Some(Sample {
                cell: cell(step),
                path,
                future,
            });
        }
        let future = Future::Cell(cell(step + n));
        Some(Sample {
            cell: cell(step),
            path,
            future,
        })
    }

    /// Copies the state that `sample` leads to, and what is allowed there, into `cell` of `seen` and
    /// `masks`. What was allowed after a step that ended an episode nobody asked: there, the masks
    /// of the step itself stand.
    pub(super) fn future(&self, sample: &Sample, cell: usize, seen: &mut Seen, masks: &mut [u8]) {
        let (from, of) = match sample.future {
            Future::None => (&self.seen, sample.cell),
            Future::Cell(of) => (&self.seen, of),
            Future::After(of) => (&self.after, of),
        };
        seen.copy(self.shape, cell, from, of);
        let joint = self.shape.joint();
        masks.copy_from_slice(&self.masks[of * joint..(of + 1) * joint]);
    }

    /// Q7. The n-step target, Σ γᵏ r + γⁿ value, of each head; `targets` holds the values on entry.
    pub(super) fn add_rewards(&self, sample: &Sample, gamma: f32, targets: &mut [f32]) {
        let (agents, heads) = (self.shape.agents, self.shape.heads.heads);
        for (agent, targets) in targets.chunks_exact_mut(heads).enumerate() {
            for target in targets {
                let mut sum = match sample.future {
                    Future::None => 0.0,
                    Future::Cell(_) | Future::After(_) => *target,
                };
                for cell in sample.path.iter().rev() {
                    sum = self.rewards[cell * agents + agent] + gamma * sum;
                }
                *target = sum;
            }
        }
    }
}

#[cfg(test)]
mod tests;
