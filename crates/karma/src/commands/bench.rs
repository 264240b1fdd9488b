//! `karma bench`: how fast the parts are on this machine.

mod adversary;
mod machine;
mod timed;
mod train;

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use karma_cluster::{Interrupted, Scenario, emulator, scenario};
use karma_marl::Guides;
use karma_twin::{Trace, Twin, record};
use serde_json::json;

use crate::{
    args::Output,
    clock::Stopwatch,
    console, files, interrupt, organization,
    run_dir::SCENARIO,
    status::{Blame, ExitStatus, Failure, Outcome},
    words,
};

pub(crate) use adversary::bench_adversary;
pub(crate) use train::bench_train;

/// Episodes timed; the median is told.
const EPISODES: u64 = 5;

/// Rounds of writing and reading a trace; the medians are told.
const ROUNDS: usize = 5;

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

/// Times the writing and reading of a trace of the built-in pipeline.
pub(crate) fn bench_trace(rows: u32, output: Output) -> Outcome {
    // The first Ctrl-C leaves time to remove the folder.
    interrupt::listen()?;
    let trace = record::drawn_trace(&read(None)?, rows as usize, 0);
    let folder = Temporary::new();
    let Timed {
        write_s,
        read_s,
        bytes,
    } = time_trace(&trace, &folder.0.join("trace.parquet"))?;
    let rows = trace.len();
    match output {
        Output::Json => console::row(&json!({
            "rows": rows, "bytes": bytes, "rounds": ROUNDS, "write_s": write_s, "read_s": read_s,
        }))?,
        Output::Text => console::data(format_args!(
            "trace of {rows} rows, {:.1} MB, median of {ROUNDS} rounds\n\
             write_s {write_s:.3}\nread_s  {read_s:.3}",
            bytes as f64 / 1e6
        ))?,
    }
    Ok(ExitStatus::Done)
}

/// What writing and reading a trace took.
struct Timed {
    write_s: f64,
    read_s: f64,
    bytes: u64,
}

/// Writes `trace` to `path` and reads it back, round after round.
fn time_trace(trace: &Trace, path: &Path) -> Outcome<Timed> {
    let (mut write_s, mut read_s) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        if interrupt::requested() {
            return Err(Interrupted.into());
        }
        let clock = Stopwatch::start();
        trace.write_parquet(path)?;
        write_s.push(clock.seconds());
        let clock = Stopwatch::start();
        let read = Trace::read_parquet(path)?;
        read_s.push(clock.seconds());
        if read != *trace {
            return Err(anyhow!("the trace that was read is not the one that was written").into());
        }
    }
    Ok(Timed {
        write_s: rounded(median(write_s)),
        read_s: rounded(median(read_s)),
        bytes: std::fs::metadata(path)?.len(),
    })
}

/// To the microsecond.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

/// The middle one of `values`, of which there is at least one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A folder that goes away with this value.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Self {
        let name = format!("karma-bench-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Best effort: a folder that stays is no reason to hide what was measured.
        drop(files::remove(&self.0));
    }
}

/// What was recorded in a run directory: the scenario, its team's guides, and the fitted twin.
fn recorded(run: &Path) -> Outcome<(Scenario, Guides, Twin)> {
    let loaded = scenario::load(&run.join(SCENARIO)).refuse()?;
    let organization = loaded.organization.map(|(_, text)| text);
    let guides = organization::guides(organization.as_deref(), &loaded.scenario)?;
    let twin = Twin::load(&run.join("model"))
        .refuse()
        .map_err(|failure| failure.hint(format!("karma fit {}", words::recorded(run))))?;
    twin.fits(&loaded.scenario).refuse()?;
    Ok((loaded.scenario, guides, twin))
}

fn read(path: Option<&Path>) -> Outcome<Scenario> {
    if let Some(path) = path {
        return Ok(scenario::load(path).refuse()?.scenario);
    }
    let text = scenario::template("pipeline")
        .ok_or_else(|| Failure::refused("there is no built-in pipeline"))?;
    // The emulator needs no organization, which would be a second file.
    let mut scenario: Scenario =
        karma_cluster::yaml::read(&text, Path::new("pipeline")).refuse()?;
    scenario.team.organization = None;
    Ok(scenario)
}
