//! MAPPO, read top to bottom: a rollout, advantages, an update.
//!
//! Details that decide whether it learns are numbered where they stand, D4, D5, D14 and D15 in
//! `rollout`, D16 to D21 in `losses`. Sources: PPO (Schulman et
//! al., 2017), GAE (Schulman et al., 2016), MAPPO (Yu et al., 2022) and its code `on-policy`, and "The
//! 37 implementation details of PPO" (Huang et al., 2022).
//!
//! Nothing here depends on the number of threads: environments are cut into chunks of fixed size,
//! random numbers are keyed by iteration, step and environment, sums have a fixed order. There is no
//! generator whose state a checkpoint would have to keep.

mod losses;
mod rollout;

use karma_cluster::seed::derive;
use karma_nn::{Activation, AdamStep, Learner, Mlp, MlpShape, SLOTS};
use rand::seq::SliceRandom;

use self::{
    losses::{ActorObjective, ActorWork, CriticObjective, Tally},
    rollout::{Lane, Rollout},
};
use super::{
    IterationMetrics,
    env::{Outcome, VecEnv},
    norm::ValueNorm,
};

pub use rollout::play_greedily;

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
    /// Weight of the loss that teaches the unmasked policy what masks allow.
    pub mask_loss: f64,
    /// Trains towards worse instead of better: the check that training matters.
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
        let rollout = Rollout::new(env.envs(), agents, width, heads);
        Self {
            actor_learner: Learner::new(&actor),
            critic_learner: Learner::new(&critic),
            norm: ValueNorm::default(),
            iteration: 0,
            lanes: vec![Lane::default(); env.envs().div_ceil(rollout.chunk())],
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
        rollout.resize(steps);
        let (envs, agents, width) = (rollout.envs, rollout.agents, rollout.width);
        let (states, joint) = (envs * width, envs * agents * rollout.heads.heads);
        let mut outcome = Outcome::new(envs, agents);
        let mut ended = vec![0.0; states];
        let mut sums = [0.0_f64; 5];
        for step in 0..steps {
            self.env
                .observe(&mut rollout.states[step * states..(step + 1) * states]);
            self.env
                .masks(&mut rollout.masks[step * joint..(step + 1) * joint]);
            let key = (self.seed, self.iteration);
            rollout.act(step, &self.actor, key, &mut self.lanes)?;
            let choices = &rollout.choices[step * joint..(step + 1) * joint];
            self.env.step(choices, &mut outcome);
            rollout.pay(step, &outcome)?;
            for (reward, terms) in outcome.rewards.iter().zip(&outcome.terms) {
                sums[0] += f64::from(*reward);
                for (sum, term) in sums[1..4].iter_mut().zip(terms) {
                    *sum += f64::from(*term);
                }
            }
            sums[4] += outcome.extras.iter().map(|e| f64::from(*e)).sum::<f64>() / agents as f64;
            if outcome.any_ended() {
                self.env.observe(&mut ended);
                rollout.end(step, &outcome, &ended);
                self.env.reset_ended();
            }
        }
        self.env.observe(&mut rollout.states[steps * states..]);
        let count = (steps * envs) as f64;
        let [reward, resilience, success, pods, extra] = sums.map(|sum| sum / count);
        (metrics.reward, metrics.resilience) = (reward, resilience);
        (metrics.success, metrics.pods, metrics.guide_reward) = (success, pods, extra);
        metrics.mask_violation_rate = rollout.mask_violation_rate();
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
        // D7. Before the first update the scale comes from rewards alone. Returns bootstrapped from an
        // untrained critic creep to theirs over dozens of iterations, and a clipped critic after them.
        if self.norm.is_fresh() {
            rollout.returns_without_values(gamma as f32);
            self.norm.update(&rollout.returns);
        }
        rollout.advantages(&self.norm, gamma as f32, lambda as f32);
        metrics.explained_variance = rollout.explained_variance(&self.norm);
        // D8. Statistics of returns move once per iteration, before the update, so that every
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
        // D9. Advantages are normalised over the whole rollout, once, ε = 1e-5 (on-policy; others do
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
        // D10. The learning rate falls linearly to 0 (37 details, 4), the entropy coefficient to a
        // tenth.
        let done = f64::from(self.iteration) / f64::from(self.settings.iterations.max(1));
        let left = (1.0 - done).max(0.0);
        metrics.learning_rate = self.settings.learning_rate * left;
        let adam = AdamStep {
            learning_rate: metrics.learning_rate as f32,
            // D11. Global gradient norm clipped to 0.5, each network by itself (37 details, 11). Adam
            // has ε = 1e-5 (37 details, 3).
            clip_norm: 0.5,
        };
        let entropy = (self.settings.entropy * (0.1 + 0.9 * left)) as f32;
        let mask_loss = self.settings.mask_loss as f32;
        let (count, parts) = (
            self.settings.steps * self.rollout.envs,
            self.settings.minibatches,
        );
        let mut tally = Tally::default();
        for epoch in 0..self.settings.epochs {
            // D12. Steps are shuffled anew each epoch (37 details, 6), all agents of a step together.
            let mut order: Vec<u32> = (0..count as u32).collect();
            let index = u64::from(self.iteration) * u64::from(self.settings.epochs);
            order.shuffle(&mut derive(self.seed, "shuffle", index + u64::from(epoch)));
            let before = tally.clone();
            for part in 0..parts {
                let order = &order[part * count / parts..(part + 1) * count / parts];
                if !order.is_empty() {
                    self.minibatch(order, adam, (entropy, mask_loss), &mut tally)
                        .map_err(|term| Fault {
                            step: part,
                            agent: None,
                            term,
                        })?;
                }
            }
            metrics.epochs = epoch + 1;
            // D13. An iteration stops early where the policy has moved too far from the one that
            // played (Spinning Up; stable-baselines).
            if (tally.kl - before.kl) / (tally.rows - before.rows).max(1.0) > KL_STOP {
                break;
            }
        }
        let rows = tally.rows.max(1.0);
        metrics.approx_kl = tally.kl / rows;
        metrics.clip_fraction = tally.clipped / rows;
        metrics.entropy = tally.entropy / rows;
        metrics.value_loss = tally.value_loss / rows;
        let heads = self.rollout.heads.heads as f64;
        metrics.forbidden_mass = (mask_loss > 0.0).then(|| tally.forbidden / (rows * heads));
        Ok(())
    }

    /// One step of both networks on the steps in `order`.
    fn minibatch(
        &mut self,
        order: &[u32],
        adam: AdamStep,
        weights: (f32, f32),
        tally: &mut Tally,
    ) -> Result<(), &'static str> {
        self.policy_gradient(order, weights, tally);
        self.actor_learner
            .step(&mut self.actor, adam)
            .map_err(|_| "gradient of the policy")?;
        let objective = CriticObjective {
            rollout: &self.rollout,
            order,
            clip: self.settings.clip as f32,
        };
        let works = &mut self.critic_works;
        works.fill(0.0);
        self.critic_learner
            .gradient(&self.critic, order.len(), &objective, works);
        tally.value_loss += works.iter().sum::<f64>();
        self.critic_learner
            .step(&mut self.critic, adam)
            .map_err(|_| "gradient of the value")?;
        Ok(())
    }

    /// Gradient of the policy's loss, with the weights of its entropy and of its masks.
    fn policy_gradient(
        &mut self,
        order: &[u32],
        (entropy, mask_loss): (f32, f32),
        tally: &mut Tally,
    ) {
        let objective = ActorObjective {
            rollout: &self.rollout,
            level: self.actor.level(),
            order,
            clip: self.settings.clip as f32,
            entropy,
            mask_loss,
        };
        let (rows, works) = (order.len() * self.rollout.agents, &mut self.actor_works);
        works.iter_mut().for_each(|w| w.sums = Tally::default());
        self.actor_learner
            .gradient(&self.actor, rows, &objective, works);
        works.iter().for_each(|w| tally.add(&w.sums));
    }

    /// Plays, and gives the largest distance of a ratio from one and the number of clipped ratios
    /// under the policy that played: both zero, unless rollout and update disagree.
    ///
    /// # Errors
    /// [`Fault`] as [`Self::iterate`].
    #[doc(hidden)]
    pub fn probe(&mut self) -> Result<(f64, f64), Fault> {
        self.play(&mut IterationMetrics::default())?;
        self.estimate(&mut IterationMetrics::default())?;
        let order: Vec<u32> = (0..(self.settings.steps * self.rollout.envs) as u32).collect();
        let mut tally = Tally::default();
        self.policy_gradient(&order, (0.0, 0.0), &mut tally);
        Ok((tally.largest, tally.clipped))
    }
}

/// Mean divergence of an epoch above which the iteration's update stops.
const KL_STOP: f64 = 0.03;
