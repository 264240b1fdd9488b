//! Step 3: the roles that the trained team plays.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::Result;
use karma_analysis::analyze;
use karma_cluster::{Interrupted, Watch, Watched, emulator::Emulator, seed::derive_seed, yaml};
use karma_marl::{MarlError, Policy, Team, Trajectories, record};
use rayon::prelude::*;
use serde_json::Value;

use super::{Job, Shown, team};
use crate::{files, organization, status::Outcome};

const TRAJECTORIES: &str = "analyze/trajectories.parquet";
const ROLES: &str = "analyze/roles.json";
const INFERRED: &str = "analyze/organization.inferred.yaml";

pub(super) fn make(job: &Job<'_>) -> Outcome<()> {
    let scenario = job.scenario;
    let trained = team(job)?;
    let guides = organization::guides(job.organization, scenario)?;
    let organization = organization::of(job.organization, scenario)?;
    let hidden = scenario.train.hidden as usize;
    let untrained = Policy::untrained(scenario, hidden, derive_seed(scenario.seed, "untrained", 0));
    let untrained = Team::new(untrained, guides, scenario);

    let trained = play(job, "trained team", &trained)?;
    let untrained = play(job, "untrained team", &untrained)?;
    let analysis = analyze(&trained, &untrained, organization.as_ref(), scenario.seed)?;

    trained.write_parquet(&job.run.join(TRAJECTORIES))?;
    let inferred = yaml::write(&analysis.inferred);
    files::replace(&job.run.join(INFERRED), inferred.as_bytes())?;
    files::write_json(&job.run.join(ROLES), &analysis)?;
    Ok(())
}

/// Plays every context on as many emulators as the scenario asks for, the same for every team.
fn play(job: &Job<'_>, name: &str, team: &Team) -> Outcome<Trajectories> {
    let contexts = job.scenario.in_every_context();
    let episodes = u64::from(job.scenario.analyze.episodes);
    let total = contexts.len() as u64 * episodes;
    let done = AtomicU64::new(0);
    job.watch.progress(name, 0, total, "episodes");
    let played: Vec<Trajectories> = (0..total)
        .into_par_iter()
        .map(|number| {
            if job.watch.stopped() {
                return Err(MarlError::Interrupted(Interrupted));
            }
            let (context, scenario) = &contexts[(number / episodes) as usize];
            let seed = derive_seed(job.scenario.seed, "analyze", number);
            let mut emulator = Emulator::new(scenario, seed);
            let mut watched = Watched::new(&mut emulator, job.watch);
            let played = record(&mut watched, &mut team.clone(), scenario, context, seed)?;
            watched.finished()?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            job.watch.progress(name, done, total, "episodes");
            Ok(played)
        })
        .collect::<Result<_, _>>()?;
    let mut all = Trajectories::default();
    for trajectories in played {
        all.extend(trajectories);
    }
    Ok(all)
}

pub(super) fn show(run: &Path) -> Result<Shown> {
    let roles: Value = files::read_json(&run.join(ROLES))?;
    let list = |key: &str| roles[key].as_array().cloned().unwrap_or_default();
    let text_of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut text = String::new();
    for role in list("roles") {
        let members: Vec<String> = role["members"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|member| text_of(&member["agent"]))
            .collect();
        text += &format!(
            "{} ({}): {}\n",
            text_of(&role["name"]),
            members.join(", "),
            text_of(&role["summary"])
        );
    }
    text += &format!("{:<14}{:>10}{:>12}\n", "", "trained", "untrained");
    let figure = |team: &str, pointer: &str| {
        let found = roles[team].pointer(pointer).and_then(Value::as_f64);
        found.map_or("-".to_owned(), |value| format!("{value:.1}"))
    };
    for (name, pointer) in [
        ("alignment %", "/alignment/percent"),
        ("purity %", "/purity_percent"),
    ] {
        let (trained, untrained) = (figure("trained", pointer), figure("untrained", pointer));
        text += &format!("{name:<14}{trained:>10}{untrained:>12}\n");
    }
    Ok(Shown {
        text,
        rows: list("roles"),
    })
}
