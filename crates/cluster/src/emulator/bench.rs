//! One run of a scenario for timing. The core reads no clock: the caller times it.

use super::Emulator;
use crate::{
    cluster::Cluster,
    scenario::Scenario,
    units::Seconds,
    workload::{self, visits},
};

/// Load that pods are given to carry, over the highest of the episode.
const HEADROOM: f64 = 1.25;

/// How much one benchmark run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BenchReport {
    /// Requests that arrived from outside, attack included.
    pub requests: u64,
    /// Of these, attack requests.
    pub attack_requests: u64,
    /// Hops: a request admitted to one service and followed to its answer or failure.
    pub hops: u64,
    /// Legitimate requests answered correctly within the timeout.
    pub answered_in_timeout: u64,
}

/// Runs `seconds` of `scenario` (one context) with the features that an episode has (timeouts,
/// scrapes, faults, an observation per window) and enough replicas for its load, within their
/// bounds, and nodes for these, on this thread.
#[must_use]
pub fn bench(scenario: &Scenario, seconds: f64, seed: u64) -> BenchReport {
    let mut scenario = scenario.clone();
    scenario.duration = Seconds(seconds);
    let legitimate = workload::rates(&scenario, seed);
    let attack = workload::attack_rates(&scenario, &legitimate);
    let highest = legitimate
        .iter()
        .zip(&attack)
        .map(|(l, a)| l + a)
        .fold(0.0, f64::max);
    let visits = visits(&scenario);
    for (service, visits) in scenario.services.iter_mut().zip(visits) {
        let pods = (HEADROOM * highest * visits / service.rate_per_replica).ceil() as u32;
        let bounds = &mut service.replicas;
        bounds.initial = Some(pods.clamp(bounds.min, bounds.max.max(bounds.min)));
    }
    make_room(&mut scenario);
    let mut emulator = Emulator::new(&scenario, seed);
    loop {
        let goes_on = emulator.advance();
        // What a controller would read; an API error of the scenario is no concern here.
        drop(emulator.observe());
        if !goes_on {
            break;
        }
    }
    let census = emulator.census();
    let record = emulator.record();
    BenchReport {
        requests: census.arrived,
        attack_requests: census.arrived - record.arrived,
        hops: emulator.hops(),
        answered_in_timeout: record.answered_in_timeout,
    }
}

/// Multiplies the nodes until the initial pods fit.
fn make_room(scenario: &mut Scenario) {
    let wanted: f64 = scenario
        .services
        .iter()
        .map(|s| f64::from(s.replicas.initial.unwrap_or(0)) * s.cpu_request.millicores())
        .sum();
    let pools = scenario.nodes.iter();
    let there: f64 = pools
        .map(|pool| f64::from(pool.count) * pool.cpu.millicores())
        .sum();
    for pool in &mut scenario.nodes {
        pool.count *= (wanted / there).ceil().max(1.0) as u32;
    }
}
