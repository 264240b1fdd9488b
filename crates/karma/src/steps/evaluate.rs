//! Step 5: every controller on the same clusters and the same unseen seeds.

use std::path::Path;

use anyhow::Result;
use karma_cluster::Controller;
use karma_evaluate::{Summary, evaluate};
use karma_transfer::{Guarded, Mode, TeamDecider};

use super::{Job, Shown, team};
use crate::{advice::Worth, status::Outcome};

const SUMMARY: &str = "evaluate/summary.json";
const EPISODES: &str = "evaluate/episodes.parquet";

pub(super) fn make(job: &Job<'_>) -> Outcome<()> {
    let team = team(job)?;
    let guarded = || -> Box<dyn Controller> {
        let decider = TeamDecider::new(team.clone());
        Box::new(Guarded::new(decider, job.scenario, Mode::Active))
    };
    let summary = evaluate(job.scenario, &guarded, job.scenario.seed, job.watch)?;
    summary.write_episodes(&job.run.join(EPISODES))?;
    summary.write(&job.run.join(SUMMARY))?;
    Ok(())
}

/// In how many contexts the team of the run directory `run` is worth deploying.
pub(super) fn worth(run: &Path) -> Result<Worth> {
    Ok(Worth::of(&Summary::read(&run.join(SUMMARY))?))
}

pub(super) fn show(run: &Path) -> Result<Shown> {
    let summary = Summary::read(&run.join(SUMMARY))?;
    let mut rows = Vec::new();
    for context in &summary.contexts {
        for controller in &context.controllers {
            let mut row = serde_json::to_value(controller)?;
            row["context"] = context.name.clone().into();
            rows.push(row);
        }
    }
    Ok(Shown {
        text: summary.table(),
        rows,
    })
}
