//! MAPPO, read top to bottom: a rollout, advantages, an update.
//!
//! Details that decide whether it learns are numbered where they stand. Sources: PPO (Schulman et
//! al., 2017), GAE (Schulman et al., 2016), MAPPO (Yu et al., 2022) and its code `on-policy`, and "The
//! 37 implementation details of PPO" (Huang et al., 2022).
//!
//! Nothing here depends on the number of threads: environments are cut into chunks of fixed size,
//! random numbers are keyed by iteration, step and environment, sums have a fixed order. There is no
//! generator whose state a checkpoint would have to keep.

use std::ops::Range;

use karma_cluster::seed::derive;
use karma_nn::{
    Activation, AdamStep, Heads, Learner, Mlp, MlpShape, Objective, SLOTS, Scratch,
    categorical::Distributions,
};
use rand::{Rng, seq::SliceRandom};
use rayon::prelude::*;

use super::{
    IterationMetrics,
    env::{Outcome, VecEnv},
    norm::ValueNorm,
};
use crate::policy::append_agent_rows;

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
    /// Ratio and value clip.
    pub clip: f64,
    /// Entropy coefficient at the start.
    pub entropy: f64,
    /// Passes over a rollout.
    pub epochs: u32,
    /// Minibatches per pass.
    pub minibatches: usize,
    /// Trains towards worse instead of better; only for the test that training matters.
    pub flip_advantage: bool,
}

/// A number that is not finite, and where it first appeared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Step of the rollout, or minibatch of the update.
    pub step: usize,
    /// Agent; `None` for all.
    pub agent: Option<usize>,
    /// What it was.
    pub term: &'static str,
}

/// Both networks with their optimisers, the environments, and the newest rollout.
#[derive(Debug)]
pub struct Mappo<E> {
    /// The environments.
    pub env: E,
    /// The policy: state and which agent asks, to logits. Shared by the agents.
    pub actor: Mlp,
    /// The value: state to one normalised return per agent.
    pub critic: Mlp,
    /// Optimiser of the policy.
    pub actor_learner: Learner,
    /// Optimiser of the value.
    pub critic_learner: Learner,
    /// Scale of returns.
    pub norm: ValueNorm,
    /// Iterations done.
    pub iteration: u32,
    settings: Settings,
    seed: u64,
    rollout: Rollout,
    lanes: Vec<Lane>,
    actor_works: Vec<ActorWork>,
    critic_works: Vec<f64>,
}

/// One rollout, step by step, environment by environment, agent by agent.
#[derive(Clone, Debug, Default)]
struct Rollout {
    envs: usize,
    agents: usize,
    width: usize,
    heads: usize,
    /// `(steps + 1) × envs × width`; the last is where the rollout stopped.
    states: Vec<f32>,
    masks: Vec<u8>,
    choices: Vec<u8>,
    /// Of the joint choice of an agent.
    log_probs: Vec<f32>,
    /// Team reward plus the agent's own.
    rewards: Vec<f32>,
    ends: Vec<End>,
    /// States that episodes were cut off in, in the order of their steps and environments.
    last_states: Vec<f32>,
    /// Normalised values of `states`, then of `last_states`.
    values: Vec<f32>,
    advantages: Vec<f32>,
    /// Raw, then normalised, targets of the critic.
    returns: Vec<f32>,
    order: Vec<u32>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
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
struct Lane {
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

impl<E: VecEnv> Mappo<E> {
    /// Fresh networks at iteration 0.
    #[must_use]
    pub fn new(env: E, settings: Settings, seed: u64) -> Self {
        let (agents, width, heads) = (env.agents(), env.width(), env.heads());
        let shape = |inputs, outputs| MlpShape {
            inputs,
            hidden: vec![settings.hidden; 2],
            outputs,
            // D1. tanh, as on-policy trains MPE with.
            activation: Activation::Tanh,
        };
        // D2. Orthogonal weights: gain √2 in hidden layers, 0.01 in the policy's head so that the
        // first policy is uniform, 1 in the value's; biases 0 (37 details, 2; on-policy).
        let actor = Mlp::new(
            shape(width + agents, heads.width()),
            &mut derive(seed, "actor", 0),
            0.01,
        );
        // D3. The critic is centralised: it sees the global state, once per step of an environment,
        // and has one output per agent, since agents share the team's reward but not what their
        // guides pay. Separate networks, separate optimisers (MAPPO).
        let critic = Mlp::new(shape(width, agents), &mut derive(seed, "critic", 0), 1.0);
        let envs = env.envs();
        let rollout = Rollout {
            envs,
            agents,
            width,
            heads: heads.heads,
            ..Rollout::default()
        };
        Self {
            actor_learner: Learner::new(&actor),
            critic_learner: Learner::new(&critic),
            norm: ValueNorm::default(),
            iteration: 0,
            lanes: vec![Lane::default(); envs.div_ceil(rollout.chunk())],
            actor_works: vec![ActorWork::default(); SLOTS],
            critic_works: vec![0.0; SLOTS],
            env,
            actor,
            critic,
            settings,
            seed,
            rollout,
        }
    }

