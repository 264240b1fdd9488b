//! `karma fit --trace DIR --mapping FILE`: how well the services of a real cluster can be predicted.

use std::path::Path;

use karma_cluster::{files::MOST_TEXT, yaml};
use karma_twin::{foreign, trace::Mapping};
use serde_json::json;

use crate::{
    args::{Output, StepOptions, TraceArgs},
    console, files, interrupt,
    progress::Progress,
    status::{Blame, ExitStatus, Failure, Outcome},
};

/// Seed of the models where the command line names none.
const SEED: u64 = 1;

/// Reads the traces that `trace` names and prints one-step errors on unseen runs, twice: with zeros
/// kept, as such numbers are published, and with what stands for nothing dropped.
pub(crate) fn assess(options: &StepOptions, trace: &TraceArgs) -> Outcome {
    let (Some(dir), Some(mapping)) = (&trace.trace, &trace.mapping) else {
        return Err(
            Failure::refused("without a scenario there is nothing to fit to")
                .hint("name a scenario, or recorded traces with --trace DIR --mapping FILE"),
        );
    };
    if options.out.is_some() || options.force || options.context.is_some() {
        return Err(
            Failure::refused("traces are assessed without a run directory")
                .hint("leave --out, --force and --context away, or name a scenario"),
        );
    }
    interrupt::listen()?;
    let mapping = read_mapping(mapping)?;
    let watch = Progress::start("assess");
    let found = foreign::assess(dir, &mapping, options.seed.unwrap_or(SEED), &watch);
    drop(watch);
    let found = found.refuse()?;
    match options.output {
        Output::Text => {
            console::data(format_args!("{}\n", found.source(dir)))?;
            console::data(found.table())?;
        }
        Output::Json => {
            let report = &found.report;
            console::row(&json!({
                "table": "source", "path": dir, "files": report.files.len(), "runs": report.runs,
                "validation_runs": report.validation_runs, "services": report.services,
                "rows": report.rows,
            }))?;
            for (table, rows) in [
                ("as_published", &found.as_published),
                ("nulls_dropped", &found.nulls_dropped),
            ] {
                for row in rows {
                    console::row(&json!({ "table": table, "errors": row }))?;
                }
            }
        }
    }
    Ok(ExitStatus::Done)
}

fn read_mapping(path: &Path) -> Outcome<Mapping> {
    yaml::read(&files::read_given(path, MOST_TEXT).refuse()?, path).refuse()
}
