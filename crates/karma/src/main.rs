//! The `karma` command line: it parses, calls, prints and renders. The logic is in the other crates.
//!
//! [`args`] says what can be typed, [`commands`] has a module per command and [`steps`] one per
//! phase, [`run_dir`] keeps the files of a run together, [`report`] draws them, [`status`] says how
//! a command ends, [`advice`] what it came to. The shells' duties each have one place: [`files`] the
//! disk, [`clock`] the clock, [`threads`] the threads,
//! [`interrupt`] Ctrl-C, [`console`] and [`progress`] what is printed.

mod advice;
mod args;
mod clock;
mod commands;
mod console;
mod device;
mod files;
mod input;
mod interrupt;
mod manifest;
mod organization;
mod progress;
mod report;
mod run_dir;
mod status;
mod steps;
mod threads;
mod words;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    args::{Bench, Cli, Command, Hpa, StepArgs},
    manifest::Step,
    status::{ExitStatus, Outcome},
};

fn main() -> ExitCode {
    let status = match dispatch(Cli::parse().command) {
        Ok(status) => status,
        Err(failure) if console::is_broken_pipe(&failure.error) => ExitStatus::Done,
        Err(failure) => {
            console::say(&failure);
            failure.status
        }
    };
    status.into()
}

fn dispatch(command: Command) -> Outcome {
    match command {
        Command::Init { template } => commands::init(template),
        Command::Check { file, output } => commands::check(&file, output),
        Command::Run {
            step,
            workload,
            device,
        } => commands::run(&step, &workload, device),
        Command::Fit {
            scenario: Some(scenario),
            options,
            trace,
        } => commands::fit(&StepArgs { scenario, options }, &trace),
        Command::Fit {
            scenario: None,
            options,
            trace,
        } => commands::assess(&options, &trace),
        Command::Train { step, device } => commands::train(&step, device),
        Command::Analyze(args) => commands::step(Step::Analyze, &args),
        Command::Transfer(args) => commands::step(Step::Transfer, &args),
        Command::Evaluate(args) => commands::step(Step::Evaluate, &args),
        Command::Report(args) => commands::step(Step::Report, &args),
        Command::Tune { step, search } => commands::tune(&step, &search),
        Command::Export(args) => commands::export(&args),
        Command::Hpa(Hpa::Replay { file, output }) => commands::hpa_replay(&file, output),
        Command::Bench(Bench::Emulator { scenario, output }) => {
            commands::bench_emulator(scenario.as_deref(), output)
        }
        Command::Bench(Bench::Trace { rows, output }) => commands::bench_trace(rows, output),
        Command::Bench(Bench::Train(args)) => commands::bench_train(&args),
        Command::Bench(Bench::Adversary(args)) => commands::bench_adversary(&args),
    }
}