    /// One rollout and its update.
    ///
    /// # Errors
    /// [`Fault`]; the networks may then hold a half-done update.
    pub fn iterate(&mut self) -> Result<IterationMetrics, Fault> {
        let mut metrics = IterationMetrics {
            iteration: self.iteration,
            env_steps: u64::from(self.iteration + 1)
                * (self.settings.steps * self.rollout.envs) as u64,
            ..IterationMetrics::default()
        };
        self.play(&mut metrics)?;
        self.estimate(&mut metrics)?;
        self.update(&mut metrics)?;
        self.iteration += 1;
        Ok(metrics)
    }

    // ---------------------------------------------------------------------------------- rollout

    /// Plays `steps` steps in every environment with the current policy.
    fn play(&mut self, metrics: &mut IterationMetrics) -> Result<(), Fault> {
        let steps = self.settings.steps;
        let rollout = &mut self.rollout;
        rollout.resize(steps, self.env.heads());
        let (envs, agents, width) = (rollout.envs, rollout.agents, rollout.width);
        let mut outcome = Outcome::new(envs, agents);
        let mut ended_states = vec![0.0; envs * width];
        let mut sums = [0.0_f64; 5];
        for step in 0..steps {
            let (rows, joint) = (envs * agents, envs * agents * rollout.heads);
            let state = &mut rollout.states[step * envs * width..(step + 1) * envs * width];
            self.env.observe(state);
            self.env
                .masks(&mut rollout.masks[step * joint..(step + 1) * joint]);
            rollout.act(
                step,
                &self.actor,
                self.env.heads(),
                (self.seed, self.iteration),
                &mut self.lanes,
            )?;
            let choices = &rollout.choices[step * joint..(step + 1) * joint];
            self.env.step(choices, &mut outcome);
            // D4. Every agent is paid the team's reward and what its own guides add.
            let rewards = &mut rollout.rewards[step * rows..(step + 1) * rows];
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
            for (reward, terms) in outcome.rewards.iter().zip(&outcome.terms) {
                sums[0] += f64::from(*reward);
                for (sum, term) in sums[1..4].iter_mut().zip(terms) {
                    *sum += f64::from(*term);
                }
            }
            sums[4] += outcome.extras.iter().map(|e| f64::from(*e)).sum::<f64>() / agents as f64;
            // D5. A time limit is no end: the value of the state in which an episode was cut off
            // stands for the future (Pardo et al., 2018; 37 details mention its absence as a bug).
            let ended = |e: usize| outcome.truncated[e] || outcome.terminated[e];
            if (0..envs).any(ended) {
                self.env.observe(&mut ended_states);
                for env in (0..envs).filter(|e| ended(*e)) {
                    rollout.ends[step * envs + env] = if outcome.terminated[env] {
                        End::Terminated
                    } else {
                        let at = rollout.last_states.len() / width;
                        let last = &ended_states[env * width..(env + 1) * width];
                        rollout.last_states.extend_from_slice(last);
                        End::Truncated(at as u32)
                    };
                }
                self.env.reset_ended();
            }
        }
        let last = &mut rollout.states[steps * envs * width..];
        self.env.observe(last);
        let count = (steps * envs) as f64;
        let [reward, resilience, success, pods, extra] = sums.map(|sum| sum / count);
        (metrics.reward, metrics.resilience) = (reward, resilience);
        (metrics.success, metrics.pods, metrics.guide_reward) = (success, pods, extra);
        let violated = rollout.choices.iter().zip(&rollout.masks);
        let violated = violated.filter(|(c, m)| (*m >> *c) & 1 == 0).count();
        metrics.mask_violation_rate = violated as f64 / rollout.choices.len() as f64;
        Ok(())
    }

    // ------------------------------------------------------------------------------- advantages

