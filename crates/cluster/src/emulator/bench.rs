//! One run of a scenario for timing. The core reads no clock: the caller times it.

use super::Emulator;
use crate::scenario::Scenario;

/// How much one benchmark run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BenchReport {
    /// Requests that arrived from outside, attack included.
    pub requests: u64,
    /// Of these, attack requests.
    pub attack_requests: u64,
    /// Hops: a request accepted by one service and followed to its answer or failure.
    pub hops: u64,
}

/// Runs `seconds` of `scenario` (one context) with the features that an episode has (timeouts,
/// scrapes, faults, an observation per window) and enough replicas for its load, on this thread.
#[must_use]
pub fn bench(scenario: &Scenario, seconds: f64, seed: u64) -> BenchReport {
    let mut emulator = Emulator::new(scenario, seed);
    let _ = (&mut emulator, seconds);
    todo!("lands next")
}
