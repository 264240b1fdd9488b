//! `karma run` and the six steps it consists of.

use karma_cluster::{Interrupted, Scenario};
use karma_marl::train::Device;
use serde_json::json;

use crate::{
    args::{DeviceArgs, Output, StepArgs, TraceArgs, WorkloadArgs},
    clock::Stopwatch,
    console, device,
    input::Input,
    interrupt,
    manifest::{Hashes, Step, Timing},
    progress::Progress,
    run_dir::{Begun, Redo, RunDir},
    status::{ExitStatus, Failure, Outcome},
    steps::{self, Job},
    threads,
    words::{Words, quoted},
};

/// All steps.
pub(crate) fn run(args: &StepArgs, workload: &WorkloadArgs, on: DeviceArgs) -> Outcome {
    let trace = TraceArgs::default();
    let mut session = Session::open(args, Some(workload), &trace, Step::Fit, on)?;
    for step in Step::ALL {
        session.perform(step, &trace)?;
    }
    session.conclude()
}

/// The first step, which may read recorded traces.
pub(crate) fn fit(args: &StepArgs, trace: &TraceArgs) -> Outcome {
    let mut session = Session::open(args, None, trace, Step::Fit, DeviceArgs::default())?;
    session.perform(Step::Fit, trace)?;
    session.show(Step::Fit)
}

/// The second step, which may train on a device.
pub(crate) fn train(args: &StepArgs, on: DeviceArgs) -> Outcome {
    alone(Step::Train, args, on)
}

/// Any other single step.
pub(crate) fn step(step: Step, args: &StepArgs) -> Outcome {
    alone(step, args, DeviceArgs::default())
}

fn alone(step: Step, args: &StepArgs, on: DeviceArgs) -> Outcome {
    let trace = TraceArgs::default();
    let mut session = Session::open(args, None, &trace, step, on)?;
    session.perform(step, &trace)?;
    session.show(step)
}

/// One command at work in a run directory.
struct Session {
    input: Input,
    scenario: Scenario,
    context: Option<String>,
    run: RunDir,
    redo: Redo,
    output: Output,
    device: Device,
}

impl Session {
    fn open(
        args: &StepArgs,
        workload: Option<&WorkloadArgs>,
        trace: &TraceArgs,
        first: Step,
        on: DeviceArgs,
    ) -> Outcome<Self> {
        let input = Input::read(args, workload)?;
        let scenario = input.scenario_in(args.options.context.as_deref())?;
        let redo = if args.options.force {
            Redo::From(first)
        } else {
            Redo::Never
        };
        let path = args.options.run_dir(&scenario);
        threads::start(args.options.threads)?;
        let device = device::device(on)?;
        let words = Words::new(args, workload, trace, on, &path);
        let run = RunDir::open(&path, &input, first, words, redo)?;
        interrupt::listen()?;
        Ok(Self {
            context: args.options.context.clone(),
            output: args.options.output,
            device,
            input,
            scenario,
            run,
            redo,
        })
    }

    /// Does `step` unless it was done.
    fn perform(&mut self, step: Step, trace: &TraceArgs) -> Outcome<()> {
        let mut settings = Hashes::new();
        let context = self.context.as_deref().unwrap_or("all");
        settings.insert("context".to_owned(), context.to_owned());
        settings.extend(steps::trace_hashes(trace)?);
        if step == Step::Train && self.device != Device::Cpu {
            settings.insert("device".to_owned(), self.device.name().to_owned());
        }
        let begun = self.run.begin(step, settings, self.redo)?;
        if begun == Begun::Done {
            console::say(format_args!("{step}: finished before, left alone"));
            return Ok(());
        }
        let clock = Stopwatch::start();
        let watch = Progress::start(step.name());
        let job = Job {
            scenario: &self.scenario,
            organization: self.input.organization.as_deref(),
            run: self.run.path(),
            watch: &watch,
            trace,
            device: self.device,
        };
        let made = steps::make(step, &job);
        drop(watch);
        let seconds = clock.seconds();
        match made {
            Ok(()) => {
                self.run.finish(step, seconds)?;
                console::say(format_args!("{step}: finished in {seconds:.1} s"));
            }
            Err(failure) if failure.status == ExitStatus::Refused && begun == Begun::New => {
                self.run.abandon(step)?;
                return Err(failure);
            }
            Err(failure) => {
                self.run.pause(step, seconds)?;
                return Err(match failure.status {
                    // It cannot go on from what an earlier command left.
                    ExitStatus::Refused if failure.hint.is_none() => {
                        failure.hint(format!("do it anew with `{}`", self.run.way_to_redo(step)))
                    }
                    _ => with_way_back(failure),
                });
            }
        }
        if interrupt::requested() {
            return Err(with_way_back(Interrupted.into()));
        }
        Ok(())
    }

    /// Prints what `step` found.
    fn show(&self, step: Step) -> Outcome {
        let shown = steps::show(step, self.run.path())?;
        match self.output {
            Output::Text => console::data(&shown.text)?,
            Output::Json => {
                for row in &shown.rows {
                    console::row(row)?;
                }
            }
        }
        if step != Step::Transfer {
            return Ok(ExitStatus::Done);
        }
        let gate = steps::gate(self.run.path())?;
        Ok(ended(gate.is_none_or(|gate| gate.pass)))
    }

    /// Prints the verdict, the comparison and the times of a whole run.
    fn conclude(&self) -> Outcome {
        let run = self.run.path();
        let report = run.join(Step::Report.place());
        let timing = self.run.timing();
        let gate = steps::gate(run)?;
        let pass = gate.as_ref().is_none_or(|gate| gate.pass);
        let reasons = gate.map(|gate| gate.reasons).unwrap_or_default();
        match self.output {
            Output::Json => {
                for (step, seconds) in &timing.wall_s {
                    console::row(&json!({ "step": step, "wall_s": seconds }))?;
                }
                console::row(&json!({
                    "run": run, "pass": pass, "reasons": reasons,
                    "wall_s": timing.total_s, "report": report,
                }))?;
            }
            Output::Text => {
                console::data(steps::show(Step::Transfer, run)?.text)?;
                let comparison = steps::show(Step::Evaluate, run)?;
                console::data(format_args!("\n{}", comparison.text.trim_end()))?;
                console::data(format_args!("\n{}\n", table_of(timing)))?;
                console::data(format_args!("verdict: {}", steps::verdict(run)?))?;
                console::data(format_args!("report: {}", report.display()))?;
            }
        }
        Ok(ended(pass))
    }
}

/// How a command ends whose run has `passed` the gate or not; the last line says so.
fn ended(passed: bool) -> ExitStatus {
    if passed {
        return ExitStatus::Done;
    }
    console::say("exit status 1: the work is finished, and the safety gate failed");
    ExitStatus::Fault
}

/// The time of each step.
fn table_of(timing: &Timing) -> String {
    let mut table = format!("{:<10}{:>8}\n", "step", "time");
    for (step, seconds) in &timing.wall_s {
        table += &format!("{:<10}{seconds:>6.1} s\n", step.name());
    }
    table + &format!("{:<10}{:>6.1} s", "total", timing.total_s)
}

/// Tells whoever interrupted the work how to go on with it.
fn with_way_back(failure: Failure) -> Failure {
    if failure.status != ExitStatus::Interrupted {
        return failure;
    }
    let typed: Vec<String> = std::env::args()
        .filter(|word| word != "--force")
        .map(|word| quoted(&word))
        .collect();
    failure.hint(format!("go on where it stopped with `{}`", typed.join(" ")))
}
