//! `karma bench`: how fast the parts are on this machine.

use std::path::Path;

use karma_cluster::{Scenario, emulator, scenario};
use serde_json::json;

use crate::{
    args::Output,
    clock::Stopwatch,
    console,
    status::{Blame, ExitStatus, Failure, Outcome},
};

/// Episodes timed; the median is told.
const EPISODES: u64 = 5;

/// Times the emulator on one thread.
pub(crate) fn bench_emulator(path: Option<&Path>, output: Output) -> Outcome {
    let scenario = read(path)?;
    let contexts = scenario.in_every_context();
    let (context, scenario) = contexts
        .first()
        .ok_or_else(|| Failure::refused("the scenario has no context"))?;
    let seconds = scenario.duration.seconds();
    let mut rates: Vec<(f64, f64)> = (0..EPISODES)
        .map(|seed| {
            let clock = Stopwatch::start();
            let done = emulator::bench(scenario, seconds, seed);
            let wall_s = clock.seconds();
            (done.requests as f64 / wall_s, done.hops as f64 / wall_s)
        })
        .collect();
    rates.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (requests, hops) = rates[rates.len() / 2];
    match output {
        Output::Json => console::row(&json!({
            "scenario": scenario.name, "context": context, "episodes": EPISODES,
            "requests_per_s_core": requests.round(), "hops_per_s_core": hops.round(),
        }))?,
        Output::Text => console::data(format_args!(
            "{} ({context}), one thread, median of {EPISODES} episodes\n\
             requests_per_s_core {requests:.0}\nhops_per_s_core     {hops:.0}",
            scenario.name
        ))?,
    }
    Ok(ExitStatus::Done)
}

fn read(path: Option<&Path>) -> Outcome<Scenario> {
    if let Some(path) = path {
        return Ok(scenario::load(path).refuse()?.scenario);
    }
    let text = scenario::template("pipeline")
        .ok_or_else(|| Failure::refused("there is no built-in pipeline"))?;
    // The emulator needs no organization, which would be a second file.
    let mut scenario: Scenario = karma_cluster::yaml::read(text, Path::new("pipeline")).refuse()?;
    scenario.team.organization = None;
    Ok(scenario)
}
