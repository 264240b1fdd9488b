//! MAPPO, read top to bottom: a rollout, advantages, an update.
//!
//! Details that decide whether it learns are numbered where they stand: D1 and D2 in `net`, D3 and D25
//! in `networks`, D4, D5, D14, D15 and D24 in `memory`, D16 to D21 in `losses`, D22 and D23 in
//! `recollection`. Sources: PPO (Schulman et al., 2017), GAE (Schulman et al., 2016), MAPPO (Yu et
//! al., 2022) and its code `on-policy`, and "The 37 implementation details of PPO" (Huang et al., 2022).
//!
//! Nothing here depends on the number of threads: environments are cut into chunks of fixed size,
//! random numbers are keyed by iteration, step and environment, sums have a fixed order. There is no
//! generator whose state a checkpoint would have to keep.

mod cost;
#[cfg(any(test, feature = "candle"))]
mod device;
mod engine;
mod losses;
mod memory;
mod networks;
#[cfg(not(any(test, feature = "candle")))]
mod no_device;
mod player;
mod recollection;
mod settings;
#[cfg(test)]
mod tests;
mod update;

use karma_cluster::seed::derive;
use karma_nn::AdamStep;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use self::{
    engine::{Engine, Weights},
    losses::Tally,
    memory::Memory,
    networks::{actors, critics},
    player::{Key, Player, in_order},
    update::{Buffers, Minibatches, Update},
};
use super::{
    Fault, IterationMetrics, Net, env::VecEnv, norm::ValueNorm, states::States, view::Shape,
};

pub use cost::Cost;
pub use settings::{CriticInput, Recurrent, Settings};

/// The networks with their optimisers, the environments, and the newest rollout.
#[derive(Debug)]
pub struct Mappo<E> {
    /// Policies: what an agent sees, to its logits.
    pub actors: Vec<Net>,
    /// Values: to one normalised return per agent.
    pub critics: Vec<Net>,
    /// Scale of returns.
    pub norm: ValueNorm,
    /// Iterations done.
    pub iteration: u32,
    settings: Settings,
    seed: u64,
    players: Vec<Player<E>>,
    buffers: Buffers,
    /// What computes networks, where it is not this processor.
    engine: Option<Box<dyn Engine<E>>>,
}

/// Where a cell lies: whose memory, and which of its cells.
#[derive(Clone, Copy, Debug)]
struct Place {
    player: u32,
    cell: u32,
}

impl<E: VecEnv> Mappo<E> {
    /// Fresh networks at iteration 0. Each of `envs` is played by one thread at a time; results do
    /// not depend on which.
    ///
    /// # Panics
    /// If there are none, or `settings.sharing` does not
    /// fit, or a rollout does not have whole sequences.
    #[must_use]
    pub fn new(envs: Vec<E>, settings: Settings, seed: u64) -> Self {
        let shape = Shape::of(&envs[0]);
        let sequence = settings.recurrent.map_or(0, |of| of.sequence);
        assert!(
            settings.recurrent.is_none() || settings.steps.is_multiple_of(sequence),
            "rollouts of whole sequences"
        );
        let actors = actors(shape, &settings, seed);
        let critics = critics(shape, &settings, seed);
        let mut first = 0;
        let mut players = Vec::new();
        for env in envs {
            let count = env.envs();
            let mut player = Player::new(env, first, sequence);
            player.memory.actors.begin(&actors, count);
            player.memory.critics.begin(&critics, count);
            players.push(player);
            first += count;
        }
        Self {
            actors,
            critics,
            norm: ValueNorm::default(),
            iteration: 0,
            buffers: Buffers::default(),
            engine: None,
            players,
            settings,
            seed,
        }
    }

    /// The environments.
    pub fn envs(&self) -> impl Iterator<Item = &E> {
        self.players.iter().map(|player| &player.env)
    }

    /// The environments, to change them.
    pub fn envs_mut(&mut self) -> impl Iterator<Item = &mut E> {
        self.players.iter_mut().map(|player| &mut player.env)
    }

