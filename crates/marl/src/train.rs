//! Training (feature `train`): MAPPO in batched games.
//!
//! [`mappo`] is the algorithm on any [`env::VecEnv`]; [`TwinEnv`] is the one that matters: the twin's
//! games seen through the encoder, steered through guides, paid by the reward model. [`Trainer`] adds
//! what a long run needs: checkpoints, exact resume, validation, early stop.

mod checkpoint;
pub mod dqn;
pub mod env;
mod fault;
mod greedy;
mod logits;
pub mod mappo;
mod net;
mod norm;
mod run;
mod tensorboard;
pub mod tune;
mod twin_env;
mod view;

use std::path::Path;

use karma_cluster::{Scenario, Watch, scenario::TrainSettings, seed::derive_seed};
use karma_twin::Twin;
use serde::{Deserialize, Serialize};

pub use fault::Fault;
pub use greedy::play_greedily;
pub use net::Net;
pub use norm::ValueNorm;
pub use run::{Plan, Run};
pub use twin_env::TwinEnv;

use crate::{Guides, Policy, bundle::sha256, error::Result, policy::Layout};
use mappo::Mappo;

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IterationMetrics {
    /// Iteration, from 0.
    pub iteration: u32,
    /// Windows played so far, all games together.
    pub env_steps: u64,
    /// Mean team reward per window.
    pub reward: f64,
    /// Mean resilience per window: the reward without its cost.
    pub resilience: f64,
    /// Mean success of the window.
    pub success: f64,
    /// Mean share of the replica bounds in use.
    pub pods: f64,
    /// Mean of the agents' guide rewards per window.
    pub guide_reward: f64,
    /// Mean approximate KL divergence of the update.
    pub approx_kl: f64,
    /// Share of clipped ratios.
    pub clip_fraction: f64,
    /// Mean entropy per agent.
    pub entropy: f64,
    /// Mean probability that the unmasked policy gives to choices that masks forbid, per head, where
    /// the loss that teaches it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forbidden_mass: Option<f64>,
    /// Mean value loss.
    pub value_loss: f64,
    /// Share of the returns' variance that the critic explains.
    pub explained_variance: f64,
    /// Share of choices made against a mask; 0 unless something is broken.
    pub mask_violation_rate: f64,
    /// Epochs run before the KL stop.
    pub epochs: u32,
    /// Learning rate.
    pub learning_rate: f64,
    /// Mean reward of the greedy policy on the validation games, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
}
/// Trains a team in a twin.
#[derive(Debug)]
pub struct Trainer {
    run: Run<TwinEnv>,
    layout: Layout,
}

/// Games per context that a policy is validated on.
const VALIDATION_GAMES: usize = 4;

impl Trainer {
    /// A trainer of `scenario`'s team in `twin`, at iteration 0.
    #[must_use]
    pub fn new(
        twin: &Twin,
        scenario: &Scenario,
        guides: &Guides,
        settings: &TrainSettings,
        seed: u64,
    ) -> Self {
        let layout = Layout::new(scenario, settings.hidden as usize);
        let games = |count, name| {
            let seed = derive_seed(seed, name, 0);
            TwinEnv::parts(twin, scenario, guides, count, seed)
        };
        let mappo = Mappo::new(
            games(settings.games as usize, "games"),
            settings.into(),
            seed,
        );
        debug_assert_eq!(*mappo.actors[0].mlp.shape(), layout.shape);
        let print = serde_json::json!([scenario, settings, seed]).to_string();
        let plan = Plan {
            iterations: settings.iterations,
            checkpoint_every: settings.checkpoint_every,
            stop: settings.stop,
            validation_steps: scenario.windows() as usize,
            fingerprint: sha256(print.as_bytes()),
            agents: layout.agents.clone(),
        };
        let validation = VALIDATION_GAMES * scenario.contexts.len().max(1);
        let run = Run::new(mappo, games(validation, "validation games"), plan);
        Self { run, layout }
    }

    /// Trains to the end, or continues from the newest checkpoint in `dir`. Writes `metrics.jsonl`,
    /// the same for TensorBoard, and `checkpoint/` there and calls `each` after every iteration,
    /// those already done included.
    ///
    /// # Errors
    /// [`MarlError::Interrupted`](crate::MarlError::Interrupted) when `watch` asks to stop,
    /// [`MarlError::NotFinite`](crate::MarlError::NotFinite) when numbers explode.
    pub fn run(
        &mut self,
        watch: &dyn Watch,
        each: &mut dyn FnMut(&IterationMetrics),
        dir: &Path,
    ) -> Result<Policy> {
        let mut actors = self.run.train(watch, each, dir)?;
        Ok(Policy {
            layout: self.layout.clone(),
            // All agents share one network.
            actor: actors.swap_remove(0),
        })
    }
}
