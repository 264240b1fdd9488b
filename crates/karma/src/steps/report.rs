//! Step 6: the page.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{ACCURACY, EXPLOITABILITY, FIDELITY, Job, Shown, VERDICT};
use crate::{
    files,
    manifest::{Manifest, Step},
    report::{ReportInput, render},
    status::Outcome,
};

pub(super) fn make(job: &Job<'_>) -> Outcome<()> {
    let run = job.run;
    let mut fidelity = json_of(run, FIDELITY)?;
    if let (Some(fidelity), Some(accuracy)) = (&mut fidelity, json_of(run, ACCURACY)?) {
        // The same figure with one more policy: the trained team.
        fidelity["accuracy"] = accuracy;
    }
    let input = ReportInput {
        scenario: job.scenario.name.clone(),
        manifest: json_of(run, Manifest::FILE)?,
        // The page is an output like any other: the same bytes from the same inputs.
        timing: None,
        fidelity,
        exploitability: json_of(run, EXPLOITABILITY)?,
        metrics: lines_of(run, "train/metrics.jsonl")?,
        roles: json_of(run, "analyze/roles.json")?,
        verdict: json_of(run, VERDICT)?,
        decisions: lines_of(run, "transfer/decisions.jsonl")?,
        summary: json_of(run, "evaluate/summary.json")?,
    };
    let page = render(&input)?;
    files::replace(&run.join(Step::Report.place()), page.as_bytes())?;
    Ok(())
}

pub(super) fn show(run: &Path) -> Result<Shown> {
    let report = run.join(Step::Report.place());
    Ok(Shown {
        text: report.display().to_string(),
        rows: vec![json!({ "report": report })],
    })
}

fn json_of(run: &Path, name: &str) -> Result<Option<Value>> {
    let path = run.join(name);
    path.exists().then(|| files::read_json(&path)).transpose()
}

fn lines_of(run: &Path, name: &str) -> Result<Vec<Value>> {
    let path = run.join(name);
    if !path.exists() {
        return Ok(Vec::new());
    }
    files::read(&path)?
        .lines()
        .map(|line| {
            serde_json::from_str(line)
                .with_context(|| format!("{} has a line that is no JSON", path.display()))
        })
        .collect()
}
