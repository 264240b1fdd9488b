//! The greedy policy: the likeliest allowed choice, as a deployed team plays.

use karma_nn::categorical::Distributions;
use rayon::prelude::*;

use super::{
    Fault, Net,
    env::{Outcome, VecEnv},
    logits::Logits,
    states::States,
    view::{Seen, Shape},
};

/// Buffers of the greedy policy in one set of environments.
#[derive(Clone, Debug, Default)]
pub(super) struct Greedy {
    seen: Seen,
    states: States,
    logits: Logits,
    of: Distributions,
    masks: Vec<u8>,
    choices: Vec<u8>,
}

impl Greedy {
    /// What `actors` choose in `env` now. `step` is for faults only. Where episodes end in the step
    /// that follows, [`Self::forget`] is told.
    pub(super) fn choose(
        &mut self,
        env: &mut impl VecEnv,
        actors: &[Net],
        step: usize,
    ) -> Result<&[u8], Fault> {
        let (shape, envs) = (Shape::of(env), env.envs());
        self.seen.resize(shape, envs);
        self.seen.look(shape, env, 0);
        self.states.fit(actors, envs);
        self.masks.resize(envs * shape.joint(), 0);
        self.choices.resize(envs * shape.joint(), 0);
        env.masks(&mut self.masks);
        let logits = self
            .logits
            .of(shape, actors, &mut self.states, &self.seen, 0..envs)
            .map_err(|bad| Fault::of_logits(step, bad))?;
        let level = actors[0].mlp.level();
        shape
            .heads
            .evaluate(level, logits, &self.masks, &mut self.of);
        shape.heads.mode(&self.of, &mut self.choices);
        Ok(&self.choices)
    }

    /// What is remembered of the episodes that are being played; another's fits or is forgotten.
    pub(super) fn states_mut(&mut self) -> &mut States {
        &mut self.states
    }

    /// The same, to read.
    pub(super) fn states(&self) -> &States {
        &self.states
    }

    /// Remembers nothing of the episodes that have ended in a step.
    pub(super) fn forget(&mut self, outcome: &Outcome) {
        for env in outcome.ended() {
            self.states.forget(env);
        }
    }
}

/// Plays the greedy policy and gives the mean team reward per step.
///
/// # Errors
/// [`Fault`] where a logit or a reward is not finite.
pub fn play_greedily<E: VecEnv>(
    envs: &mut [E],
    actors: &[Net],
    steps: usize,
) -> Result<f64, Fault> {
    let count: usize = envs.iter().map(VecEnv::envs).sum();
    let sums: Vec<f64> = envs
        .par_iter_mut()
        .map(|env| sum_greedily(env, actors, steps))
        .collect::<Result<_, _>>()?;
    let mean = sums.iter().sum::<f64>() / (steps * count) as f64;
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

fn sum_greedily<E: VecEnv>(env: &mut E, actors: &[Net], steps: usize) -> Result<f64, Fault> {
    let mut greedy = Greedy::default();
    let mut outcome = Outcome::new(env.envs(), env.agents());
    let mut sum = 0.0;
    for step in 0..steps {
        let choices = greedy.choose(env, actors, step)?;
        env.step(choices, &mut outcome);
        sum += outcome.rewards.iter().map(|r| f64::from(*r)).sum::<f64>();
        greedy.forget(&outcome);
        env.reset_ended();
    }
    Ok(sum)
}