    /// Values of all states, advantages and returns.
    fn estimate(&mut self, metrics: &mut IterationMetrics) -> Result<(), Fault> {
        let rollout = &mut self.rollout;
        rollout.value_all(&self.critic)?;
        // D6. The critic speaks in normalised returns; advantages are taken in real ones (on-policy,
        // ValueNorm).
        let (gamma, lambda) = (self.settings.gamma, self.settings.gae_lambda);
        rollout.advantages(&self.norm, gamma as f32, lambda as f32);
        metrics.explained_variance = rollout.explained_variance(&self.norm);
        // D7. Statistics of returns move once per iteration, before the update, so that every
        // minibatch has the same targets; the old values, against which changes of the critic are
        // clipped, are brought to the new scale.
        let old = self.norm.clone();
        self.norm.update(&rollout.returns);
        for value in &mut rollout.values {
            *value = self.norm.normalize(old.denormalize(*value));
        }
        for target in &mut rollout.returns {
            *target = self.norm.normalize(*target);
        }
        // D8. Advantages are normalised over the whole rollout, once, ε = 1e-5 (on-policy; others do
        // it per minibatch).
        let count = rollout.advantages.len() as f64;
        let mean = rollout
            .advantages
            .iter()
            .map(|a| f64::from(*a))
            .sum::<f64>()
            / count;
        let square = |a: &f32| (f64::from(*a) - mean).powi(2);
        let deviation = (rollout.advantages.iter().map(square).sum::<f64>() / count).sqrt();
        let sign = if self.settings.flip_advantage {
            -1.0
        } else {
            1.0
        };
        for advantage in &mut rollout.advantages {
            *advantage = (sign * (f64::from(*advantage) - mean) / (deviation + 1e-5)) as f32;
        }
        Ok(())
    }

    // ----------------------------------------------------------------------------------- update

    /// Epochs of minibatches over the rollout.
    fn update(&mut self, metrics: &mut IterationMetrics) -> Result<(), Fault> {
        let settings = &self.settings;
        // D9. The learning rate falls linearly to 0 (37 details, 4), the entropy coefficient to a
        // tenth.
        let done = f64::from(self.iteration) / f64::from(settings.iterations.max(1));
        let left = (1.0 - done).max(0.0);
        let adam = AdamStep {
            learning_rate: (settings.learning_rate * left) as f32,
            // D10. Global gradient norm clipped to 0.5, each network by itself (37 details, 11). Adam
            // has ε = 1e-5 (37 details, 3).
            clip_norm: 0.5,
        };
        let entropy = settings.entropy * (0.1 + 0.9 * left);
        metrics.learning_rate = settings.learning_rate * left;
        let count = settings.steps * self.rollout.envs;
        let mut order = std::mem::take(&mut self.rollout.order);
        let mut tally = Tally::default();
        for epoch in 0..settings.epochs {
            // D11. Steps are shuffled anew each epoch (37 details, 6), all agents of a step together.
            order.clear();
            order.extend(0..count as u32);
            let index = u64::from(self.iteration) * u64::from(settings.epochs) + u64::from(epoch);
            order.shuffle(&mut derive(self.seed, "shuffle", index));
            let before = tally.clone();
            for minibatch in 0..settings.minibatches {
                let bound = |m: usize| m * count / settings.minibatches;
                let order = &order[bound(minibatch)..bound(minibatch + 1)];
                if order.is_empty() {
                    continue;
                }
                let rows = order.len() * self.rollout.agents;
                let objective = ActorObjective {
                    rollout: &self.rollout,
                    heads: self.env.heads(),
                    level: self.actor.level(),
                    order,
                    clip: settings.clip as f32,
                    entropy: entropy as f32,
                };
                self.actor_works
                    .iter_mut()
                    .for_each(|w| w.sums = Tally::default());
                self.actor_learner
                    .gradient(&self.actor, rows, &objective, &mut self.actor_works);
                self.actor_works.iter().for_each(|w| tally.add(&w.sums));
                let fault = |term| Fault {
                    step: minibatch,
                    agent: None,
                    term,
                };
                self.actor_learner
                    .step(&mut self.actor, adam)
                    .map_err(|_| fault("gradient of the policy"))?;
                let objective = CriticObjective {
                    rollout: &self.rollout,
                    order,
                    clip: settings.clip as f32,
                };
                self.critic_works.fill(0.0);
                self.critic_learner.gradient(
                    &self.critic,
                    order.len(),
                    &objective,
                    &mut self.critic_works,
                );
                tally.value_loss += self.critic_works.iter().sum::<f64>();
                self.critic_learner
                    .step(&mut self.critic, adam)
                    .map_err(|_| fault("gradient of the value"))?;
            }
            metrics.epochs = epoch + 1;
            // D12. An iteration stops early where the policy has moved too far from the one that
            // played (Spinning Up; stable-baselines).
            if (tally.kl - before.kl) / (tally.rows - before.rows).max(1.0) > KL_STOP {
                break;
            }
        }
        self.rollout.order = order;
        let rows = tally.rows.max(1.0);
        metrics.approx_kl = tally.kl / rows;
        metrics.clip_fraction = tally.clipped / rows;
        metrics.entropy = tally.entropy / rows;
        metrics.value_loss = tally.value_loss / rows;
        Ok(())
    }

