//! Evaluates files of HPA cases: facts transcribed from Kubernetes' own tests, or our own in the
//! same format.
//!
//! `cases` and `format` are the file as it is written, `position` finds the key that a fault of the text belongs
//! to, `functions` runs the cases of single functions, `whole` those of one whole reconcile.

mod cases;
mod format;
mod functions;
mod position;
mod whole;

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::{Constants, Direction, Rules};
use crate::yaml::shortened;
use cases::File;
use format::{DefaultsText, Object};

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReplayReport {
    /// Cases evaluated.
    pub cases: usize,
    /// Cases per list, in the order of the format.
    pub lists: Vec<ListCount>,
    /// Every difference, in the order of the file. A file's `production_defaults` that are not
    /// ours are differences too, though no cases.
    pub differences: Vec<Difference>,
}

impl fmt::Display for ReplayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.differences {
            writeln!(
                f,
                "{}: expected {}, got {}",
                difference.id, difference.expected, difference.got
            )?;
        }
        write!(
            f,
            "{} cases, {} differences",
            self.cases,
            self.differences.len()
        )
    }
}

/// Cases of one list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListCount {
    /// Name of the list.
    pub list: String,
    /// Its cases.
    pub cases: usize,
}

/// One case whose outcome is not the expected one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The case.
    pub id: String,
    /// Expected, as JSON.
    pub expected: String,
    /// What this implementation gives, as JSON.
    pub got: String,
}

/// Why a file of cases was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ReplayError {
    /// Path of the key, e.g. `reconcile[3].metrics[0].type`.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl ReplayError {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        const MOST_CHARACTERS: usize = 300;
        Self {
            path: shortened(&path.into(), MOST_CHARACTERS),
            message: shortened(&message.into(), MOST_CHARACTERS),
        }
    }
}

/// Expected and given outcome of one case.
struct Checked {
    id: String,
    expected: Value,
    got: Value,
    /// Whether `got` is as expected where that is more than equality.
    agrees: bool,
}

impl Checked {
    fn equal(id: &str, expected: Value, got: Value) -> Self {
        Self {
            id: id.to_owned(),
            agrees: expected == got,
            expected,
            got,
        }
    }
}

/// Most pods of one case, far more than an autoscaler has to do with: a case names their number, and
/// each of them is made.
const MOST_PODS: usize = 10_000;

/// Most containers of each of these pods.
const MOST_CONTAINERS: usize = 100;

/// That `count`, which stands at `path`, is at most `most`.
fn bounded(count: usize, most: usize, what: &str, path: String) -> Result<usize, ReplayError> {
    if count > most {
        let message = format!("{count} {what} are more than {most}, the most of one case");
        return Err(ReplayError::new(path, message));
    }
    Ok(count)
}

/// Evaluates every case of a file in the format of `hpa/README.md`.
///
/// The constants of a file are those of its `test_harness_constants`; where it has none, those that
/// Kubernetes' own tests run with.
///
/// # Errors
/// The text is not of that format. Unknown fields and values are refused with their path, so that
/// nothing is skipped silently, as is a file without cases.
pub fn replay(json: &str) -> Result<ReplayReport, ReplayError> {
    let Object(file): Object<File> =
        serde_json::from_str(json).map_err(|error| position::locate(json, &error))?;
    let constants = file
        .test_harness_constants
        .as_ref()
        .map_or_else(harness_constants, format::ConstantsText::read);
    let mut report = ReplayReport::default();
    if let Some(defaults) = &file.production_defaults {
        report.differences.extend(differences_of_defaults(defaults));
    }
    let mut run = Runner { report };
    run.list(
        "replica_calculator",
        &file.replica_calculator,
        |case, path| functions::replica_calculator(case, &constants, path),
    )?;
    run.list("group_pods", &file.group_pods, |case, _| {
        Ok(functions::group(case, &constants))
    })?;
    run.list("pod_requests", &file.pod_requests, |case, _| {
        Ok(functions::requests(case))
    })?;
    run.list("per_pod_usage", &file.per_pod_usage, |case, path| {
        Ok(functions::usage(case, path))
    })?;
    run.list(
        "convert_without_behavior",
        &file.convert_without_behavior,
        |case, _| Ok(functions::convert(case, &constants)),
    )?;
    run.list("limit_with_rules", &file.limit_with_rules, |case, _| {
        Ok(functions::limit(case))
    })?;
    run.list("behavior_rate", &file.behavior_rate, |case, _| {
        Ok(functions::rate(case))
    })?;
    run.list(
        "stabilize_without_behavior",
        &file.stabilize_without_behavior,
        |case, _| Ok(functions::stabilized(case)),
    )?;
    run.list(
        "stabilize_with_behavior",
        &file.stabilize_with_behavior,
        |case, _| Ok(functions::stabilized_with_behavior(case)),
    )?;
    run.list("store_scale_event", &file.store_scale_event, |case, _| {
        Ok(functions::stored(case))
    })?;
    run.list("reconcile", &file.reconcile, |case, path| {
        whole::check(case, &constants, path)
    })?;
    if run.report.cases == 0 && run.report.differences.is_empty() {
        let lists: Vec<&str> = run.report.lists.iter().map(|l| l.list.as_str()).collect();
        let message = format!("no case in any of its lists: {}", lists.join(", "));
        return Err(ReplayError::new("file", message));
    }
    Ok(run.report)
}

struct Runner {
    report: ReplayReport,
}

impl Runner {
    fn list<T>(
        &mut self,
        name: &str,
        cases: &[T],
        check: impl Fn(&T, &str) -> Result<Checked, ReplayError>,
    ) -> Result<(), ReplayError> {
        for (index, case) in cases.iter().enumerate() {
            let checked = check(case, &format!("{name}[{index}]"))?;
            if !checked.agrees {
                self.report.differences.push(Difference {
                    id: checked.id,
                    expected: checked.expected.to_string(),
                    got: checked.got.to_string(),
                });
            }
        }
        self.report.cases += cases.len();
        self.report.lists.push(ListCount {
            list: name.to_owned(),
            cases: cases.len(),
        });
        Ok(())
    }
}

/// The constants that Kubernetes' own tests run with.
fn harness_constants() -> Constants {
    Constants {
        cpu_initialization_period_s: 120.0,
        initial_readiness_delay_s: 10.0,
        legacy_scale_up_limit_factor: 8.0,
        ..Constants::default()
    }
}

/// Defaults of a file that are not ours.
fn differences_of_defaults(defaults: &DefaultsText) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut compare = |key: &str, expected: String, got: String| {
        if expected != got {
            differences.push(Difference {
                id: format!("production_defaults.{key}"),
                expected,
                got,
            });
        }
    };
    compare(
        "constants",
        format!("{:?}", defaults.constants()),
        format!("{:?}", Constants::default()),
    );
    for (key, direction, rules) in [
        (
            "behavior_scale_up",
            Direction::Up,
            &defaults.behavior_scale_up,
        ),
        (
            "behavior_scale_down",
            Direction::Down,
            &defaults.behavior_scale_down,
        ),
    ] {
        if let Some(Object(rules)) = rules {
            compare(
                key,
                format!("{:?}", rules.fill(direction)),
                format!("{:?}", Rules::default_for(direction)),
            );
        }
    }
    differences
}
