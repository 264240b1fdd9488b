//! Step 1: traces and the digital twin.

use std::path::Path;

use anyhow::Result;
use karma_twin::{FitSettings, Trace, Twin, record_traces};

use super::{FIDELITY, Job, Shown};
use crate::{
    files,
    status::{Blame, Failure, Outcome},
};

const TRACE: &str = "model/trace.parquet";

pub(super) fn make(job: &Job<'_>) -> Outcome<()> {
    let (scenario, seed) = (job.scenario, job.scenario.seed);
    let trace = match &job.trace.trace {
        None => record_traces(scenario, scenario.twin.episodes, seed, job.watch)?,
        Some(path) => read_trace(path, job.trace.mapping.as_deref())?,
    };
    trace.write_parquet(&job.run.join(TRACE))?;
    let settings = FitSettings::of(scenario);
    let (twin, fidelity) = Twin::fit(&trace, scenario, &settings, seed, job.watch)?;
    twin.save(&job.run.join("model"))?;
    files::write_json(&job.run.join(FIDELITY), &fidelity)?;
    Ok(())
}

fn read_trace(path: &Path, mapping: Option<&Path>) -> Outcome<Trace> {
    match mapping {
        None if path.extension().is_some_and(|ending| ending == "parquet") => {
            Trace::read_parquet(path).refuse()
        }
        None => Err(Failure::refused(format_args!(
            "{} is no Parquet file, so karma cannot know what its columns mean",
            path.display()
        ))
        .hint("say it with --mapping FILE")),
        Some(_) => Err(Failure::refused("traces with a mapping are being built")),
    }
}

pub(super) fn show(run: &Path) -> Result<Shown> {
    let fidelity: karma_twin::Fidelity = files::read_json(&run.join(FIDELITY))?;
    let mut text = format!(
        "{:<18}{:>14}{:>14}{:>14}{:>14}\n",
        "20-step error", "twin", "persistence", "linear", "queueing"
    );
    for metric in &fidelity.metrics {
        let errors = &metric.twenty_step;
        text += &format!(
            "{:<18}{:>14.4}{:>14.4}{:>14.4}{:>14.4}\n",
            metric.metric, errors.twin, errors.persistence, errors.linear, errors.queueing
        );
    }
    Ok(Shown {
        text,
        rows: rows(&fidelity.metrics)?,
    })
}

fn rows(metrics: &[impl serde::Serialize]) -> Result<Vec<serde_json::Value>> {
    Ok(metrics
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<_, _>>()?)
}