    /// Ratio, clipping and divergence of the first minibatch of the newest rollout under the current
    /// policy: before any update, every ratio is one.
    #[doc(hidden)]
    pub fn probe(&mut self) -> Result<(f64, f64), Fault> {
        self.play(&mut IterationMetrics::default())?;
        self.estimate(&mut IterationMetrics::default())?;
        let order: Vec<u32> = (0..(self.settings.steps * self.rollout.envs) as u32).collect();
        let objective = ActorObjective {
            rollout: &self.rollout,
            heads: self.env.heads(),
            level: self.actor.level(),
            order: &order,
            clip: self.settings.clip as f32,
            entropy: 0.0,
        };
        let rows = order.len() * self.rollout.agents;
        self.actor_works
            .iter_mut()
            .for_each(|w| w.sums = Tally::default());
        self.actor_learner
            .gradient(&self.actor, rows, &objective, &mut self.actor_works);
        let mut tally = Tally::default();
        self.actor_works.iter().for_each(|w| tally.add(&w.sums));
        Ok((tally.largest, tally.clipped))
    }
}

/// Mean divergence of an epoch above which the iteration's update stops.
const KL_STOP: f64 = 0.03;

impl Rollout {
    /// Environments per chunk.
    fn chunk(&self) -> usize {
        (CHUNK_ROWS / self.agents).max(1)
    }

    fn resize(&mut self, steps: usize, heads: Heads) {
        let rows = steps * self.envs * self.agents;
        self.states
            .resize((steps + 1) * self.envs * self.width, 0.0);
        self.masks.resize(rows * heads.heads, 0);
        self.choices.resize(rows * heads.heads, 0);
        self.log_probs.resize(rows, 0.0);
        self.rewards.resize(rows, 0.0);
        self.advantages.resize(rows, 0.0);
        self.returns.resize(rows, 0.0);
        self.ends.clear();
        self.ends.resize(steps * self.envs, End::No);
        self.last_states.clear();
    }

    /// Draws the choices of all agents at `step`.
    fn act(
        &mut self,
        step: usize,
        actor: &Mlp,
        heads: Heads,
        (seed, iteration): (u64, u32),
        lanes: &mut [Lane],
    ) -> Result<(), Fault> {
        let (envs, agents, width, chunk) = (self.envs, self.agents, self.width, self.chunk());
        let steps = self.ends.len() / envs;
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

    /// Values of every state in the rollout and of every last state.
    fn value_all(&mut self, critic: &Mlp) -> Result<(), Fault> {
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

    /// D13. Generalised advantage estimation; the running sum is cut where an episode ends, by
    /// whatever end (Schulman et al., 2016).
    fn advantages(&mut self, norm: &ValueNorm, gamma: f32, lambda: f32) {
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
                // D14. The critic learns towards advantage + value, the λ-return (37 details, 5).
                self.returns[now] = sum + value;
            }
        }
    }

    /// Share of the variance of raw returns that values explain.
    fn explained_variance(&self, norm: &ValueNorm) -> f64 {
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

/// Sums over the rows of minibatches.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tally {
    rows: f64,
    kl: f64,
    clipped: f64,
    entropy: f64,
    value_loss: f64,
    /// Largest distance of a ratio from one.
    largest: f64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.kl += other.kl;
        self.clipped += other.clipped;
        self.entropy += other.entropy;
        self.value_loss += other.value_loss;
        self.largest = self.largest.max(other.largest);
    }
}

/// Buffers and sums of the policy's loss in one gradient slot.
#[derive(Clone, Debug, Default)]
struct ActorWork {
    of: Distributions,
    masks: Vec<u8>,
    choices: Vec<u8>,
    log_probs: Vec<f32>,
    entropy: Vec<f32>,
    ratios: Vec<f32>,
    by_entropy: Vec<f32>,
    sums: Tally,
}

/// The clipped surrogate on a minibatch; a row is one agent at one step.
struct ActorObjective<'a> {
    rollout: &'a Rollout,
    heads: Heads,
    level: karma_nn::Level,
    order: &'a [u32],
    clip: f32,
    entropy: f32,
}

impl ActorObjective<'_> {
    /// Index into the rollout of a row of the minibatch.
    fn at(&self, row: usize) -> usize {
        let agents = self.rollout.agents;
        self.order[row / agents] as usize * agents + row % agents
    }
}