    /// Whether networks remember.
    pub(super) fn is_recurrent(&self) -> bool {
        self.settings.recurrent.is_some()
    }

    /// What networks remember of the environments, part by part: policies, then values.
    pub(super) fn states(&self) -> Vec<[States; 2]> {
        let of = |memory: &Memory| [&memory.actors, &memory.critics].map(|of| of.now.clone());
        self.players.iter().map(|p| of(&p.memory)).collect()
    }

    /// Remembers what [`Self::states`] of the same environments and networks gave; else gives back
    /// `false`.
    pub(super) fn remember(&mut self, states: Vec<[States; 2]>) -> bool {
        let now = self.states();
        let pairs = || now.iter().flatten().zip(states.iter().flatten());
        if now.len() != states.len() || !pairs().all(|(now, then)| now.is_like(then)) {
            return false;
        }
        for (player, [actors, critics]) in self.players.iter_mut().zip(states) {
            (player.memory.actors.now, player.memory.critics.now) = (actors, critics);
        }
        true
    }

    /// Cells of one step.
    fn width(&self) -> usize {
        self.players.iter().map(|p| p.memory.envs).sum()
    }

    /// One rollout and its update.
    ///
    /// # Errors
    /// [`Fault`]; the networks may then hold a half-done update.
    pub fn iterate(&mut self) -> Result<IterationMetrics, Fault> {
        // On a thread of the pool: asking it from outside, for every minibatch, wakes it each time.
        rayon::scope(|_| {
            let mut metrics = self.play()?;
            self.learn(&mut metrics)?;
            Ok(metrics)
        })
    }

    // ---------------------------------------------------------------------------------- rollout

    /// First half of [`Self::iterate`]: plays `steps` steps in every environment with the current
    /// policy and values them.
    ///
    /// # Errors
    /// [`Fault`]; nothing has been learned then.
    pub fn play(&mut self) -> Result<IterationMetrics, Fault> {
        let (steps, envs) = (self.settings.steps, self.width());
        let key = Key {
            seed: self.seed,
            iteration: self.iteration,
            envs,
        };
        let (actors, critics) = (&self.actors, &self.critics);
        if let Some(engine) = &mut self.engine {
            engine.play(&mut self.players, [actors, critics], steps, key)?;
        } else {
            let players = self.players.par_iter_mut().with_max_len(1);
            let played = players.map(|player| {
                player.play(steps, actors, key)?;
                player.memory.value(critics)
            });
            Fault::first_of(played.collect())?;
        }
        let count = (steps * envs) as f64;
        let mut sums = player::Sums::default();
        let mut violations = 0;
        for player in &self.players {
            for (sum, of) in sums.iter_mut().zip(player.sums) {
                *sum += of / count;
            }
            violations += player.memory.violations();
        }
        let [reward, resilience, success, pods, guide_reward] = sums;
        let joint = self.players[0].memory.shape.joint();
        let mut metrics = IterationMetrics {
            iteration: self.iteration,
            env_steps: u64::from(self.iteration + 1) * (steps * envs) as u64,
            reward,
            resilience,
            success,
            pods,
            guide_reward,
            mask_violation_rate: violations as f64 / (count * joint as f64),
            ..IterationMetrics::default()
        };
        self.estimate(&mut metrics);
        Ok(metrics)
    }

    // ------------------------------------------------------------------------------- advantages

