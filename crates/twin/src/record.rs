//! Recording traces on the embedded cluster.

mod drawn;

use std::sync::atomic::{AtomicU64, Ordering};

use karma_cluster::{
    Cluster, Interrupted, Observation, Scenario, Watch, emulator::Emulator, seed, workload,
};
use rayon::prelude::*;

use crate::{
    error::{Result, TwinError},
    explore::{Explorer, STYLES},
    given::{Given, givens},
    runs,
    trace::{Number, Text, Trace},
};

pub use drawn::drawn_trace;

/// Times that a call to a failing API server is tried again.
const TRIES: usize = 16;

/// Plays `episodes` episodes of the emulator through training variants of all contexts with mixed
/// exploring policies, and records what a real cluster would show.
///
/// # Errors
/// [`TwinError::Interrupted`] when `watch` asks to stop.
pub fn record_traces(
    scenario: &Scenario,
    episodes: u32,
    seed: u64,
    watch: &dyn Watch,
) -> Result<Trace> {
    let contexts = scenario.in_every_context();
    let done = AtomicU64::new(0);
    let recorded: Vec<Option<Trace>> = (0..u64::from(episodes))
        .into_par_iter()
        .map(|episode| {
            if watch.stopped() {
                return None;
            }
            let count = contexts.len() as u64;
            let (name, context) = &contexts[(episode % count) as usize];
            // Every context meets every style, in another order.
            let style = episode / count + episode % count;
            let style = style % STYLES;
            let trace = record_episode(scenario, name, context, episode, style, seed, watch)?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            watch.progress("record", done, u64::from(episodes), name);
            Some(trace)
        })
        .collect();
    let mut trace = Trace::new();
    for episode in recorded {
        trace.append(&episode.ok_or(TwinError::Interrupted(Interrupted))?);
    }
    Ok(trace)
}

/// One episode of a training variant of `context`; `None` where `watch` asks to stop.
fn record_episode(
    scenario: &Scenario,
    name: &str,
    context: &Scenario,
    episode: u64,
    style: u64,
    seed: u64,
    watch: &dyn Watch,
) -> Option<Trace> {
    let variant_seed = seed::derive_seed(seed, "recorded variant", episode);
    let variant = workload::training_variant(context, variant_seed);
    let episode_seed = seed::derive_seed(seed, "recorded episode", episode);
    let mut emulator = Emulator::new(&variant, episode_seed);
    let mut explorer = Explorer::new(&variant, style, episode_seed);
    let legitimate = workload::rates(&variant, episode_seed);
    let givens = givens(&variant, &legitimate);
    let services = variant.services.len();
    let mut rows = Rows::new(scenario, &variant, name, episode, style);
    let calm = vec![Given::default(); services];
    let mut done: &[Given] = &calm;
    let mut desired = Vec::new();
    for window in 0.. {
        let Some(seen) = patiently(&mut emulator) else {
            break;
        };
        rows.push(window, &seen, done);
        desired.clear();
        desired.extend(seen.services.iter().map(|s| s.replicas_desired as u32));
        let current = desired.clone();
        explorer.decide(&seen, &mut desired);
        for (service, (desired, current)) in desired.iter().zip(current).enumerate() {
            if *desired != current {
                // An API server that fails leaves the replicas as they are; the trace shows it.
                let _ = emulator.scale(service, *desired);
            }
        }
        let at = window as usize * services;
        done = givens.get(at..at + services).unwrap_or(&calm);
        // One episode may take minutes.
        if watch.stopped() {
            return None;
        }
        let goes_on = emulator.advance();
        if !goes_on {
            if let Some(seen) = patiently(&mut emulator) {
                rows.push(window + 1, &seen, done);
            }
            break;
        }
    }
    Some(rows.finish())
}

/// Looks until the API server answers.
fn patiently(cluster: &mut Emulator) -> Option<Observation> {
    (0..TRIES).find_map(|_| cluster.observe().ok())
}

/// The rows of one run in the making.
struct Rows<'a> {
    scenario: &'a Scenario,
    context: &'a str,
    run: String,
    window_ms: i64,
    node_cores: f64,
    policy: String,
    trace: Trace,
}

impl<'a> Rows<'a> {
    /// No rows yet of run `episode`, which plays `variant` of `scenario` in `context`.
    fn new(
        scenario: &'a Scenario,
        variant: &Scenario,
        context: &'a str,
        episode: u64,
        style: u64,
    ) -> Self {
        Self {
            scenario,
            context,
            run: format!("episode-{episode:04}"),
            window_ms: (variant.control.window.seconds() * 1000.0).round() as i64,
            node_cores: variant
                .nodes
                .iter()
                .map(|n| f64::from(n.count) * n.cpu.millicores() / 1000.0)
                .sum(),
            policy: format!("explorer-{style}"),
            trace: Trace::new(),
        }
    }

    fn push(&mut self, window: i64, seen: &Observation, given: &[Given]) {
        let interval_s = self.window_ms as f64 / 1000.0;
        for (service, metrics) in seen.services.iter().enumerate() {
            let trace = &mut self.trace;
            trace.push_row(window * self.window_ms);
            trace.set_text(Text::TsKind, "relative");
            trace.set_text(Text::Source, "emulator");
            trace.set_text(Text::Run, &self.run);
            trace.set_text(Text::App, &self.scenario.name);
            trace.set_text(Text::Service, &self.scenario.services[service].name);
            trace.set_text(Text::Policy, &self.policy);
            trace.set_text(Text::LabelKind, self.context);
            trace.set(Number::DtS, Some(interval_s));
            trace.set(Number::NodeCpu, Some(self.node_cores));
            runs::set_row(trace, metrics, &given[service]);
        }
    }

    /// All rows, with the actions that followed them.
    fn finish(mut self) -> Trace {
        self.trace.fill_actions();
        self.trace
    }
}
