//! What a run is made from: the resolved scenario and the files that it reads.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::Context;
use karma_cluster::{
    Scenario, files,
    scenario::{self, Places, Shape, TraceScale, TraceUnit, TraceWorkload, Workload},
    units::Seconds,
    workload::trace::{self, TraceError},
    yaml::{Difference, Document},
};

use crate::{
    args::{StepArgs, Unit, WorkloadArgs},
    console, organization,
    run_dir::{INPUTS, SCENARIO},
    status::{Blame, ExitStatus, Failure, Outcome},
};

/// The resolved scenario of a run and the files that it reads.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// The scenario with every default written out, its files named as the run directory has them.
    pub(crate) scenario: Scenario,
    /// The same as text.
    pub(crate) text: String,
    /// Text of the organization, where the team has one.
    pub(crate) organization: Option<String>,
    /// Names in the run directory and contents of the files.
    copies: Vec<(String, Vec<u8>)>,
    /// Where the keys stand in the files that were given.
    places: Places,
    /// Whether the workload is another than theirs.
    has_workload: bool,
}

impl Input {
    /// Reads the scenario that `args` name, with what they override.
    pub(crate) fn read(args: &StepArgs, workload: Option<&WorkloadArgs>) -> Outcome<Self> {
        let mut loaded = scenario::load(&args.scenario).refuse()?;
        if let Some((path, text)) = &loaded.organization {
            organization::check(text, path, &loaded.scenario).refuse()?;
        }
        if let Some((args, file)) = workload.and_then(|args| Some((args, args.workload.as_ref()?)))
        {
            loaded.scenario = with_workload(&loaded.scenario, args, file)?;
        } else if workload.is_some() {
            tell_recorded(&loaded.scenario);
        }
        if let Some(seed) = args.options.seed {
            loaded.scenario.seed = seed;
        }
        let folder = args.scenario.parent().unwrap_or(Path::new(""));
        let mut copies = Copies::default();
        for workload in workloads(&mut loaded.scenario) {
            if let Shape::Trace(trace) = &mut workload.shape {
                let path = folder.join(&trace.file);
                let bytes = files::read(&path, files::MOST_DATA)
                    .with_context(|| format!("cannot read {}", path.display()))
                    .refuse()?;
                trace.file = copies.add(&path, bytes);
            }
        }
        if let Some((path, text)) = &loaded.organization {
            let name = copies.add(path, text.clone().into_bytes());
            loaded.scenario.team.organization = Some(name);
        }
        Ok(Self {
            text: scenario::to_yaml(&loaded.scenario),
            organization: loaded.organization.map(|(_, text)| text),
            scenario: loaded.scenario,
            copies: copies.files,
            places: loaded.places,
            has_workload: workload.is_some_and(|args| args.workload.is_some()),
        })
    }

    /// Names in the run directory and contents of the scenario and of the files that it reads.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let copies = self.copies.iter();
        std::iter::once((SCENARIO, self.text.as_bytes()))
            .chain(copies.map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
    }

    /// The first difference of the scenario from the one `recorded` as text, told at the place that
    /// was given; `None` where there is none, or no text to compare with.
    pub(crate) fn difference(&self, recorded: &str) -> Option<String> {
        let parse = |text| Document::parse(text).ok();
        let Difference { path, before, now } =
            parse(recorded)?.first_difference(&parse(&self.text)?)?;
        let (file, line) = self.places.of(&path);
        let place = if self.has_workload && path.starts_with("workload") {
            "--workload".to_owned()
        } else if line == 0 {
            file.display().to_string()
        } else {
            format!("{}:{line}", file.display())
        };
        Some(match (before, now) {
            (Some(before), Some(now)) => format!("{place}: {path} was {before}, it is {now}"),
            (None, _) => format!("{place}: {path} is new"),
            (_, None) => format!("{place}: {path} is gone"),
        })
    }

    /// The scenario with no context but `context`.
    pub(crate) fn scenario_in(&self, context: Option<&str>) -> Outcome<Scenario> {
        let mut scenario = self.scenario.clone();
        if let Some(name) = context {
            scenario.contexts.retain(|context| context.name == name);
            if scenario.contexts.is_empty() {
                let known: Vec<&str> = self
                    .scenario
                    .contexts
                    .iter()
                    .map(|context| context.name.as_str())
                    .collect();
                let failure = Failure::refused(format_args!(
                    "scenario {} has no context {name:?}",
                    self.scenario.name
                ));
                return Err(if known.is_empty() {
                    failure.hint("it has no contexts at all: leave --context out")
                } else {
                    failure.hint(format!("its contexts are {}", known.join(", ")))
                });
            }
        }
        Ok(scenario)
    }
}

