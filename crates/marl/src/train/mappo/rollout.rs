//! What a rollout holds, how choices are drawn, and what they were worth.

use karma_cluster::seed::derive;
use karma_nn::{Heads, Mlp, Scratch, categorical::Distributions};
use rand::Rng;
use rayon::prelude::*;

use super::Fault;
use crate::{
    policy::append_agent_rows,
    train::{
        env::{Outcome, VecEnv},
        norm::ValueNorm,
    },
};

/// One rollout, step by step, environment by environment, agent by agent.
#[derive(Clone, Debug)]
pub(super) struct Rollout {
    pub(super) envs: usize,
    pub(super) agents: usize,
    pub(super) width: usize,
    pub(super) heads: Heads,
    /// `(steps + 1) × envs × width`; the last is where the rollout stopped.
    pub(super) states: Vec<f32>,
    pub(super) masks: Vec<u8>,
    pub(super) choices: Vec<u8>,
    /// Of the joint choice of an agent.
    pub(super) log_probs: Vec<f32>,
    /// Team reward plus the agent's own.
    pub(super) rewards: Vec<f32>,
    pub(super) ends: Vec<End>,
    /// States that episodes were cut off in, in the order of their steps and environments.
    pub(super) last_states: Vec<f32>,
    /// Normalised values of `states`, then of `last_states`.
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

/// Buffers of one chunk of environments during a rollout.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    scratch: Scratch,
    inputs: Vec<f32>,
    logits: Vec<f32>,
    uniform: Vec<f32>,
    entropy: Vec<f32>,
    of: Distributions,
    /// First agent whose logits were not finite.
    fault: Option<usize>,
}

/// Rows that a chunk of a rollout holds at most, or one environment.
const CHUNK_ROWS: usize = 96;

impl Rollout {
    /// Nothing played yet.
    pub(super) fn new(envs: usize, agents: usize, width: usize, heads: Heads) -> Self {
        Self {
            envs,
            agents,
            width,
            heads,
            states: Vec::new(),
            masks: Vec::new(),
            choices: Vec::new(),
            log_probs: Vec::new(),
            rewards: Vec::new(),
            ends: Vec::new(),
            last_states: Vec::new(),
            values: Vec::new(),
            advantages: Vec::new(),
            returns: Vec::new(),
        }
    }

    /// Environments per chunk.
    pub(super) fn chunk(&self) -> usize {
        (CHUNK_ROWS / self.agents).max(1)
    }

    pub(super) fn resize(&mut self, steps: usize) {
        let rows = steps * self.envs * self.agents;
        self.states
            .resize((steps + 1) * self.envs * self.width, 0.0);
        self.masks.resize(rows * self.heads.heads, 0);
        self.choices.resize(rows * self.heads.heads, 0);
        self.log_probs.resize(rows, 0.0);
        self.rewards.resize(rows, 0.0);
        self.advantages.resize(rows, 0.0);
        self.returns.resize(rows, 0.0);
        self.ends.clear();
        self.ends.resize(steps * self.envs, End::No);
        self.last_states.clear();
    }

