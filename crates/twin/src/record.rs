//! Recording traces on the embedded cluster.

use karma_cluster::{Scenario, Watch};

use crate::{error::Result, trace::Trace};

/// Plays `episodes` episodes of the emulator through training variants of all contexts with mixed
/// exploring policies, and records what a real cluster would show.
///
/// # Errors
/// [`TwinError::Interrupted`](crate::TwinError::Interrupted) when `watch` asks to stop.
pub fn record_traces(
    _scenario: &Scenario,
    _episodes: u32,
    _seed: u64,
    _watch: &dyn Watch,
) -> Result<Trace> {
    todo!("lands next")
}
