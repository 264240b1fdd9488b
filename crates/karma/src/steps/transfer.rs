//! Step 4: the guarded team on a cluster, broken on purpose, and the verdict.

use std::path::Path;

use anyhow::Result;
use karma_cluster::{Interrupted, Watch};
use karma_transfer::{
    TeamDecider, Verdict, VerdictInput, demonstrate,
    files::{write_decisions, write_verdict},
    judge, validate,
};

use super::{FIDELITY, Job, Shown, VERDICT, team};
use crate::{files, status::Outcome};

const DECISIONS: &str = "transfer/decisions.jsonl";

pub(super) fn make(job: &Job<'_>) -> Outcome<()> {
    let (scenario, seed) = (job.scenario, job.scenario.seed);
    let team = team(job)?;
    let decider = || TeamDecider::new(team.clone());
    job.watch.progress("demonstrate", 0, 1, "");
    let demonstrations = demonstrate(scenario, &decider, seed);
    job.watch.progress("demonstrate", 1, 1, "");
    if job.watch.stopped() {
        return Err(Interrupted.into());
    }
    let validation = validate(scenario, &decider, seed, job.watch)?;
    let violations: Vec<_> = demonstrations
        .iter()
        .flat_map(|shown| shown.violations.iter().cloned())
        .collect();
    let verdict = judge(&VerdictInput {
        fidelity: &files::read_json(&job.run.join(FIDELITY))?,
        validation: &validation,
        violations: &violations,
    });
    write_decisions(&job.run.join(DECISIONS), &demonstrations)?;
    write_verdict(&job.run.join(VERDICT), &verdict)?;
    Ok(())
}

pub(super) fn show(run: &Path) -> Result<Shown> {
    let verdict: Verdict = files::read_json(&run.join(VERDICT))?;
    let mut text = if verdict.pass {
        "the gate passed: the team may manage the cluster\n".to_owned()
    } else {
        "the gate failed: the agents only observe\n".to_owned()
    };
    for reason in &verdict.reasons {
        text += &format!("- {reason}\n");
    }
    Ok(Shown {
        text,
        rows: vec![serde_json::to_value(&verdict)?],
    })
}
