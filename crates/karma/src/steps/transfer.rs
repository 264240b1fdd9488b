//! Step 4: the guarded team on a cluster, broken on purpose, and the verdict.

use std::path::Path;

use anyhow::Result;
use karma_marl::Team;
use karma_transfer::{
    TeamDecider, Verdict, VerdictInput, demonstrate,
    files::{write_decisions, write_verdict},
    judge, validate,
};
use karma_twin::{
    Fidelity, Twin,
    fidelity::{Factory, TwinAccuracy},
};

use super::{ACCURACY, FIDELITY, Job, MODEL, Shown, VERDICT, accuracy, play_in_both, team};
use crate::{
    files,
    status::{Blame, Outcome},
};

const DECISIONS: &str = "transfer/decisions.jsonl";

pub(super) fn make(job: &Job<'_>) -> Outcome<()> {
    let (scenario, seed) = (job.scenario, job.scenario.seed);
    let team = team(job)?;
    let decider = || TeamDecider::new(team.clone());
    let demonstrations = demonstrate(scenario, &decider, seed, job.watch)?;
    let validation = validate(scenario, &decider, seed, job.watch)?;
    let fidelity: Fidelity = files::read_json(&job.run.join(FIDELITY))?;
    if let Some(untrained) = &fidelity.accuracy {
        let accuracy = with_team(job, untrained, &team)?;
        files::write_json(&job.run.join(ACCURACY), &accuracy)?;
    }
    let violations: Vec<_> = demonstrations
        .iter()
        .flat_map(|shown| shown.violations.iter().cloned())
        .collect();
    let verdict = judge(&VerdictInput {
        fidelity: &fidelity,
        validation: &validation,
        violations: &violations,
    });
    write_decisions(&job.run.join(DECISIONS), &demonstrations)?;
    write_verdict(&job.run.join(VERDICT), &verdict)?;
    Ok(())
}

/// Twin accuracy with the trained team among the policies.
fn with_team(job: &Job<'_>, untrained: &TwinAccuracy, team: &Team) -> Outcome<TwinAccuracy> {
    let twin = Twin::load(&job.run.join(MODEL)).refuse()?;
    let factory: Factory<'_> = (
        "trained team".to_owned(),
        Box::new(|_| Box::new(team.clone())),
    );
    let mut returns: Vec<(String, f64, f64)> = untrained
        .policies
        .iter()
        .map(|policy| (policy.name.clone(), policy.cluster, policy.twin))
        .collect();
    returns.extend(play_in_both(job, &twin, &[factory])?);
    Ok(accuracy(&returns))
}

pub(super) fn show(run: &Path) -> Result<Shown> {
    let verdict: Verdict = files::read_json(&run.join(VERDICT))?;
    let mut text = if verdict.pass {
        "safety gate passed: the team may act; whether that is worth it, the comparison says\n"
            .to_owned()
    } else {
        "safety gate failed: the team only observes\n".to_owned()
    };
    for reason in &verdict.reasons {
        text += &format!("- {reason}\n");
    }
    let accuracy = run.join(ACCURACY);
    if accuracy.exists() {
        let accuracy: TwinAccuracy = files::read_json(&accuracy)?;
        let (mean, worst) = (accuracy.mean * 100.0, accuracy.worst * 100.0);
        text += &format!(
            "twin accuracy {mean:.1} % over {} policies, worst {worst:.1} %\n",
            accuracy.policies.len()
        );
    }
    Ok(Shown {
        text,
        rows: vec![serde_json::to_value(&verdict)?],
    })
}
