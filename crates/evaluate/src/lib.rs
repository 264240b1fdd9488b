//! The arena: every controller on the same clusters and the same unseen seeds.
//!
//! [`evaluate`] plays each controller in each context of a scenario on paired seeds, measures what
//! legitimate users got and what it cost ([`Metric`]), and sums it up with bootstrap intervals and
//! paired differences ([`Summary`]). Baselines are calibrated here, on seeds of their own.
//!
//! What is not here: learning, deciding, drawing.

mod claim;
mod error;
mod metric;
mod summary;
mod table;

pub use claim::{Claim, ConstantVerdict, POD_HOURS_LIMIT};
pub use error::{EvaluateError, Result};
pub use metric::{Better, EpisodeMetrics, Metric};
pub use summary::{
    Calibration, ConstantPolicy, Contender, ContextSummary, ControllerSummary, EpisodeCounts,
    EpisodeRow, Estimate, ServiceTimeline, Span, Summary, Timeline, Track, UserTrack,
};

use karma_cluster::{Controller, Scenario, Watch};

/// Plays every controller of `scenario` and sums up.
///
/// `team` makes the guarded team afresh for each episode; `seed` is the run's, from which the unseen
/// seeds of the episodes, the validation seeds of the baselines and the resamples are derived.
/// The result is the same at any number of threads.
///
/// # Errors
/// [`EvaluateError::Interrupted`] when `watch` asks to stop.
pub fn evaluate(
    scenario: &Scenario,
    team: &(dyn Fn() -> Box<dyn Controller> + Sync),
    seed: u64,
    watch: &dyn Watch,
) -> Result<Summary> {
    let _ = (scenario, team, seed, watch);
    todo!()
}
