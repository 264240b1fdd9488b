//! What a run directory was made from and how far it is: `manifest.json`, and `timing.json`.

use std::{collections::BTreeMap, fmt, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::files;

/// Version of both files.
const FORMAT: u32 = 1;

/// The steps of a run, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// Phase 1: traces and twin.
    Fit,
    /// Phase 2: the team.
    Train,
    /// Phase 3: roles and goals.
    Analyze,
    /// Phase 4: the guarded team on a cluster.
    Transfer,
    /// Every controller compared.
    Evaluate,
    /// The page.
    Report,
}

impl Step {
    /// All of them, in order.
    pub(crate) const ALL: [Self; 6] = [
        Self::Fit,
        Self::Train,
        Self::Analyze,
        Self::Transfer,
        Self::Evaluate,
        Self::Report,
    ];

    /// Name of the command.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fit => "fit",
            Self::Train => "train",
            Self::Analyze => "analyze",
            Self::Transfer => "transfer",
            Self::Evaluate => "evaluate",
            Self::Report => "report",
        }
    }

    /// Folder or file of the run directory that the step writes.
    pub(crate) fn place(self) -> &'static str {
        match self {
            Self::Fit => "model",
            Self::Report => "report.html",
            Self::Train | Self::Analyze | Self::Transfer | Self::Evaluate => self.name(),
        }
    }

    /// The steps before this one, whose files it may read.
    pub(crate) fn before(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().take_while(move |step| *step < self)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Names and SHA-256 of files, or names and values of settings.
pub(crate) type Hashes = BTreeMap<String, String>;

/// What a run directory was made from and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    format: u32,
    /// Version of KARMA.
    pub(crate) version: String,
    /// Widest vector instructions in use; levels round differently.
    pub(crate) cpu_feature_level: String,
    /// Name of the scenario.
    pub(crate) scenario: String,
    /// Seed of everything random.
    pub(crate) seed: u64,
    /// The resolved scenario and every file it reads.
    pub(crate) inputs: Hashes,
    /// Steps that were started.
    pub(crate) steps: BTreeMap<Step, Record>,
}

/// How far one step is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// Started or finished.
    pub(crate) state: State,
    /// What the step depends on beside the inputs of the run.
    pub(crate) inputs: Hashes,
    /// What it wrote when it finished last; empty until then.
    pub(crate) outputs: Hashes,
}

/// State of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It began and did not finish: it resumes.
    Started,
    /// Its outputs are complete.
    Finished,
}

impl Manifest {
    /// Name of the file.
    pub(crate) const FILE: &str = "manifest.json";

    /// A run of which no step was started.
    pub(crate) fn new(scenario: &str, seed: u64, inputs: Hashes) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cpu_feature_level: karma_nn::feature_level().to_owned(),
            scenario: scenario.to_owned(),
            seed,
            inputs,
            steps: BTreeMap::new(),
        }
    }

    /// Reads the manifest of the run directory `run`.
    pub(crate) fn read(run: &Path) -> Result<Self> {
        let path = run.join(Self::FILE);
        let manifest: Self = serde_json::from_str(&files::read(&path)?)
            .with_context(|| format!("{} is no manifest of a run", path.display()))?;
        anyhow::ensure!(
            manifest.format == FORMAT,
            "{} has format {}, this karma writes {FORMAT}",
            path.display(),
            manifest.format,
        );
        Ok(manifest)
    }

    /// Writes it into the run directory `run`.
    pub(crate) fn write(&self, run: &Path) -> Result<()> {
        files::write_json(&run.join(Self::FILE), self)
    }

    /// Whether the karma of `now` would make the same of the same inputs.
    pub(crate) fn is_of_this_karma(&self, now: &Self) -> bool {
        self.version == now.version && self.cpu_feature_level == now.cpu_feature_level
    }

    /// The first thing in which `self`, as recorded, differs from `now`; scenarios are compared
    /// elsewhere, where their texts are at hand.
    pub(crate) fn difference(&self, now: &Self) -> Option<String> {
        let pairs = [
            ("version of karma", &self.version, &now.version),
            (
                "CPU feature level",
                &self.cpu_feature_level,
                &now.cpu_feature_level,
            ),
            ("scenario's name", &self.scenario, &now.scenario),
            ("seed", &self.seed.to_string(), &now.seed.to_string()),
        ];
        pairs
            .iter()
            .find(|(_, recorded, now)| recorded != now)
            .map(|(what, recorded, now)| format!("the {what} was {recorded}, it is {now}"))
    }
}

/// The first entry in which `recorded` and `now` differ, in words.
pub(crate) fn first_difference(recorded: &Hashes, now: &Hashes) -> Option<String> {
    for (name, value) in now {
        match recorded.get(name) {
            None => return Some(format!("{name} is new")),
            Some(recorded) if recorded == value => {}
            Some(recorded) if is_hash(recorded) && is_hash(value) => {
                return Some(format!("{name} has other content"));
            }
            Some(recorded) => return Some(format!("{name} was {recorded}, it is {value}")),
        }
    }
    let (gone, was) = recorded.iter().find(|(name, _)| !now.contains_key(*name))?;
    Some(if is_hash(was) {
        format!("{gone} is gone")
    } else {
        format!("{gone} was {was}, now none is named")
    })
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Wall-clock of every step: the only file with times of the machine, outside all hashes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Timing {
    format: u32,
    /// Threads that worked last.
    pub(crate) threads: usize,
    /// Seconds per step, of all the pieces of an interrupted one.
    pub(crate) wall_s: BTreeMap<Step, f64>,
    /// Sum over the steps.
    pub(crate) total_s: f64,
}

impl Timing {
    /// Name of the file.
    pub(crate) const FILE: &str = "timing.json";

    /// Reads the times of the run directory `run`; none where there is no such file.
    pub(crate) fn read(run: &Path) -> Self {
        files::read(&run.join(Self::FILE))
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or(Self {
                format: FORMAT,
                threads: 0,
                wall_s: BTreeMap::new(),
                total_s: 0.0,
            })
    }

    /// Adds `seconds` of `step` and writes the file.
    pub(crate) fn add(&mut self, run: &Path, step: Step, seconds: f64) -> Result<()> {
        *self.wall_s.entry(step).or_default() += seconds;
        self.total_s = self.wall_s.values().sum();
        self.threads = rayon::current_num_threads();
        files::write_json(&run.join(Self::FILE), self)
    }
}