    /// Draws the choices of all agents at `step`.
    pub(super) fn act(
        &mut self,
        step: usize,
        actor: &Mlp,
        (seed, iteration): (u64, u32),
        lanes: &mut [Lane],
    ) -> Result<(), Fault> {
        let (envs, agents, width, chunk) = (self.envs, self.agents, self.width, self.chunk());
        let (steps, heads) = (self.ends.len() / envs, self.heads);
        let joint = agents * heads.heads;
        let states = &self.states[step * envs * width..(step + 1) * envs * width];
        let masks = &self.masks[step * envs * joint..(step + 1) * envs * joint];
        let choices = &mut self.choices[step * envs * joint..(step + 1) * envs * joint];
        let log_probs = &mut self.log_probs[step * envs * agents..(step + 1) * envs * agents];
        states
            .par_chunks(chunk * width)
            .zip(masks.par_chunks(chunk * joint))
            .zip(choices.par_chunks_mut(chunk * joint))
            .zip(log_probs.par_chunks_mut(chunk * agents))
            .zip(lanes.par_iter_mut())
            .enumerate()
            .for_each(|(index, ((((states, masks), choices), log_probs), lane))| {
                lane.read(states, width, agents);
                lane.decide(actor, heads, masks);
                lane.uniform.clear();
                for env in 0..states.len() / width {
                    // One stream per iteration, step and environment: no state to keep.
                    let at = u64::from(iteration) * steps as u64 + step as u64;
                    let at = at * envs as u64 + (index * chunk + env) as u64;
                    let mut stream = derive(seed, "choices", at);
                    lane.uniform
                        .extend((0..joint).map(|_| stream.r#gen::<f32>()));
                }
                heads.sample(&lane.of, &lane.uniform, choices);
                lane.entropy.resize(log_probs.len(), 0.0);
                heads.score(&lane.of, choices, log_probs, &mut lane.entropy);
                lane.fault = lane.first_fault(heads, agents);
            });
        lanes
            .iter()
            .find_map(|lane| lane.fault)
            .map_or(Ok(()), |agent| {
                Err(Fault {
                    step,
                    agent: Some(agent),
                    term: "logits",
                })
            })
    }

    /// D4. Every agent is paid the team's reward and what its own guides add.
    pub(super) fn pay(&mut self, step: usize, outcome: &Outcome) -> Result<(), Fault> {
        let (rows, agents) = (self.envs * self.agents, self.agents);
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
    /// the future (Pardo et al., 2018; on-policy's `use_proper_time_limits`).
    pub(super) fn end(&mut self, step: usize, outcome: &Outcome, states: &[f32]) {
        for env in 0..self.envs {
            let end = &mut self.ends[step * self.envs + env];
            if outcome.terminated[env] {
                *end = End::Terminated;
            } else if outcome.truncated[env] {
                *end = End::Truncated((self.last_states.len() / self.width) as u32);
                let last = &states[env * self.width..(env + 1) * self.width];
                self.last_states.extend_from_slice(last);
            }
        }
    }

    /// Share of choices made against a mask.
    pub(super) fn mask_violation_rate(&self) -> f64 {
        let pairs = self.choices.iter().zip(&self.masks);
        let violated = pairs.filter(|(choice, mask)| (*mask >> *choice) & 1 == 0);
        violated.count() as f64 / self.choices.len() as f64
    }

    /// Values of every state in the rollout and of every last state.
    pub(super) fn value_all(&mut self, critic: &Mlp) -> Result<(), Fault> {
        let (width, agents) = (self.width, self.agents);
        let (played, last) = (self.states.len() / width, self.last_states.len() / width);
        self.values.resize((played + last) * agents, 0.0);
        let (of_states, of_last) = self.values.split_at_mut(played * agents);
        for (states, values) in [(&self.states, of_states), (&self.last_states, of_last)] {
            states
                .par_chunks(CHUNK_ROWS * width)
                .zip(values.par_chunks_mut(CHUNK_ROWS * agents))
                .for_each_init(Scratch::default, |scratch, (states, values)| {
                    critic.forward(states, states.len() / width, scratch, values);
                });
        }
        match self.values.iter().position(|v| !v.is_finite()) {
            None => Ok(()),
            Some(at) => Err(Fault {
                step: at / agents / self.envs,
                agent: Some(at % agents),
                term: "value",
            }),
        }
    }

    /// D14. Generalised advantage estimation; the running sum is cut where an episode ends, by
    /// whatever end (Schulman et al., 2016).
    pub(super) fn advantages(&mut self, norm: &ValueNorm, gamma: f32, lambda: f32) {
        let row = self.envs * self.agents;
        let played = self.states.len() / self.width;
        for at in 0..row {
            let (env, agent) = (at / self.agents, at % self.agents);
            let mut sum = 0.0;
            for step in (0..self.ends.len() / self.envs).rev() {
                let now = step * row + at;
                let (future, carried) = match self.ends[step * self.envs + env] {
                    End::No => (norm.denormalize(self.values[now + row]), sum),
                    End::Terminated => (0.0, 0.0),
                    End::Truncated(last) => {
                        let last = (played + last as usize) * self.agents + agent;
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

    /// Discounted rewards, with their long-run mean for what lies beyond the rollout or a time limit.
    pub(super) fn returns_without_values(&mut self, gamma: f32) {
        let row = self.envs * self.agents;
        let sum: f64 = self.rewards.iter().map(|r| f64::from(*r)).sum();
        let beyond = sum as f32 / self.rewards.len() as f32 / (1.0 - gamma).max(1e-3);
        for at in 0..row {
            let mut future = beyond;
            for step in (0..self.ends.len() / self.envs).rev() {
                match self.ends[step * self.envs + at / self.agents] {
                    End::No => {}
                    End::Terminated => future = 0.0,
                    End::Truncated(_) => future = beyond,
                }
                future = self.rewards[step * row + at] + gamma * future;
                self.returns[step * row + at] = future;
            }
        }
    }

    /// Share of the variance of raw returns that values explain.
    pub(super) fn explained_variance(&self, norm: &ValueNorm) -> f64 {
        let count = self.returns.len() as f64;
        let mean = self.returns.iter().map(|r| f64::from(*r)).sum::<f64>() / count;
        let (mut left, mut all) = (0.0, 0.0);
        for (target, value) in self.returns.iter().zip(&self.values) {
            left += f64::from(target - norm.denormalize(*value)).powi(2);
            all += (f64::from(*target) - mean).powi(2);
        }
        if all > 0.0 { 1.0 - left / all } else { 0.0 }
    }
}

impl Lane {
    /// Builds the actor's inputs: the state, and one of `agents` flags.
    fn read(&mut self, states: &[f32], width: usize, agents: usize) {
        self.inputs.clear();
        for state in states.chunks_exact(width) {
            append_agent_rows(state, agents, &mut self.inputs);
        }
    }

    /// Distributions of all rows of the chunk.
    fn decide(&mut self, actor: &Mlp, heads: Heads, masks: &[u8]) {
        let rows = self.inputs.len() / actor.shape().inputs;
        self.logits.resize(rows * heads.width(), 0.0);
        actor.forward(&self.inputs, rows, &mut self.scratch, &mut self.logits);
        heads.evaluate(actor.level(), &self.logits, masks, &mut self.of);
    }

    fn first_fault(&self, heads: Heads, agents: usize) -> Option<usize> {
        let bad = self.logits.iter().position(|v| !v.is_finite())?;
        Some(bad / heads.width() % agents)
    }
}

/// Plays the greedy policy and gives the mean team reward per step.
///
/// # Errors
/// [`Fault`] where a logit or a reward is not finite.
pub fn play_greedily<E: VecEnv>(env: &mut E, actor: &Mlp, steps: usize) -> Result<f64, Fault> {
    let (envs, agents, width, heads) = (env.envs(), env.agents(), env.width(), env.heads());
    let (chunk, joint) = ((CHUNK_ROWS / agents).max(1), agents * heads.heads);
    let mut states = vec![0.0; envs * width];
    let (mut masks, mut choices) = (vec![0; envs * joint], vec![0; envs * joint]);
    let mut lanes = vec![Lane::default(); envs.div_ceil(chunk)];
    let mut outcome = Outcome::new(envs, agents);
    let mut sum = 0.0;
    for step in 0..steps {
        env.observe(&mut states);
        env.masks(&mut masks);
        states
            .par_chunks(chunk * width)
            .zip(masks.par_chunks(chunk * joint))
            .zip(choices.par_chunks_mut(chunk * joint))
            .zip(lanes.par_iter_mut())
            .for_each(|(((states, masks), choices), lane)| {
                lane.read(states, width, agents);
                lane.decide(actor, heads, masks);
                heads.mode(&lane.of, choices);
                lane.fault = lane.first_fault(heads, agents);
            });
        if let Some(agent) = lanes.iter().find_map(|lane| lane.fault) {
            return Err(Fault {
                step,
                agent: Some(agent),
                term: "logits",
            });
        }
        env.step(&choices, &mut outcome);
        sum += outcome.rewards.iter().map(|r| f64::from(*r)).sum::<f64>();
        env.reset_ended();
    }
    let mean = sum / (steps * envs) as f64;
    if mean.is_finite() {
        Ok(mean)
    } else {
        Err(Fault {
            step: steps,
            agent: None,
            term: "reward",
        })
    }
}

#[cfg(test)]
mod tests;
