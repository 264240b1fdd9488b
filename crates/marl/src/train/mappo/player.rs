//! Playing: choices drawn from the policy.

use std::ops::Range;

use karma_cluster::seed::derive;
use karma_nn::categorical::Distributions;
use rand::Rng;

use super::memory::Memory;
use crate::train::{
    Fault, Net,
    env::{Outcome, VecEnv},
    logits::Logits,
    view::{Seen, Shape},
};

/// One part of the environments, which plays a whole rollout on one thread and waits for nobody.
#[derive(Clone, Debug)]
pub(super) struct Player<E> {
    pub(super) env: E,
    pub(super) memory: Memory,
    /// Of the newest rollout: see [`Sums`].
    pub(super) sums: Sums,
    /// Number of its first environment among all.
    pub(super) first: usize,
    lane: Lane,
    outcome: Outcome,
    here: Seen,
}

/// Sums over the steps of a rollout: team reward, three terms of it, and the agents' mean extra.
pub(super) type Sums = [f64; 5];

/// What the random numbers of a rollout depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) seed: u64,
    pub(super) iteration: u32,
    /// Environments of all players.
    pub(super) envs: usize,
}

/// Buffers of the way from what is seen to choices.
#[derive(Clone, Debug, Default)]
struct Lane {
    logits: Logits,
    uniform: Vec<f32>,
    entropy: Vec<f32>,
    of: Distributions,
}

impl<E: VecEnv> Player<E> {
    pub(super) fn new(env: E, first: usize, sequence: usize) -> Self {
        let shape = Shape::of(&env);
        Self {
            memory: Memory::new(shape, env.envs(), sequence),
            sums: Sums::default(),
            outcome: Outcome::new(env.envs(), env.agents()),
            lane: Lane::default(),
            here: Seen::default(),
            env,
            first,
        }
    }

    /// Plays `steps` steps with the current policy.
    pub(super) fn play(&mut self, steps: usize, actors: &[Net], key: Key) -> Result<(), Fault> {
        self.begin(steps, actors);
        for step in 0..steps {
            self.look(step);
            self.decide(step, actors)?;
            self.act(step, key)?;
        }
        self.look(steps);
        Ok(())
    }

    /// Forgets the newest rollout and makes room for one of `steps` steps.
    pub(super) fn begin(&mut self, steps: usize, actors: &[Net]) {
        self.memory.resize(steps);
        self.memory.actors.begin(actors, self.memory.envs);
        self.sums = Sums::default();
    }

    /// Takes in what is seen before `step`, and what is allowed unless it is the end.
    pub(super) fn look(&mut self, step: usize) {
        let span = self.choices_of(step);
        let memory = &mut self.memory;
        memory
            .seen
            .look(memory.shape, &self.env, step * memory.envs);
        if step < memory.steps() {
            self.env.masks(&mut memory.masks[span]);
        }
    }

    /// Where the choices of all agents in `step` lie.
    fn choices_of(&self, step: usize) -> Range<usize> {
        let joint = self.memory.envs * self.memory.shape.joint();
        step * joint..(step + 1) * joint
    }

    /// Distributions of `step` by `actors`.
    fn decide(&mut self, step: usize, actors: &[Net]) -> Result<(), Fault> {
        let span = self.choices_of(step);
        let memory = &mut self.memory;
        if memory.begins_chunk(step) {
            (0..actors.len()).for_each(|index| memory.actors.mark(index));
        }
        let cells = step * memory.envs..(step + 1) * memory.envs;
        let states = &mut memory.actors.now;
        let logits = self
            .lane
            .logits
            .of(memory.shape, actors, states, &memory.seen, cells);
        let logits = logits.map_err(|bad| Fault::of_logits(step, bad))?;
        let (level, masks) = (actors[0].mlp.level(), &memory.masks[span]);
        let heads = memory.shape.heads;
        heads.evaluate(level, logits, masks, &mut self.lane.of);
        Ok(())
    }

    /// Distributions of `step` by `logits` that were computed elsewhere.
    #[cfg(any(test, feature = "candle"))]
    pub(super) fn follow(&mut self, step: usize, logits: &[f32]) -> Result<(), Fault> {
        let shape = self.memory.shape;
        crate::train::logits::check(shape, logits).map_err(|bad| Fault::of_logits(step, bad))?;
        let masks = &self.memory.masks[self.choices_of(step)];
        shape
            .heads
            .evaluate(karma_nn::Level::best(), logits, masks, &mut self.lane.of);
        Ok(())
    }

    /// Draws the choices of `step` and takes it.
    pub(super) fn act(&mut self, step: usize, key: Key) -> Result<(), Fault> {
        let span = self.choices_of(step);
        let memory = &mut self.memory;
        let (shape, row) = (memory.shape, memory.row());
        // One stream per iteration, step and environment: no state to keep.
        let at = u64::from(key.iteration) * memory.steps() as u64 + step as u64;
        let at = at * key.envs as u64 + self.first as u64;
        let choices = &mut memory.choices[span];
        let log_probs = &mut memory.log_probs[step * row..(step + 1) * row];
        self.lane.draw(shape, (key.seed, at), choices, log_probs);
        self.env.step(choices, &mut self.outcome);
        memory.pay(step, &self.outcome)?;
        self.count();
        if self.outcome.any_ended() {
            self.memory
                .end(step, &self.outcome, &self.env, &mut self.here);
            self.env.reset_ended();
        }
        Ok(())
    }

    fn count(&mut self) {
        let agents = self.memory.shape.agents as f64;
        let Outcome {
            rewards,
            extras,
            terms,
            ..
        } = &self.outcome;
        for (reward, terms) in rewards.iter().zip(terms) {
            self.sums[0] += f64::from(*reward);
            for (sum, term) in self.sums[1..4].iter_mut().zip(terms) {
                *sum += f64::from(*term);
            }
        }
        self.sums[4] += extras.iter().map(|e| f64::from(*e)).sum::<f64>() / agents;
    }
}

impl Lane {
    /// Draws choices, with one random stream per cell from number `at` on.
    fn draw(
        &mut self,
        shape: Shape,
        (seed, at): (u64, u64),
        choices: &mut [u8],
        log_probs: &mut [f32],
    ) {
        self.uniform.clear();
        for cell in 0..choices.len() / shape.joint() {
            let mut stream = derive(seed, "choices", at + cell as u64);
            self.uniform
                .extend((0..shape.joint()).map(|_| stream.r#gen::<f32>()));
        }
        shape.heads.sample(&self.of, &self.uniform, choices);
        self.entropy.resize(log_probs.len(), 0.0);
        shape
            .heads
            .score(&self.of, choices, log_probs, &mut self.entropy);
    }
}

/// Numbers of all agents in all environments, step by step, so that sums over them do not depend on
/// how environments are dealt to players.
pub(super) fn in_order<E>(
    players: &[Player<E>],
    steps: usize,
    of: fn(&Memory) -> &[f32],
) -> impl Iterator<Item = &f32> + Clone {
    each_in_order(players, steps, 1, of)
}

/// The same, of whatever has `numbers` for every agent.
pub(super) fn each_in_order<E, T: Copy + 'static>(
    players: &[Player<E>],
    steps: usize,
    numbers: usize,
    of: fn(&Memory) -> &[T],
) -> impl Iterator<Item = &T> + Clone {
    (0..steps).flat_map(move |step| {
        players.iter().flat_map(move |player| {
            let row = player.memory.row() * numbers;
            &of(&player.memory)[step * row..(step + 1) * row]
        })
    })
}
