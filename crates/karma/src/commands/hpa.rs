//! `karma hpa`: Kubernetes' autoscaler against recorded cases.

use std::path::Path;

use anyhow::Context;
use karma_cluster::{files::MOST_DATA, hpa};
use serde_json::json;

use crate::{
    args::Output,
    console, files,
    status::{Blame, ExitStatus, Outcome},
};

/// Evaluates the cases of the file at `path`.
pub(crate) fn hpa_replay(path: &Path, output: Output) -> Outcome {
    let text = files::read_given(path, MOST_DATA).refuse()?;
    let report = hpa::replay(&text)
        .with_context(|| format!("{} cannot be replayed", path.display()))
        .refuse()?;
    for difference in &report.differences {
        let (id, expected, got) = (&difference.id, &difference.expected, &difference.got);
        match output {
            Output::Json => {
                console::row(&json!({ "id": id, "expected": expected, "got": got }))?;
            }
            Output::Text => {
                console::data(format_args!(
                    "{id}\n  expected {expected}\n  got      {got}"
                ))?;
            }
        }
    }
    match output {
        Output::Json => console::row(&json!({
            "cases": report.cases, "lists": report.lists,
            "differences": report.differences.len(),
        }))?,
        Output::Text => {
            for list in &report.lists {
                console::data(format_args!("{:<26}{:>5}", list.list, list.cases))?;
            }
            let (cases, differences) = (report.cases, report.differences.len());
            console::data(format_args!("{cases} cases, {differences} differences"))?;
        }
    }
    Ok(if report.differences.is_empty() {
        ExitStatus::Done
    } else {
        ExitStatus::Fault
    })
}
