//! Step 2: the team, trained in the twin.

use std::path::Path;

use anyhow::{Context, Result};
use karma_marl::{
    MarlError, bundle,
    train::{
        IterationMetrics, Trainer,
        adversary::{Exploitability, Met},
    },
};
use karma_twin::Twin;

use super::{EXPLOITABILITY, Job, MODEL, Shown};
use crate::{
    device::accepted,
    files, organization,
    status::{Blame, Outcome},
};

const METRICS: &str = "train/metrics.jsonl";

pub(super) fn make(job: &Job<'_>) -> Outcome<()> {
    let scenario = job.scenario;
    let twin = Twin::load(&job.run.join(MODEL)).refuse()?;
    let guides = organization::guides(job.organization, scenario)?;
    let folder = job.run.join("train");
    let mut trainer = Trainer::new(&twin, scenario, &guides, &scenario.train, scenario.seed);
    accepted(trainer.compute_on(job.device))?;
    let policy = trained(trainer.run(job.watch, &mut |_| {}, &folder))?;
    bundle::save(
        &policy,
        scenario,
        job.organization.unwrap_or_default(),
        &folder,
    )?;
    Ok(())
}

/// What training gave. A checkpoint that is damaged or of something else is input, not a fault of it.
pub(crate) fn trained<T>(result: Result<T, MarlError>) -> Outcome<T> {
    match result {
        Err(MarlError::Broken { .. } | MarlError::Mismatch { .. }) => result.refuse(),
        _ => Ok(result?),
    }
}

pub(super) fn show(run: &Path) -> Result<Shown> {
    let path = run.join(METRICS);
    let text = files::read(&path)?;
    let line = text
        .lines()
        .last()
        .with_context(|| format!("{} is empty", path.display()))?;
    let last: IterationMetrics = serde_json::from_str(line)
        .with_context(|| format!("{} has a line of another form", path.display()))?;
    let attacked = attacked(run)?;
    Ok(Shown {
        text: format!(
            "{} iterations, {} windows played\nreward per window {:.4}, success {:.4}, \
             share of the pods {:.3}{attacked}",
            last.iteration + 1,
            last.env_steps,
            last.reward,
            last.success,
            last.pods,
        ),
        rows: vec![serde_json::to_value(&last)?],
    })
}

/// A line on how the team stands attackers that learn, where there were any.
fn attacked(run: &Path) -> Result<String> {
    let path = run.join(EXPLOITABILITY);
    if !path.exists() {
        return Ok(String::new());
    }
    let told: Exploitability = serde_json::from_value(files::read_json(&path)?)
        .with_context(|| format!("{} has another form", path.display()))?;
    let taken = |met: &Met| format!("{:.4}", met.exploitability());
    let before = told.joined.first().map_or_else(|| "-".to_owned(), taken);
    Ok(format!(
        "\na best response takes {before} of the reward before attackers joined, {} after; \
         worst against {} attackers {:.4}, alone {:.4}",
        taken(&told.after),
        told.league.len() + 2,
        told.worst,
        told.after.nobody,
    ))
}
