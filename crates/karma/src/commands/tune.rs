//! `karma tune`: a search for better training settings in the twin of a run.

use std::path::Path;

use anyhow::Context;
use karma_cluster::{
    Scenario,
    files::MOST_TEXT,
    scenario,
    yaml::{self, Document, Fault, Refusals},
};
use karma_marl::train::tune::{Plan, Search, Space, Trial};
use karma_twin::Twin;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    args::{DeviceArgs, Output, SearchArgs, StepArgs, TraceArgs},
    console, files,
    input::Input,
    interrupt, organization,
    progress::Progress,
    status::{Blame, ExitStatus, Failure, Outcome},
    steps, threads,
    words::Words,
};

/// The search that a folder is of.
const SEARCH: &str = "search.json";
/// Every trial, the best first.
const TRIALS: &str = "trials.json";
/// A scenario with the best settings.
const BEST: &str = "best.yaml";

/// What is drawn where no file says otherwise.
const SPACE: &str = include_str!("../../../../scenarios/spaces/train.yaml");

/// What a search depends on, beside the twin.
#[derive(PartialEq, Serialize, Deserialize)]
struct Identity {
    plan: Plan,
    space: Space,
    scenario_sha256: String,
    twin_sha256: String,
}

/// Searches, and prints the table of trials.
pub(crate) fn tune(args: &StepArgs, search: &SearchArgs) -> Outcome {
    let input = Input::read(args, None)?;
    let scenario = input.scenario_in(args.options.context.as_deref())?;
    if scenario.train.adversary.is_some() {
        // Its validation becomes harder with every attacker: trials could not be told apart by it.
        return Err(Failure::refused(
            "train.adversary: a search compares trials by one validation, and attackers change it",
        )
        .hint("search without it, and add it to what the search leaves in tune/best.yaml"));
    }
    let guides = organization::guides(input.organization.as_deref(), &scenario)?;
    let space = space(search.space.as_deref(), &args.scenario, &scenario)?;
    let run = args.options.run_dir(&scenario);
    let model = run.join("model");
    let twin = Twin::load(&model).refuse().map_err(|failure| {
        let words = Words::new(
            args,
            None,
            &TraceArgs::default(),
            DeviceArgs::default(),
            &run,
        );
        failure.hint(format!("karma fit {}", words.step))
    })?;
    twin.fits(&scenario).refuse()?;
    let plan = Plan {
        trials: search.trials,
        rungs: search.rungs,
        reduction: search.reduction,
        seed: scenario.seed,
    };
    let dir = run.join("tune");
    if args.options.force {
        files::remove(&dir)?;
    }
    let identity = Identity {
        plan,
        space: space.clone(),
        scenario_sha256: files::hash(input.text.as_bytes()),
        twin_sha256: files::hash_file(&model.join("twin.safetensors")).refuse()?,
    };
    claim(&dir, &identity)?;
    interrupt::listen()?;
    threads::start(args.options.threads)?;
    let watch = Progress::start("tune");
    let work = Search {
        twin: &twin,
        scenario: &scenario,
        guides: &guides,
        space: &space,
        plan,
    };
    let searched = work.run(&watch, &dir);
    drop(watch);
    let trials = steps::trained(searched)?;
    files::write_json(&dir.join(TRIALS), &trials)?;
    if let Some(best) = trials.first() {
        let text = overlay(&args.scenario, &scenario, &best.drawn)?;
        files::replace(&dir.join(BEST), text.as_bytes())?;
    }
    show(&trials, &dir, args.options.output)?;
    Ok(ExitStatus::Done)
}

/// Reads and checks the space: its names, its form, and the limits that scenarios have.
fn space(path: Option<&Path>, of: &Path, scenario: &Scenario) -> Outcome<Space> {
    let (text, origin) = match path {
        Some(path) => (files::read_given(path, MOST_TEXT).refuse()?, path),
        None => (SPACE.to_owned(), Path::new("scenarios/spaces/train.yaml")),
    };
    let space: Space = yaml::read(&text, origin).refuse()?;
    let document = Document::parse(&text).map_err(|fault| Refusals(vec![fault.in_file(origin)]));
    let document = document.refuse()?;
    let at = |key: &str, message: &str| Fault::at(origin, document.place(key), key, message);
    if let Err(error) = space.check(&scenario.train) {
        return match error.at() {
            Some((key, why)) => Err(Refusals(vec![at(key, why)])).refuse(),
            None => Err(error).refuse(),
        };
    }
    for (key, value) in space.extremes() {
        let drawn = [(key.to_owned(), value)].into_iter().collect();
        let text = overlay(of, scenario, &drawn)?;
        // Its lines are not those of the space.
        let in_space =
            |fault: &Fault| at(key, &fault.message).hint(fault.hint.clone().unwrap_or_default());
        let checked = scenario::parse(&text, origin)
            .map_err(|Refusals(faults)| Refusals(faults.iter().map(in_space).collect()));
        checked.refuse()?;
    }
    Ok(space)
}

/// A scenario that is the one at `of` but for `drawn`.
fn overlay(
    of: &Path,
    scenario: &Scenario,
    drawn: &std::collections::BTreeMap<String, Value>,
) -> Outcome<String> {
    let of = std::path::absolute(of).context("cannot tell where the scenario is")?;
    let train: Map<String, Value> = drawn.clone().into_iter().collect();
    // JSON is YAML, and quotes what has to be quoted.
    let lines = [
        ("extends", json!(of)),
        ("name", json!(format!("{}-tuned", scenario.name))),
        ("train", json!(train)),
    ];
    Ok(lines
        .map(|(key, value)| format!("{key}: {value}\n"))
        .concat())
}

/// Makes `dir` the folder of this search.
fn claim(dir: &Path, identity: &Identity) -> Outcome<()> {
    let path = dir.join(SEARCH);
    if !path.exists() {
        files::write_json(&path, identity)?;
        return Ok(());
    }
    let found: Identity = files::read_json(&path).refuse()?;
    if found == *identity {
        return Ok(());
    }
    Err(
        Failure::refused(format_args!("{} holds another search", dir.display()))
            .hint("repeat its options, or start anew with --force, which removes it"),
    )
}

fn show(trials: &[Trial], dir: &Path, output: Output) -> Outcome<()> {
    if output == Output::Json {
        for trial in trials {
            console::row(&json!(trial))?;
        }
        return Ok(());
    }
    let mut table = String::from("trial  iterations  validation by rung   settings\n");
    for trial in trials {
        let scores: Vec<String> = trial
            .scores
            .iter()
            .map(|score| score.map_or("broke".to_owned(), |score| format!("{score:.4}")))
            .collect();
        let drawn: Vec<String> = trial
            .drawn
            .iter()
            .map(|(key, value)| match value.as_f64() {
                Some(number) if !value.is_u64() => format!("{key} {number:.3e}"),
                _ => format!("{key} {value}"),
            })
            .collect();
        table += &format!(
            "{:>5}  {:>10}  {:<20} {}\n",
            trial.trial,
            trial.iterations,
            scores.join(" "),
            drawn.join(", ")
        );
    }
    console::data(format_args!(
        "{table}best settings: {}",
        dir.join(BEST).display()
    ))?;
    Ok(())
}