impl Objective for ActorObjective<'_> {
    type Work = ActorWork;

    fn input(&self, row: usize, input: &mut [f32]) {
        let (width, agents) = (self.rollout.width, self.rollout.agents);
        let step = self.order[row / agents] as usize;
        input[..width].copy_from_slice(&self.rollout.states[step * width..(step + 1) * width]);
        input[width..].fill(0.0);
        input[width + row % agents] = 1.0;
    }

    fn loss(&self, rows: Range<usize>, out: &[f32], d_out: &mut [f32], work: &mut ActorWork) {
        let (heads, rollout) = (self.heads.heads, self.rollout);
        work.masks.clear();
        work.choices.clear();
        work.ratios.clear();
        for row in rows.clone() {
            let at = self.at(row) * heads;
            work.masks.extend_from_slice(&rollout.masks[at..at + heads]);
            work.choices
                .extend_from_slice(&rollout.choices[at..at + heads]);
        }
        // D15. The same masks in the rollout and here (Huang and Ontañón, 2022).
        self.heads
            .evaluate(self.level, out, &work.masks, &mut work.of);
        work.log_probs.resize(rows.len(), 0.0);
        work.entropy.resize(rows.len(), 0.0);
        self.heads.score(
            &work.of,
            &work.choices,
            &mut work.log_probs,
            &mut work.entropy,
        );
        let pairs = rows.clone().zip(&work.log_probs);
        work.ratios
            .extend(pairs.map(|(row, now)| now - rollout.log_probs[self.at(row)]));
        self.level.exponentials(&mut work.ratios);
        let scale = 1.0 / (self.order.len() * rollout.agents) as f32;
        for (i, row) in rows.clone().enumerate() {
            let at = self.at(row);
            let (ratio, advantage) = (work.ratios[i], rollout.advantages[at]);
            let log_ratio = work.log_probs[i] - rollout.log_probs[at];
            // D16. The clipped surrogate: no gradient where the ratio has already gone as far as it
            // may in the direction that the advantage wants.
            let far = (ratio - 1.0).abs() > self.clip;
            let spent = far && (ratio > 1.0) == (advantage > 0.0);
            work.log_probs[i] = if spent {
                0.0
            } else {
                -advantage * ratio * scale
            };
            // D17. KL by the estimator (r − 1) − ln r, never negative (Schulman, 2020).
            work.sums.kl += f64::from(ratio - 1.0 - log_ratio);
            work.sums.clipped += f64::from(u8::from(far));
            work.sums.entropy += f64::from(work.entropy[i]);
            work.sums.largest = work.sums.largest.max(f64::from((ratio - 1.0).abs()));
        }
        work.sums.rows += rows.len() as f64;
        // D18. Entropy, summed over heads, is part of the loss (37 details, 10).
        work.by_entropy.clear();
        work.by_entropy.resize(rows.len(), -self.entropy * scale);
        self.heads.gradient(
            &mut work.of,
            &work.choices,
            &work.log_probs,
            &work.by_entropy,
            d_out,
        );
    }
}

/// The clipped value loss on a minibatch; a row is one step of one environment.
struct CriticObjective<'a> {
    rollout: &'a Rollout,
    order: &'a [u32],
    clip: f32,
}

impl Objective for CriticObjective<'_> {
    type Work = f64;

    fn input(&self, row: usize, input: &mut [f32]) {
        let (step, width) = (self.order[row] as usize, self.rollout.width);
        input.copy_from_slice(&self.rollout.states[step * width..(step + 1) * width]);
    }

    fn loss(&self, rows: Range<usize>, out: &[f32], d_out: &mut [f32], sum: &mut f64) {
        let agents = self.rollout.agents;
        let scale = 1.0 / (self.order.len() * agents) as f32;
        for (i, row) in rows.enumerate() {
            let step = self.order[row] as usize * agents;
            for agent in 0..agents {
                let (value, at) = (out[i * agents + agent], step + agent);
                let (old, target) = (self.rollout.values[at], self.rollout.returns[at]);
                // D19. The worse of the plain and the clipped squared error, in normalised returns
                // (on-policy; 37 details, 9).
                let clipped = old + (value - old).clamp(-self.clip, self.clip);
                let (plain, held) = (value - target, clipped - target);
                let binding = held * held > plain * plain;
                let inside = (value - old).abs() <= self.clip;
                *sum += f64::from(0.5 * (plain * plain).max(held * held));
                d_out[i * agents + agent] = match (binding, inside) {
                    (false, _) => plain * scale,
                    (true, true) => held * scale,
                    (true, false) => 0.0,
                };
            }
        }
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
