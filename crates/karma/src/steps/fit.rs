//! Step 1: traces and the digital twin.

use std::path::Path;

use anyhow::{Context, Result};
use karma_twin::{
    Fidelity, FitSettings, Trace, Twin, TwinError, fidelity::untrained_policies, record_traces,
};

use super::{FIDELITY, Job, MODEL, Shown, accuracy, play_in_both};
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
    let fitted = Twin::fit(&trace, scenario, &settings, seed, job.watch);
    // What cannot carry a twin is the trace's fault, or that of a scenario which shows too little.
    let (twin, mut fidelity) = match (&fitted, &job.trace.trace) {
        (Err(TwinError::Fit(_) | TwinError::Trace(_)), Some(path)) => fitted
            .with_context(|| format!("{} does not fit this scenario", path.display()))
            .refuse()?,
        (Err(TwinError::Fit(_)), None) => fitted.refuse().map_err(|failure| {
            failure.hint("record more (twin: {episodes: …}) of longer episodes under more load")
        })?,
        _ => fitted?,
    };
    if job.trace.trace.is_none() {
        // The cluster that was recorded is at hand: what policies earn in both can be compared.
        let policies = untrained_policies(scenario);
        fidelity.accuracy = Some(accuracy(&play_in_both(job, &twin, &policies)?));
    }
    twin.save(&job.run.join(MODEL))?;
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
        Some(_) => Err(Failure::refused(
            "a mapped trace shows neither queues nor calls, so no game can be made of it yet",
        )
        .hint("assess it without a scenario: karma fit --trace DIR --mapping FILE")),
    }
}

pub(super) fn show(run: &Path) -> Result<Shown> {
    let fidelity: Fidelity = files::read_json(&run.join(FIDELITY))?;
    let rows = fidelity.metrics.iter().map(serde_json::to_value);
    Ok(Shown {
        text: fidelity.table(),
        rows: rows.collect::<Result<_, _>>()?,
    })
}