    /// Advantages and returns.
    fn estimate(&mut self, metrics: &mut IterationMetrics) {
        // D6. The critic speaks in normalised returns; advantages are taken in real ones (on-policy,
        // ValueNorm).
        let (gamma, lambda) = (self.settings.gamma as f32, self.settings.gae_lambda as f32);
        let steps = self.settings.steps;
        // D7. Before the first update the scale comes from rewards alone. Returns bootstrapped from an
        // untrained critic creep to theirs over dozens of iterations, and a clipped critic after them.
        if self.norm.is_fresh() && !self.settings.raw_values {
            let rewards = in_order(&self.players, steps, |m| &m.rewards);
            let (count, sum) = (
                rewards.clone().count(),
                rewards.map(|r| f64::from(*r)).sum::<f64>(),
            );
            // Beyond lies the long-run mean.
            let beyond = sum as f32 / count as f32 / (1.0 - gamma).max(1e-3);
            for player in &mut self.players {
                player.memory.returns_without_values(gamma, beyond);
            }
            self.norm
                .update(in_order(&self.players, steps, |m| &m.returns));
        }
        let norm = &self.norm;
        self.players
            .par_iter_mut()
            .for_each(|player| player.memory.estimate(norm, gamma, lambda));
        metrics.explained_variance = self.explained_variance();
        if !self.settings.raw_values {
            self.rescale();
        }
        // D9. Advantages are normalised over the whole rollout, once, ε = 1e-5 (on-policy; others do
        // it per minibatch).
        let all = in_order(&self.players, steps, |m| &m.advantages);
        let count = all.clone().count() as f64;
        let mean = all.clone().map(|a| f64::from(*a)).sum::<f64>() / count;
        let square = |a: &f32| (f64::from(*a) - mean).powi(2);
        let deviation = (all.map(square).sum::<f64>() / count).sqrt();
        let sign = if self.settings.flip_advantage {
            -1.0
        } else {
            1.0
        };
        for player in &mut self.players {
            for advantage in &mut player.memory.advantages {
                *advantage = (sign * (f64::from(*advantage) - mean) / (deviation + 1e-5)) as f32;
            }
        }
    }

    /// D8. Statistics of returns move once per iteration, before the update, so that every minibatch
    /// has the same targets; the old values, against which changes of the critic are clipped, are
    /// brought to the new scale.
    fn rescale(&mut self) {
        let old = self.norm.clone();
        let returns = in_order(&self.players, self.settings.steps, |m| &m.returns);
        self.norm.update(returns);
        let norm = &self.norm;
        for player in &mut self.players {
            for value in &mut player.memory.values {
                *value = norm.normalize(old.denormalize(*value));
            }
            for target in &mut player.memory.returns {
                *target = norm.normalize(*target);
            }
        }
    }

    /// Share of the variance of raw returns that values explain.
    fn explained_variance(&self) -> f64 {
        let steps = self.settings.steps;
        let returns = in_order(&self.players, steps, |m| &m.returns);
        let count = returns.clone().count() as f64;
        let mean = returns.clone().map(|r| f64::from(*r)).sum::<f64>() / count;
        let values = in_order(&self.players, steps, |m| &m.values);
        let (mut left, mut all) = (0.0, 0.0);
        for (target, value) in returns.zip(values) {
            left += f64::from(target - self.norm.denormalize(*value)).powi(2);
            all += (f64::from(*target) - mean).powi(2);
        }
        if all > 0.0 { 1.0 - left / all } else { 0.0 }
    }

    // ----------------------------------------------------------------------------------- update

    /// Second half of [`Self::iterate`]: epochs of minibatches over what was played. Adds to what
    /// [`Self::play`] gave.
    ///
    /// # Errors
    /// [`Fault`]; the networks may then hold a half-done update.
    pub fn learn(&mut self, metrics: &mut IterationMetrics) -> Result<(), Fault> {
        let done = f64::from(self.iteration) / f64::from(self.settings.iterations.max(1));
        let left = (1.0 - done).max(0.0);
        let weights = self.weights(left);
        metrics.learning_rate = self.settings.learning_rate * left;
        let places = self.places();
        let mut order = Vec::new();
        let mut tally = Tally::default();
        for epoch in 0..self.settings.epochs {
            // D12. Steps are shuffled anew each epoch (37 details, 6), all agents of a step together.
            order.clone_from(&places);
            let index = u64::from(self.iteration) * u64::from(self.settings.epochs);
            order.shuffle(&mut derive(self.seed, "shuffle", index + u64::from(epoch)));
            let before = tally.clone();
            self.epoch(&order, weights, &mut tally)?;
            metrics.epochs = epoch + 1;
            // D13. An iteration stops early where the policy has moved too far from the one that
            // played (Spinning Up; stable-baselines).
            let kl = (tally.kl - before.kl) / (tally.rows - before.rows).max(1.0);
            if self.settings.kl_stop.is_some_and(|most| kl > most) {
                break;
            }
        }
        if let Some(engine) = &mut self.engine {
            engine.finish([&mut self.actors, &mut self.critics])?;
        }
        let rows = tally.rows.max(1.0);
        metrics.approx_kl = tally.kl / rows;
        metrics.clip_fraction = tally.clipped / rows;
        metrics.entropy = tally.entropy / rows;
        metrics.value_loss = tally.value_loss / rows;
        let heads = self.players[0].memory.shape.heads.heads as f64;
        metrics.forbidden_mass =
            (weights.mask_loss > 0.0).then(|| tally.forbidden / (rows * heads));
        self.iteration += 1;
        Ok(())
    }

