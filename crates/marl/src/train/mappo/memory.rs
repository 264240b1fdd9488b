//! What a rollout leaves of one part of the environments, and what its steps were worth.

use std::ops::Range;

use karma_nn::Scratch;
use rayon::prelude::*;

use super::recollection::Recollection;
use crate::train::{
    Fault, Net,
    env::{Outcome, VecEnv},
    norm::ValueNorm,
    view::{Seen, Shape},
};

/// One rollout, step by step, environment by environment, agent by agent.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) shape: Shape,
    pub(super) envs: usize,
    /// Steps of a chunk, where networks remember; else 0.
    pub(super) sequence: usize,
    /// What policies remember.
    pub(super) actors: Recollection,
    /// What values remember.
    pub(super) critics: Recollection,
    /// `(steps + 1) × envs` cells; the last are where the rollout stopped.
    pub(super) seen: Seen,
    pub(super) masks: Vec<u8>,
    pub(super) choices: Vec<u8>,
    /// Of the joint choice of an agent.
    pub(super) log_probs: Vec<f32>,
    /// Team reward plus the agent's own.
    pub(super) rewards: Vec<f32>,
    pub(super) ends: Vec<End>,
    /// Cells that episodes were cut off in, in the order of their steps and environments.
    pub(super) last: Seen,
    /// Normalised values of `seen`, then of `last`.
    pub(super) values: Vec<f32>,
    pub(super) advantages: Vec<f32>,
    /// Raw, then normalised, targets of the critic.
    pub(super) returns: Vec<f32>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    /// It did not.
    #[default]
    No,
    /// The future is worth nothing.
    Terminated,
    /// The future is worth the value of this many'th last state.
    Truncated(u32),
}

/// Rows that are valued at a time.
const BLOCK_ROWS: usize = 96;

impl Memory {
    /// Nothing played yet.
    pub(super) fn new(shape: Shape, envs: usize, sequence: usize) -> Self {
        Self {
            shape,
            envs,
            sequence,
            actors: Recollection::default(),
            critics: Recollection::default(),
            seen: Seen::default(),
            masks: Vec::new(),
            choices: Vec::new(),
            log_probs: Vec::new(),
            rewards: Vec::new(),
            ends: Vec::new(),
            last: Seen::default(),
            values: Vec::new(),
            advantages: Vec::new(),
            returns: Vec::new(),
        }
    }

    /// Forgets, and makes room for `steps` steps.
    pub(super) fn resize(&mut self, steps: usize) {
        let cells = steps * self.envs;
        let rows = cells * self.shape.agents;
        self.seen.resize(self.shape, cells + self.envs);
        self.last.clear();
        self.masks.resize(cells * self.shape.joint(), 0);
        self.choices.resize(cells * self.shape.joint(), 0);
        self.log_probs.resize(rows, 0.0);
        self.rewards.resize(rows, 0.0);
        self.advantages.resize(rows, 0.0);
        self.returns.resize(rows, 0.0);
        self.ends.clear();
        self.ends.resize(cells, End::No);
    }

    /// Rows of one step: environments × agents.
    pub(super) fn row(&self) -> usize {
        self.envs * self.shape.agents
    }

    /// Whether a chunk begins with `step`.
    pub(super) fn begins_chunk(&self, step: usize) -> bool {
        self.sequence > 0 && step.is_multiple_of(self.sequence)
    }

    /// Steps of the newest rollout.
    pub(super) fn steps(&self) -> usize {
        self.ends.len() / self.envs
    }

    /// D4. Every agent is paid the team's reward and what its own guides add.
    pub(super) fn pay(&mut self, step: usize, outcome: &Outcome) -> Result<(), Fault> {
        let (rows, agents) = (self.row(), self.shape.agents);
        let rewards = &mut self.rewards[step * rows..(step + 1) * rows];
        for (row, reward) in rewards.iter_mut().enumerate() {
            *reward = outcome.rewards[row / agents] + outcome.extras[row];
            if !reward.is_finite() {
                return Err(Fault {
                    step,
                    agent: Some(row % agents),
                    term: "reward",
                });
            }
        }
        Ok(())
    }

