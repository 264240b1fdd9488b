//! What to type to come back to a run, for hints.

use std::path::Path;

use clap::ValueEnum;

use crate::{
    args::{DeviceArgs, DeviceName, StepArgs, TraceArgs, WorkloadArgs},
    manifest::{Manifest, Step},
    run_dir::SCENARIO,
};

/// What to type after the name of a command to do it on the same run with the same inputs.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    /// After `karma run`.
    pub(crate) run: String,
    /// After the name of a step. None of them takes a recorded workload: where the run has one,
    /// this names the scenario of the run directory, which has it, too.
    pub(crate) step: String,
    /// After those of `karma fit`, where traces were given.
    pub(crate) traces: Option<String>,
    /// After those of `karma train`, where a device was asked for.
    pub(crate) device: String,
}

impl Words {
    /// Of a command that works in the run directory `run`.
    pub(crate) fn new(
        args: &StepArgs,
        workload: Option<&WorkloadArgs>,
        traces: &TraceArgs,
        on: DeviceArgs,
        run: &Path,
    ) -> Self {
        let options = &args.options;
        let mut typed = quoted(&args.scenario.to_string_lossy());
        typed += &option("--out", options.out.as_deref().map(Path::to_string_lossy));
        typed += &option("--seed", options.seed);
        let context = option("--context", options.context.as_ref());
        typed += &context;
        let trace = |(name, path): (&str, &Option<_>)| {
            let path: Option<&std::path::PathBuf> = path.as_ref();
            option(name, path.map(|path| path.to_string_lossy()))
        };
        let of_fit = [("--trace", &traces.trace), ("--mapping", &traces.mapping)].map(trace);
        let of_fit = of_fit.concat();
        let device = Some(on.device).filter(|device| *device != DeviceName::Cpu);
        let device = device.and_then(|device| device.to_possible_value());
        let device = option("--device", device.as_ref().map(|device| device.get_name()));
        let of_run = workload.map(of_workload).unwrap_or_default();
        Self {
            step: if of_run.is_empty() {
                typed.clone()
            } else {
                own(run) + &context
            },
            run: typed + &of_run + &device,
            device,
            traces: Some(of_fit).filter(|words| !words.is_empty()),
        }
    }
}

/// What to type after the name of a command to do it with what the run directory `run` records that
/// it was made from.
pub(crate) fn recorded(run: &Path) -> String {
    let manifest = Manifest::read(run).ok();
    let first = manifest.and_then(|manifest| manifest.steps.into_values().next());
    let context = first.and_then(|record| record.inputs.get("context").cloned());
    own(run) + &option("--context", context.filter(|name| name != "all"))
}

/// What to add to that after `karma run`, of the run directory that `manifest` is of.
pub(crate) fn recorded_device(manifest: &Manifest) -> String {
    let train = manifest.steps.get(&Step::Train);
    option(
        "--device",
        train.and_then(|train| train.inputs.get("device")),
    )
}

/// The scenario of the run directory `run`, with every option that it resolves in it.
fn own(run: &Path) -> String {
    let scenario = quoted(&run.join(SCENARIO).to_string_lossy());
    format!("{scenario} --out {}", quoted(&run.to_string_lossy()))
}

fn of_workload(args: &WorkloadArgs) -> String {
    let unit = args.workload_unit.and_then(|unit| unit.to_possible_value());
    [
        option(
            "--workload",
            args.workload.as_deref().map(Path::to_string_lossy),
        ),
        option("--workload-column", args.workload_column.as_ref()),
        option("--workload-interval", args.workload_interval),
        option("--workload-unit", unit.as_ref().map(|unit| unit.get_name())),
        option("--workload-start", args.workload_start),
        option("--workload-duration", args.workload_duration),
        option("--workload-scale", args.workload_scale.as_ref()),
    ]
    .concat()
}

/// An option as typed, with a blank before it; nothing where it was not given.
fn option(name: &str, value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| {
        format!(" {name} {}", quoted(&value.to_string()))
    })
}

/// `word` as a shell reads it back.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-=+:,@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
