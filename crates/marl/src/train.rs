//! Training (feature `train`): MAPPO in batched games.

use std::path::Path;

use karma_cluster::{Scenario, Watch, scenario::TrainSettings};
use karma_twin::Twin;
use serde::{Deserialize, Serialize};

use crate::{Guides, Policy, error::Result};

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
pub struct Trainer {}

impl Trainer {
    /// A trainer of `scenario`'s team in `twin`, at iteration 0.
    ///
    /// # Errors
    /// [`MarlError`](crate::MarlError) when the twin does not fit the scenario.
    pub fn new(
        _twin: &Twin,
        _scenario: &Scenario,
        _guides: Guides,
        _settings: TrainSettings,
        _seed: u64,
    ) -> Result<Self> {
        todo!("lands next")
    }

    /// Trains to the end, or continues from the newest checkpoint in `dir`. Writes `metrics.jsonl`
    /// and `checkpoint/` there and calls `each` after every iteration, those already done included.
    ///
    /// # Errors
    /// [`MarlError::Interrupted`](crate::MarlError::Interrupted) when `watch` asks to stop,
    /// [`MarlError::NotFinite`](crate::MarlError::NotFinite) when numbers explode.
    pub fn run(
        &mut self,
        _watch: &dyn Watch,
        _each: &mut dyn FnMut(&IterationMetrics),
        _dir: &Path,
    ) -> Result<Policy> {
        todo!("lands next")
    }
}