    /// D5. A time limit is no end: the value of the state in which an episode was cut off stands for
    /// the future (Pardo et al., 2018; on-policy's `use_proper_time_limits`). `here` is what `env`,
    /// not yet reset, shows.
    pub(super) fn end(
        &mut self,
        step: usize,
        outcome: &Outcome,
        env: &impl VecEnv,
        here: &mut Seen,
    ) {
        here.resize(self.shape, self.envs);
        here.look(self.shape, env, 0);
        for env in 0..self.envs {
            let end = &mut self.ends[step * self.envs + env];
            if outcome.terminated[env] {
                *end = End::Terminated;
            } else if outcome.truncated[env] {
                *end = End::Truncated(self.last.cells(self.shape) as u32);
                self.last.push(self.shape, here, env);
            }
        }
        // D24. Whatever the end: the next episode remembers nothing of this one.
        for env in outcome.ended() {
            self.actors.now.forget(env);
        }
    }

    /// Number of choices made against a mask.
    pub(super) fn violations(&self) -> usize {
        let pairs = self.choices.iter().zip(&self.masks);
        let violated = pairs.filter(|(choice, mask)| (*mask >> *choice) & 1 == 0);
        violated.count()
    }

    /// Values of every cell of the rollout and of every last one.
    pub(super) fn value(&mut self, critics: &[Net]) -> Result<(), Fault> {
        let (agents, played) = (self.shape.agents, self.seen.cells(self.shape));
        self.make_room_for_values();
        self.critics.begin(critics, self.envs);
        for (index, net) in critics.iter().enumerate() {
            if net.mlp.shape().recurrent {
                self.value_in_order(net, index);
                continue;
            }
            let (of_played, of_last) = self.values.split_at_mut(played * agents);
            for (seen, values) in [(&self.seen, of_played), (&self.last, of_last)] {
                value(net, seen, agents, values);
            }
        }
        self.check_values()
    }

    /// Makes room for a value of every cell of the rollout and of every last one.
    pub(super) fn make_room_for_values(&mut self) {
        let cells = self.seen.cells(self.shape) + self.last.cells(self.shape);
        self.values.resize(cells * self.shape.agents, 0.0);
    }

    /// Names the first value that is not finite.
    pub(super) fn check_values(&self) -> Result<(), Fault> {
        let agents = self.shape.agents;
        match self.values.iter().position(|v| !v.is_finite()) {
            None => Ok(()),
            Some(at) => Err(Fault {
                step: self.step_of(at / agents),
                agent: Some(at % agents),
                term: "value",
            }),
        }
    }

    /// The step before which a cell was seen, or, of the last ones, in which it was cut off.
    fn step_of(&self, cell: usize) -> usize {
        let played = self.seen.cells(self.shape);
        let Some(last) = cell.checked_sub(played) else {
            return cell / self.envs;
        };
        let cut = End::Truncated(last as u32);
        let found = self.ends.iter().position(|end| *end == cut);
        found.map_or(self.steps(), |cell| cell / self.envs)
    }

    /// Values of a network that remembers: step after step, with the state that it has there. The
    /// state in which an episode was cut off goes on from what was remembered of that episode, and so
    /// does the state in which the rollout stopped; neither is a step of what follows.
    fn value_in_order(&mut self, net: &Net, index: usize) {
        let (agents, envs, row) = (self.shape.agents, self.envs, self.row());
        let (mut lane, played) = (Lane::default(), self.seen.cells(self.shape) * agents);
        let mut aside = Vec::new();
        for step in 0..self.steps() {
            if self.begins_chunk(step) {
                self.critics.mark(index);
            }
            let cells = step * envs..(step + 1) * envs;
            let values = &mut self.values[step * row..(step + 1) * row];
            let states = self.critics.now.of(index);
            lane.value(net, (&self.seen, cells.clone()), states, values);
            for (env, end) in self.ends[cells].iter().enumerate() {
                if let End::Truncated(last) = *end {
                    let last = last as usize;
                    aside.clear();
                    aside.extend_from_slice(self.critics.now.in_cell(index, env));
                    let at = played + last * agents;
                    let values = &mut self.values[at..at + agents];
                    let seen = (&self.last, last..last + 1);
                    lane.value(net, seen, &mut aside, values);
                }
                if *end != End::No {
                    self.critics.now.forget_of(index, env);
                }
            }
        }
        let steps = self.steps();
        aside.clear();
        aside.extend_from_slice(self.critics.now.of(index));
        let seen = (&self.seen, steps * envs..(steps + 1) * envs);
        let values = &mut self.values[steps * row..(steps + 1) * row];
        lane.value(net, seen, &mut aside, values);
    }

