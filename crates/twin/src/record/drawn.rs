//! Traces without a cluster, for timing.

use karma_cluster::{Observation, Scenario, ServiceMetrics, seed};
use rand::Rng;

use super::Rows;
use crate::{given::Given, trace::Trace};

/// Share of windows of a service that nothing was measured in.
const GAPS: f64 = 0.02;

/// A trace with the columns, texts and lengths of runs that [`record_traces`](super::record_traces)
/// gives, but values that are drawn instead of played: quick to make, and no easier to keep than
/// played ones. At least `rows` rows, to a whole window.
#[must_use]
pub fn drawn_trace(scenario: &Scenario, rows: usize, seed: u64) -> Trace {
    let services = scenario.services.len();
    let windows = (scenario.duration.seconds() / scenario.control.window.seconds()).round();
    let run_rows = (windows as usize).max(1) * services;
    let mut trace = Trace::new();
    for episode in 0_u64.. {
        let missing = rows.saturating_sub(trace.len());
        if missing == 0 {
            break;
        }
        let run = drawn_run(scenario, missing.min(run_rows), episode, seed);
        trace.append(&run);
    }
    trace
}

/// One run of at least `rows` rows.
fn drawn_run(scenario: &Scenario, rows: usize, episode: u64, seed: u64) -> Trace {
    let services = scenario.services.len();
    let mut stream = seed::derive(seed, "drawn trace", episode);
    let mut made = Rows::new(scenario, scenario, &scenario.name, episode, 0);
    let mut seen = Observation {
        window: 0,
        time_s: 0.0,
        services: vec![ServiceMetrics::MISSING; services],
        pods: Vec::new(),
        metrics_age_s: Vec::new(),
    };
    for window in 0..rows.div_ceil(services) {
        for metrics in &mut seen.services {
            let mut replicas = || stream.gen_range(0..8) as f32;
            let counts = [replicas(), replicas(), 0.0, 0.0];
            let mut values: [f32; ServiceMetrics::COUNT] =
                std::array::from_fn(|_| stream.gen_range(0.0..1000.0));
            values[..counts.len()].copy_from_slice(&counts);
            values[ServiceMetrics::COUNT - 1] = 0.0;
            *metrics = if stream.gen_bool(GAPS) {
                ServiceMetrics::MISSING
            } else {
                ServiceMetrics::from_array(values)
            };
        }
        made.push(window as i64, &seen, &vec![Given::default(); services]);
    }
    made.finish()
}
