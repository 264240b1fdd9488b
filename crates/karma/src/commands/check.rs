//! `karma check`: every fault of a scenario at once.

use std::path::Path;

use karma_cluster::{
    scenario,
    yaml::{Fault, Refusals},
};
use serde_json::{Value, json};

use crate::{
    args::Output,
    console, input,
    status::{ExitStatus, Outcome},
};

/// Checks the scenario at `path` with everything that it names.
pub(crate) fn check(path: &Path, output: Output) -> Outcome {
    let loaded = match scenario::load(path) {
        Ok(loaded) => loaded,
        Err(refusals) => return tell(&refusals, output),
    };
    let scenario = &loaded.scenario;
    if let Some((origin, text)) = &loaded.organization
        && let Err(refusals) = crate::organization::check(text, origin, scenario)
    {
        return tell(&refusals, output);
    }
    let (name, contexts) = (&scenario.name, scenario.in_every_context().len());
    let services = scenario.services.len();
    for warning in &loaded.warnings {
        console::say(format_args!("warning: {warning}"));
    }
    input::tell_recorded(scenario);
    match output {
        Output::Json => console::row(&json!({
            "scenario": name, "services": services, "contexts": contexts, "faults": [],
            "warnings": loaded.warnings.iter().map(row).collect::<Vec<_>>(),
        }))?,
        Output::Text => console::data(format_args!(
            "{}: scenario {name} is well; services: {services}, contexts: {contexts}",
            path.display()
        ))?,
    }
    Ok(ExitStatus::Done)
}

/// `fault` for programs.
fn row(fault: &Fault) -> Value {
    json!({
        "file": fault.file, "line": fault.line, "column": fault.column,
        "key": fault.path, "message": fault.message, "hint": fault.hint,
    })
}

fn tell(refusals: &Refusals, output: Output) -> Outcome {
    let count = refusals.0.len();
    match output {
        Output::Text => console::data(refusals)?,
        Output::Json => {
            for fault in &refusals.0 {
                console::row(&row(fault))?;
            }
        }
    }
    console::say(format_args!(
        "error: {count} fault{}",
        if count == 1 { "" } else { "s" }
    ));
    Ok(ExitStatus::Refused)
}