    /// D14. Generalised advantage estimation; the running sum is cut where an episode ends, by
    /// whatever end (Schulman et al., 2016).
    pub(super) fn estimate(&mut self, norm: &ValueNorm, gamma: f32, lambda: f32) {
        let (row, agents) = (self.row(), self.shape.agents);
        let played = self.seen.cells(self.shape);
        for at in 0..row {
            let (env, agent) = (at / agents, at % agents);
            let mut sum = 0.0;
            for step in (0..self.steps()).rev() {
                let now = step * row + at;
                let (future, carried) = match self.ends[step * self.envs + env] {
                    End::No => (norm.denormalize(self.values[now + row]), sum),
                    End::Terminated => (0.0, 0.0),
                    End::Truncated(last) => {
                        let last = (played + last as usize) * agents + agent;
                        (norm.denormalize(self.values[last]), 0.0)
                    }
                };
                let value = norm.denormalize(self.values[now]);
                let surprise = self.rewards[now] + gamma * future - value;
                sum = surprise + gamma * lambda * carried;
                self.advantages[now] = sum;
                // D15. The critic learns towards advantage + value, the λ-return (37 details, 5).
                self.returns[now] = sum + value;
            }
        }
    }

    /// Discounted rewards, with `beyond` for what lies beyond the rollout or a time limit.
    pub(super) fn returns_without_values(&mut self, gamma: f32, beyond: f32) {
        let row = self.row();
        for at in 0..row {
            let mut future = beyond;
            for step in (0..self.steps()).rev() {
                match self.ends[step * self.envs + at / self.shape.agents] {
                    End::No => {}
                    End::Terminated => future = 0.0,
                    End::Truncated(_) => future = beyond,
                }
                future = self.rewards[step * row + at] + gamma * future;
                self.returns[step * row + at] = future;
            }
        }
    }
}

/// Buffers of the way from what is seen to values.
#[derive(Default)]
struct Lane {
    scratch: Scratch,
    inputs: Vec<f32>,
    out: Vec<f32>,
}

impl Lane {
    /// Values that `net` gives `cells` of `seen`, for the agents it is of; `states` go one step
    /// further.
    fn value(
        &mut self,
        net: &Net,
        (seen, cells): (&Seen, Range<usize>),
        states: &mut [f32],
        values: &mut [f32],
    ) {
        let (view, width, outputs) = (&net.view, net.view.width(), net.mlp.shape().outputs);
        let rows = cells.len() * view.rows();
        self.inputs.resize(rows * width, 0.0);
        self.out.resize(rows * outputs, 0.0);
        for (row, input) in self.inputs.chunks_exact_mut(width).enumerate() {
            let cell = cells.start + row / view.rows();
            view.write(seen, cell, row % view.rows(), input);
        }
        net.run(&self.inputs, rows, states, &mut self.scratch, &mut self.out);
        view.deal(&self.out, outputs, values);
    }
}

/// Values that `net` gives the cells of `seen`, for the agents it is of.
fn value(net: &Net, seen: &Seen, agents: usize, values: &mut [f32]) {
    let block = (BLOCK_ROWS / net.view.rows()).max(1);
    values
        .par_chunks_mut(block * agents)
        .enumerate()
        .for_each_init(Lane::default, |lane, (index, values)| {
            let first = index * block;
            let cells = first..first + values.len() / agents;
            lane.value(net, (seen, cells), &mut [], values);
        });
}

#[cfg(test)]
mod tests;
