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
mod states;
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
use env::{Joint, VecEnv};
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
    run: Kind,
    layout: Layout,
}

/// Who learns: agents, or one for all of them.
#[derive(Debug)]
enum Kind {
    Agents(Box<Run<TwinEnv>>),
    Joint(Box<Run<Joint<TwinEnv>>>),
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
        let layout = Layout::of(scenario, settings);
        let games = |count, name| {
            let seed = derive_seed(seed, name, 0);
            TwinEnv::parts(twin, scenario, guides, count, seed)
        };
        let validation = VALIDATION_GAMES * scenario.contexts.len().max(1);
        let envs = [
            games(settings.games as usize, "games"),
            games(validation, "validation games"),
        ];
        let print = serde_json::json!([scenario, settings, seed]).to_string();
        let plan = Plan {
            iterations: settings.iterations,
            checkpoint_every: settings.checkpoint_every,
            stop: settings.stop,
            validation_steps: scenario.windows() as usize,
            fingerprint: sha256(print.as_bytes()),
            agents: layout.agents.clone(),
        };
        let mut settings = mappo::Settings::from(settings);
        let run = if layout.joint {
            let envs = envs.map(|parts| parts.into_iter().map(Joint::new).collect());
            let agents = vec!["all as one".to_owned()];
            Kind::Joint(run(envs, settings, Plan { agents, ..plan }, seed, &layout))
        } else {
            settings.sharing.clone_from(&layout.sharing);
            Kind::Agents(run(envs, settings, plan, seed, &layout))
        };
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
        Ok(Policy {
            actors: match &mut self.run {
                Kind::Agents(run) => run.train(watch, each, dir)?,
                Kind::Joint(run) => run.train(watch, each, dir)?,
            },
            layout: self.layout.clone(),
        })
    }
}

/// A run in `envs`, the games and those for validation, of actors that fit `layout`.
fn run<E: VecEnv>(
    [games, validation]: [Vec<E>; 2],
    settings: mappo::Settings,
    plan: Plan,
    seed: u64,
    layout: &Layout,
) -> Box<Run<E>> {
    let mappo = Mappo::new(games, settings, seed);
    debug_assert!(
        mappo.actors.len() == layout.actors()
            && mappo.actors.iter().all(|a| *a.mlp.shape() == layout.shape)
    );
    Box::new(Run::new(mappo, validation, plan))
}
