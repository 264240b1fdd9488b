//! The stochastic game: many clusters of the twin stepping together on plain arrays.

use karma_cluster::{Scenario, ServiceMetrics};
use serde::{Deserialize, Serialize};

use crate::{error::Result, model::Twin};

/// `n` independent games over the training variants of all contexts of a scenario.
///
/// Every game plays one variant with one member of the ensemble; arrivals and disturbances are
/// exogenous. The first episode of each game starts at an instant of its own, so that games do not
/// end together. Same seed, same bytes, at any number of threads.
#[derive(Clone, Debug)]
pub struct Games {}

/// Everything that changes while [`Games`] are played.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GamesSnapshot {}

impl Games {
    /// Prepares `n_games` games and their pool of variants, and starts the first episodes.
    ///
    /// # Panics
    /// If the twin was fitted to a scenario with other services.
    #[must_use]
    pub fn new(_twin: &Twin, _scenario: &Scenario, _n_games: usize, _seed: u64) -> Self {
        todo!("lands next")
    }

    /// Number of games.
    #[must_use]
    pub fn games(&self) -> usize {
        todo!("lands next")
    }

    /// Number of services of each game.
    #[must_use]
    pub fn services(&self) -> usize {
        todo!("lands next")
    }

    /// What is seen now, `games × services`, game by game.
    #[must_use]
    pub fn metrics(&self) -> &[ServiceMetrics] {
        todo!("lands next")
    }

    /// What was seen one window before; the same as [`Self::metrics`] in the first window.
    #[must_use]
    pub fn previous(&self) -> &[ServiceMetrics] {
        todo!("lands next")
    }

    /// Current desired replicas, `games × services`.
    #[must_use]
    pub fn desired(&self) -> &[u32] {
        todo!("lands next")
    }

    /// Windows since the start of each game's episode.
    #[must_use]
    pub fn windows(&self) -> &[u32] {
        todo!("lands next")
    }

    /// Index of the context (order of `Scenario::in_every_context`) that each game plays.
    #[must_use]
    pub fn contexts(&self) -> &[u32] {
        todo!("lands next")
    }

    /// Asks for `desired` replicas (`games × services`) and lets one window pass in every game.
    /// Games that have ended must be reset first.
    ///
    /// # Panics
    /// If the length does not match.
    pub fn step(&mut self, _desired: &[u32]) {
        todo!("lands next")
    }

    /// Games whose episode is over (cut off by its length, not lost).
    #[must_use]
    pub fn ended(&self) -> &[bool] {
        todo!("lands next")
    }

    /// Starts a new episode, with another variant, in every game that has ended.
    pub fn reset_ended(&mut self) {
        todo!("lands next")
    }

    /// The state of all games.
    #[must_use]
    pub fn snapshot(&self) -> GamesSnapshot {
        todo!("lands next")
    }

    /// Continues exactly where `snapshot` was taken from games made by the same [`Self::new`].
    ///
    /// # Errors
    /// [`TwinError::Mismatch`](crate::TwinError::Mismatch) when the snapshot is of other games.
    pub fn restore(&mut self, _snapshot: &GamesSnapshot) -> Result<()> {
        todo!("lands next")
    }
}
