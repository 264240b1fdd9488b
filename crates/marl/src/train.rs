//! Training (feature `train`): MAPPO in batched games.
//!
//! [`mappo`] is the algorithm on any [`env::VecEnv`]; [`TwinEnv`] is the one that matters: the twin's
//! games seen through the encoder, steered through guides, paid by the reward model. [`Trainer`] adds
//! what a long run needs: checkpoints, exact resume, validation, early stop.

pub mod adversary;
mod checkpoint;
mod device;
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

use std::{path::Path, sync::Arc};

use karma_cluster::{Scenario, Watch, scenario::TrainSettings, seed::derive_seed};
use karma_nn::Mlp;
use karma_twin::Twin;
use serde::{Deserialize, Serialize};

pub use device::{Device, DeviceError};
pub use fault::Fault;
pub use greedy::play_greedily;
pub use net::Net;
pub use norm::ValueNorm;
pub use run::{Plan, Run};
pub use twin_env::TwinEnv;

use crate::{Guides, Policy, bundle::sha256, error::Result, policy::Layout};
use adversary::{Arena, Attacker, League};
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
    /// Where attackers learn, where they do.
    arena: Option<Arena>,
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
        let arena = settings.adversary.as_ref().map(|adversary| {
            let mut scenario = scenario.clone();
            scenario.train = *settings;
            Arena::new(twin, &scenario, guides, adversary, seed)
        });
        let games = |count, name| {
            let seed = derive_seed(seed, name, 0);
            let Some(arena) = &arena else {
                return TwinEnv::parts(twin, scenario, guides, count, seed);
            };
            let attacked = arena.share_of(count);
            let mut games = TwinEnv::parts(twin, scenario, guides, count - attacked, seed);
            games.extend(arena.games_against(&Attacker::league(&[]), attacked, seed));
            games
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
        let mut settings = mappo::Settings {
            recurrent: settings.recurrent.map(Into::into),
            ..settings.into()
        };
        let run = if layout.joint {
            let envs = envs.map(|parts| parts.into_iter().map(Joint::new).collect());
            let agents = vec!["all as one".to_owned()];
            Kind::Joint(run(envs, settings, Plan { agents, ..plan }, seed, &layout))
        } else {
            settings.sharing.clone_from(&layout.sharing);
            let iterations = settings.iterations;
            let mut run = run(envs, settings, plan, seed, &layout);
            if let Some(arena) = &arena {
                run.raise_with(Box::new(League::new(arena.clone(), iterations)));
            }
            Kind::Agents(run)
        };
        Self { run, layout, arena }
    }

    /// The networks of the best team so far.
    #[must_use]
    pub fn team(&self) -> Vec<Net> {
        match &self.run {
            Kind::Agents(run) => run.best(),
            Kind::Joint(run) => run.best(),
        }
    }

    /// The attackers that learned on the way, in the order in which they joined.
    #[must_use]
    pub fn attackers(&self) -> &[Arc<Mlp>] {
        match &self.run {
            Kind::Agents(run) => run.rivals().1,
            Kind::Joint(_) => &[],
        }
    }

    /// Computes networks on `device` from now on. What a run gives there differs by rounding from what
    /// it gives elsewhere; a checkpoint may go on anywhere.
    ///
    /// # Errors
    /// [`DeviceError`] where this machine or this build has no such device.
    pub fn compute_on(&mut self, device: Device) -> Result<(), DeviceError> {
        match &mut self.run {
            Kind::Agents(run) => run.mappo.compute_on(device),
            Kind::Joint(run) => run.mappo.compute_on(device),
        }
    }

    /// Trains to the end, or continues from the newest checkpoint in `dir`. Writes `metrics.jsonl`,
    /// the same for TensorBoard, `checkpoint/` and, where attackers learn, `exploitability.json` there and calls `each` after every iteration,
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
        let actors = match &mut self.run {
            Kind::Agents(run) => run.train(watch, each, dir)?,
            Kind::Joint(run) => run.train(watch, each, dir)?,
        };
        if let (Kind::Agents(run), Some(arena)) = (&self.run, &self.arena) {
            let (team, iteration) = (run.best(), run.mappo.iteration);
            let told = arena.measure(&team, iteration, run.rivals(), watch)?;
            told.write(dir)?;
        }
        Ok(Policy {
            actors,
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
