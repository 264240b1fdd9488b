//! Playing: choices drawn from the policy.

use karma_cluster::seed::derive;
use karma_nn::categorical::Distributions;
use rand::Rng;

use super::memory::Memory;
use crate::train::{
    Fault, Net,
    env::{Outcome, VecEnv},
    logits::{Logits, NotFinite},
    states::States,
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
    first: usize,
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
        let (shape, envs) = (self.memory.shape, self.memory.envs);
        let joint = envs * shape.joint();
        self.memory.resize(steps);
        self.memory.actors.begin(actors, envs);
        self.sums = Sums::default();
        for step in 0..steps {
            let memory = &mut self.memory;
            if memory.begins_chunk(step) {
                (0..actors.len()).for_each(|index| memory.actors.mark(index));
            }
            memory.seen.look(shape, &self.env, step * envs);
            let span = step * joint..(step + 1) * joint;
            let masks = &mut memory.masks[span.clone()];
            self.env.masks(masks);
            self.lane
                .decide(
                    shape,
                    (actors, &mut memory.actors.now),
                    (&memory.seen, step * envs),
                    masks,
                )
                .map_err(|bad| Fault::of_logits(step, bad))?;
            // One stream per iteration, step and environment: no state to keep.
            let at = u64::from(key.iteration) * steps as u64 + step as u64;
            let at = at * key.envs as u64 + self.first as u64;
            let choices = &mut memory.choices[span];
            let log_probs = &mut memory.log_probs[step * envs * shape.agents..];
            self.lane.draw(
                shape,
                (key.seed, at),
                choices,
                &mut log_probs[..envs * shape.agents],
            );
            self.env.step(choices, &mut self.outcome);
            memory.pay(step, &self.outcome)?;
            self.count();
            if self.outcome.any_ended() {
                self.memory
                    .end(step, &self.outcome, &self.env, &mut self.here);
                self.env.reset_ended();
            }
        }
        self.memory.seen.look(shape, &self.env, steps * envs);
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
    /// Distributions of all agents in the cells of `masks`, from cell `first` of `seen` on.
    fn decide(
        &mut self,
        shape: Shape,
        (actors, states): (&[Net], &mut States),
        (seen, first): (&Seen, usize),
        masks: &[u8],
    ) -> Result<(), NotFinite> {
        let cells = first..first + masks.len() / shape.joint();
        let logits = self.logits.of(shape, actors, states, seen, cells)?;
        let level = actors[0].mlp.level();
        shape.heads.evaluate(level, logits, masks, &mut self.of);
        Ok(())
    }

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