/// Files to copy into the run directory.
#[derive(Default)]
struct Copies {
    sources: Vec<PathBuf>,
    files: Vec<(String, Vec<u8>)>,
}

impl Copies {
    /// Keeps `bytes`, the content of `source`, once and returns its name in the run directory.
    fn add(&mut self, source: &Path, bytes: Vec<u8>) -> String {
        if let Some(known) = self.sources.iter().position(|path| path == source) {
            return self.files[known].0.clone();
        }
        let file = source.file_name().unwrap_or_default().to_string_lossy();
        let taken: BTreeSet<&str> = self.files.iter().map(|(name, _)| name.as_str()).collect();
        let mut name = format!("{INPUTS}/{file}");
        for number in 2.. {
            if !taken.contains(name.as_str()) {
                break;
            }
            name = format!("{INPUTS}/{number}-{file}");
        }
        self.sources.push(source.to_owned());
        self.files.push((name.clone(), bytes));
        name
    }
}

/// Every workload of the scenario, its contexts' included.
fn workloads(scenario: &mut Scenario) -> impl Iterator<Item = &mut Workload> {
    let contexts = scenario.contexts.iter_mut();
    std::iter::once(&mut scenario.workload)
        .chain(contexts.filter_map(|context| context.workload.as_mut()))
}

/// `scenario` driven by the recorded workload in `file`.
fn with_workload(scenario: &Scenario, args: &WorkloadArgs, file: &Path) -> Outcome<Scenario> {
    let absolute = std::path::absolute(file)
        .with_context(|| format!("cannot find {}", file.display()))
        .refuse()?;
    let asked = TraceWorkload {
        file: absolute.to_string_lossy().into_owned(),
        column: args.workload_column.clone(),
        interval: args.workload_interval.unwrap_or(Seconds(1.0)),
        unit: match args.workload_unit {
            None | Some(Unit::Count) => TraceUnit::Count,
            Some(Unit::Rps) => TraceUnit::Rps,
        },
        start: args.workload_start.unwrap_or_default(),
        duration: args.workload_duration,
        scale: match args.workload_scale.as_deref() {
            None | Some("auto") => TraceScale::Auto,
            Some(factor) => TraceScale::Factor(factor.parse().map_err(|_| {
                Failure::refused(format_args!("--workload-scale {factor:?} is no number"))
                    .hint("give a factor such as 0.5, or auto")
            })?),
        },
        rates: Vec::new().into(),
    };
    let refuse = |error: TraceError| Failure {
        status: ExitStatus::Refused,
        hint: Some(match error {
            TraceError::Read { .. } => {
                "--workload names a file from where karma is started".to_owned()
            }
            _ => error.hint().to_owned(),
        }),
        error: anyhow::Error::from(error).context("the workload cannot be used"),
    };
    let trace = trace::load(file, asked).map_err(refuse)?;
    if let Some(warning) = trace.warning() {
        console::say(format_args!(
            "warning: {warning} (hint: set --workload-interval to the time between rows)"
        ));
    }
    let scenario = scenario.with_workload(trace.workload).map_err(refuse)?;
    if let Shape::Trace(trace) = &scenario.workload.shape {
        console::say(words(&scenario, &file.display().to_string(), trace));
    }
    Ok(scenario)
}

/// Says what the contexts of `scenario` play that was recorded, each workload once.
pub(crate) fn tell_recorded(scenario: &Scenario) {
    let mut told: Vec<String> = Vec::new();
    for (_, played) in scenario.in_every_context() {
        if let Shape::Trace(trace) = &played.workload.shape {
            let words = words(scenario, &trace.file, trace);
            if !told.contains(&words) {
                console::say(&words);
                told.push(words);
            }
        }
    }
}

/// What is played of the recorded workload in `file`.
fn words(scenario: &Scenario, file: &str, trace: &TraceWorkload) -> String {
    format!(
        "workload: {file}: {}",
        trace::told(trace, scenario.duration)
    )
}
