//! One module per step: what it reads, which crate does the work, what it writes, what it shows.

use std::path::Path;

use anyhow::Result;
use karma_cluster::Scenario;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    args::TraceArgs,
    manifest::{Hashes, Step},
    progress::Progress,
    status::{Failure, Outcome},
};

/// What a step works on.
pub(crate) struct Job<'a> {
    /// The scenario, with only the contexts that were asked for.
    pub(crate) scenario: &'a Scenario,
    /// Text of the organization file.
    pub(crate) organization: Option<&'a str>,
    /// The run directory.
    pub(crate) run: &'a Path,
    /// Who watches.
    pub(crate) watch: &'a Progress,
    /// Recorded traces to fit to.
    pub(crate) trace: &'a TraceArgs,
}

/// What a step has to say, twice.
#[derive(Default)]
pub(crate) struct Shown {
    /// For people.
    pub(crate) text: String,
    /// For programs.
    pub(crate) rows: Vec<Value>,
}

/// What `transfer/verdict.json` says.
#[derive(Deserialize)]
pub(crate) struct Gate {
    /// Whether the team may manage the cluster.
    pub(crate) pass: bool,
    /// Why, or why not.
    pub(crate) reasons: Vec<String>,
}

/// Does the work of `step`.
pub(crate) fn make(step: Step, _job: &Job<'_>) -> Outcome<()> {
    Err(Failure::refused(format_args!("{step} is being built")))
}

/// What the files of `step` in the run directory `run` say.
pub(crate) fn show(_step: Step, _run: &Path) -> Result<Shown> {
    Ok(Shown::default())
}

/// The verdict of the run directory `run`, where one was given.
pub(crate) fn gate(run: &Path) -> Result<Option<Gate>> {
    let path = run.join("transfer/verdict.json");
    if !path.exists() {
        return Ok(None);
    }
    Ok(serde_json::from_str(&crate::files::read(&path)?)?)
}

/// Hashes of the recorded traces to fit to.
pub(crate) fn trace_hashes(_trace: &TraceArgs) -> Outcome<Hashes> {
    Ok(Hashes::new())
}
