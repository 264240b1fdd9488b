//! The arena: every controller on the same clusters and the same unseen seeds.
//!
//! [`evaluate()`] plays each controller in each context of a scenario on paired seeds, measures what
//! legitimate users got and what it cost ([`Metric`]), and sums it up with bootstrap intervals and
//! paired differences ([`Summary`]). Baselines are calibrated here, on seeds of their own.
//!
//! What is not here: learning, deciding, drawing.

mod advice;
mod aggregate;
mod arena;
mod bootstrap;
mod calibrate;
mod claim;
mod constant;
mod contender;
mod error;
mod evaluate;
mod measure;
mod metric;
mod objective;
mod recovery;
mod store;
mod summary;
mod table;
mod timeline;

pub use advice::NearConstant;
pub use bootstrap::estimate;
pub use claim::{Claim, ConstantVerdict, POD_HOURS_LIMIT};
pub use error::{EvaluateError, Result};
pub use evaluate::evaluate;
pub use metric::{Better, EpisodeMetrics, Metric};
pub use summary::{
    Calibration, ConstantPolicy, Contender, ContextSummary, ControllerSummary, EpisodeCounts,
    EpisodeRow, Estimate, ServiceTimeline, Span, Summary, Timeline, Track, UserTrack,
};
