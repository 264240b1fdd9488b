//! One module per step: what it reads, which crate does the work, what it writes, what it shows.

mod analyze;
mod evaluate;
mod fit;
mod report;
mod train;
mod transfer;

use std::path::Path;

use anyhow::Result;
use karma_cluster::Scenario;
use karma_marl::{Team, bundle, train::Device};
use karma_transfer::Verdict;
use karma_twin::{
    Twin,
    fidelity::{self, Factory, TwinAccuracy},
};
use serde_json::Value;

pub(crate) use train::trained;

use crate::{
    advice::advice,
    args::TraceArgs,
    files,
    manifest::{Hashes, Step},
    organization,
    progress::Progress,
    status::{Blame, Outcome},
};

/// Folder of the twin in the run directory.
const MODEL: &str = "model";

/// Fidelity of the twin, in the run directory.
const FIDELITY: &str = "model/fidelity.json";

/// How the team stands attackers that learn, in the run directory, where there were any.
const EXPLOITABILITY: &str = "train/exploitability.json";

/// Twin accuracy with the trained team among the policies, in the run directory.
const ACCURACY: &str = "transfer/accuracy.json";

/// The verdict on the team, in the run directory.
const VERDICT: &str = "transfer/verdict.json";

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
    /// Where networks are computed while they are trained.
    pub(crate) device: Device,
}

/// What a step has to say, twice.
#[derive(Default)]
pub(crate) struct Shown {
    /// For people.
    pub(crate) text: String,
    /// For programs.
    pub(crate) rows: Vec<Value>,
}

/// Does the work of `step`.
pub(crate) fn make(step: Step, job: &Job<'_>) -> Outcome<()> {
    match step {
        Step::Fit => fit::make(job),
        Step::Train => train::make(job),
        Step::Report => report::make(job),
        Step::Analyze => analyze::make(job),
        Step::Transfer => transfer::make(job),
        Step::Evaluate => evaluate::make(job),
    }
}

/// What the files of `step` in the run directory `run` say.
pub(crate) fn show(step: Step, run: &Path) -> Result<Shown> {
    match step {
        Step::Fit => fit::show(run),
        Step::Train => train::show(run),
        Step::Report => report::show(run),
        Step::Analyze => analyze::show(run),
        Step::Transfer => transfer::show(run),
        Step::Evaluate => evaluate::show(run),
    }
}

/// The verdict of the run directory `run`, where one was given.
pub(crate) fn gate(run: &Path) -> Result<Option<Verdict>> {
    let path = run.join(VERDICT);
    path.exists().then(|| files::read_json(&path)).transpose()
}

/// What to do with the team of the finished run directory `run`, in a sentence.
pub(crate) fn verdict(run: &Path) -> Result<String> {
    let passed = gate(run)?.map(|gate| gate.pass);
    Ok(advice(passed, Some(evaluate::worth(run)?)))
}

/// The trained team of the run directory, guided by its organization.
fn team(job: &Job<'_>) -> Outcome<Team> {
    let text = job.organization.unwrap_or_default();
    let policy = bundle::load(&job.run.join(Step::Train.place()), job.scenario, text).refuse()?;
    let guides = organization::guides(job.organization, job.scenario)?;
    Ok(Team::new(policy, guides, job.scenario))
}

/// Name and mean return in cluster and twin of each of `policies`: every context once, the same
/// arrivals in both, and the same for every call.
fn play_in_both(
    job: &Job<'_>,
    twin: &Twin,
    policies: &[Factory<'_>],
) -> Outcome<Vec<(String, f64, f64)>> {
    const EPISODES: u64 = 1;
    let (scenario, seed) = (job.scenario, job.scenario.seed);
    Ok(fidelity::play_in_both(
        twin, scenario, policies, EPISODES, seed, job.watch,
    )?)
}

/// Twin accuracy from returns in cluster and twin; the best one in the cluster is the ceiling.
fn accuracy(returns: &[(String, f64, f64)]) -> TwinAccuracy {
    let ceiling = returns.iter().map(|(_, cluster, _)| *cluster);
    fidelity::accuracy(returns, ceiling.fold(f64::NEG_INFINITY, f64::max))
}

/// Names and hashes of the recorded traces to fit to, and of their mapping.
pub(crate) fn trace_hashes(trace: &TraceArgs) -> Outcome<Hashes> {
    let mut hashes = Hashes::new();
    if let Some(path) = &trace.trace {
        let folder = if path.is_dir() {
            path
        } else {
            path.parent().unwrap_or(path)
        };
        let found = if path.is_dir() {
            files::list(path, path).refuse()?
        } else {
            vec![path.strip_prefix(folder).unwrap_or(path).to_owned()]
        };
        for file in found {
            let hash = files::hash_file(&folder.join(&file)).refuse()?;
            hashes.insert(format!("trace {}", file.display()), hash);
        }
    }
    if let Some(mapping) = &trace.mapping {
        hashes.insert("mapping".to_owned(), files::hash_file(mapping).refuse()?);
    }
    Ok(hashes)
}