    /// How an update weighs with `left` of the training to come.
    fn weights(&self, left: f64) -> Weights {
        let (settings, kept) = (&self.settings, self.settings.entropy_left);
        Weights {
            adam: AdamStep {
                // D10. The learning rate falls linearly to 0 (37 details, 4), the entropy coefficient
                // to a tenth.
                learning_rate: (settings.learning_rate * left) as f32,
                // D11. Global gradient norm clipped to 0.5, each network by itself (37 details, 11).
                // Adam has ε = 1e-5 (37 details, 3).
                clip_norm: 0.5,
            },
            entropy: (settings.entropy * (kept + (1.0 - kept) * left)) as f32,
            clip: settings.clip as f32,
            mask_loss: settings.mask_loss as f32,
        }
    }

    /// Every cell, or the first of every chunk, step by step over all environments, so that their
    /// order does not depend on how environments are dealt to players.
    fn places(&self) -> Vec<Place> {
        (0..self.settings.steps)
            .step_by(self.settings.recurrent.map_or(1, |of| of.sequence))
            .flat_map(|step| {
                let players = self.players.iter().zip(0..);
                players.flat_map(move |(player, number)| {
                    let envs = player.memory.envs;
                    (step * envs..(step + 1) * envs).map(move |cell| Place {
                        player: number,
                        cell: cell as u32,
                    })
                })
            })
            .collect()
    }

    /// One step of all networks on every minibatch of the cells in `order`.
    fn epoch(&mut self, order: &[Place], weights: Weights, tally: &mut Tally) -> Result<(), Fault> {
        let count = self.settings.minibatches;
        let minibatches = Minibatches { order, count };
        if let Some(engine) = &mut self.engine {
            let nets = [&self.actors[..], &self.critics];
            for (step, order) in minibatches.parts() {
                engine
                    .minibatch(&self.players, nets, order, weights, tally)
                    .map_err(|term| Fault {
                        step,
                        agent: None,
                        term,
                    })?;
            }
            return Ok(());
        }
        let update = Update {
            memories: &memories(&self.players),
            recurrent: self.settings.recurrent,
            weights,
        };
        let nets = [&mut self.actors[..], &mut self.critics];
        update.epoch(minibatches, nets, &mut self.buffers, tally)
    }

    /// Plays, and gives the largest distance of a ratio from one and the number of clipped ratios
    /// under the policy that played: both zero, unless rollout and update disagree.
    ///
    /// # Errors
    /// [`Fault`] as [`Self::iterate`].
    #[doc(hidden)]
    pub fn probe(&mut self) -> Result<(f64, f64), Fault> {
        self.play()?;
        let tally = self.ratios();
        Ok((tally.largest, tally.clipped))
    }

    /// What the policies' losses tally of the newest rollout.
    fn ratios(&mut self) -> Tally {
        let order = self.places();
        let update = Update {
            memories: &memories(&self.players),
            recurrent: self.settings.recurrent,
            weights: self.weights(1.0),
        };
        update.tally(&order, &mut self.actors, &mut self.buffers)
    }
}

fn memories<E>(players: &[Player<E>]) -> Vec<&Memory> {
    players.iter().map(|player| &player.memory).collect()
}
