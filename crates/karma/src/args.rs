//! The command line, as typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use karma_cluster::{
    Scenario,
    units::{QuantityError, Seconds},
};

/// Designs, trains, explains and deploys a team of autoscaling agents for a pipeline of services.
#[derive(Parser)]
#[command(
    name = "karma",
    version,
    about,
    max_term_width = 100,
    after_help = "Exit status: 0 done, 1 fault (a failing gate or difference included), 2 input refused, \
                  130 interrupted.\n\nStart here:\n  karma init pipeline > my.yaml\n  karma check my.yaml\n  \
                  karma run my.yaml"
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Print a commented scenario to start from.
    #[command(after_help = "Example:\n  karma init pipeline > my.yaml")]
    Init {
        /// Which one.
        #[arg(value_enum, default_value_t = Template::Pipeline)]
        template: Template,
    },
    /// Tell every fault of a scenario at once, each with line, key and hint.
    #[command(after_help = "Example:\n  karma check scenarios/pipeline.yaml")]
    Check {
        /// Scenario file.
        file: PathBuf,
        /// How to print what was found.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Do every step: fit, train, analyze, transfer, evaluate, report.
    ///
    /// An interrupted run resumes, a finished one is left alone. A run whose gate fails finishes
    /// and exits 1, the first time and every time after.
    #[command(after_help = "Examples:\n  karma run scenarios/pipeline.yaml\n  \
        karma run scenarios/pipeline.yaml --workload scenarios/traces/autothrottle-noisy.txt \\\n      \
        --out runs/noisy")]
    Run {
        #[command(flatten)]
        step: StepArgs,
        #[command(flatten)]
        workload: WorkloadArgs,
        #[command(flatten)]
        device: DeviceArgs,
    },
    /// Step 1: record or read traces and fit the digital twin to them.
    ///
    /// With --mapping and without a scenario, the traces of a real cluster are assessed: how well
    /// its services can be predicted, against persistence and a linear model, on unseen runs.
    #[command(after_help = "Examples:\n  karma fit scenarios/pipeline.yaml\n  \
        karma fit scenarios/pipeline.yaml --trace runs/other/model/trace.parquet --out runs/again\n  \
        karma fit --trace recorded/ --mapping crates/twin/mappings/k8s-mft-ob.yaml")]
    Fit {
        /// Scenario file.
        #[arg(required_unless_present = "mapping")]
        scenario: Option<PathBuf>,
        #[command(flatten)]
        options: StepOptions,
        #[command(flatten)]
        trace: TraceArgs,
    },
    /// Step 2: train the team in the twin.
    ///
    /// Every iteration adds a line to train/metrics.jsonl and the same numbers to an event file in
    /// train/tensorboard, which `tensorboard --logdir runs` draws while the training goes on.
    #[command(after_help = "Example:\n  karma train scenarios/pipeline.yaml")]
    Train {
        #[command(flatten)]
        step: StepArgs,
        #[command(flatten)]
        device: DeviceArgs,
    },
    /// Step 3: find out which roles the agents play.
    #[command(after_help = "Example:\n  karma analyze scenarios/pipeline.yaml")]
    Analyze(StepArgs),
    /// Step 4: let the guarded team manage the cluster, and judge it.
    #[command(after_help = "Example:\n  karma transfer scenarios/pipeline.yaml")]
    Transfer(StepArgs),
    /// Step 5: compare every controller on the same clusters and seeds.
    #[command(after_help = "Example:\n  karma evaluate scenarios/pipeline.yaml --output json")]
    Evaluate(StepArgs),
    /// Step 6: write report.html.
    #[command(after_help = "Example:\n  karma report scenarios/pipeline.yaml")]
    Report(StepArgs),
    /// Search for better training settings: random draws, of which fewer and fewer go on.
    ///
    /// Needs the fitted twin of the run directory (`karma fit`). Trials train side by side there, in
    /// `tune/`; a search that was stopped goes on where it was. `tune/trials.json` holds the table,
    /// and `tune/best.yaml` is a scenario with the best settings, for `karma train` and `karma run`.
    #[command(after_help = "Example:\n  karma fit scenarios/smoke.yaml\n  \
        karma tune scenarios/smoke.yaml --trials 9")]
    Tune {
        #[command(flatten)]
        step: StepArgs,
        #[command(flatten)]
        search: SearchArgs,
    },
    /// Write the trained policy of a run as an ONNX file, to be served elsewhere.
    ///
    /// The file takes encoded observations (batch x numbers) and masks (batch x agents x services x
    /// choices, true where allowed) and gives logits and masked log-probabilities of the same shape,
    /// and the likeliest allowed choice of every agent for every service. Its metadata name every
    /// number and hold the manifest of the policy.
    #[command(
        after_help = "Examples:\n  karma export runs/pipeline --onnx policy.onnx\n  \
        karma export runs/pipeline --onnx policy.onnx --examples examples.json"
    )]
    Export(ExportArgs),
    /// Kubernetes' horizontal pod autoscaler.
    #[command(subcommand)]
    Hpa(Hpa),
    /// Measure speed on this machine.
    #[command(subcommand)]
    Bench(Bench),
}

/// Commands about the autoscaler.
#[derive(Subcommand)]
pub(crate) enum Hpa {
    /// Evaluate a file of autoscaler cases; print each difference and a count.
    ///
    /// The file is a JSON object of lists of cases. Each case holds what the autoscaler sees (replicas,
    /// targets, usage, the phase and age of pods, rules of `behavior`) and, under `expect`, what
    /// Kubernetes makes of it: replicas, utilization, reason, or words of the error. The lists are
    /// named after what they test, from `replica_calculator` for single functions to `reconcile` for a
    /// whole turn; the file of the example has all of them.
    #[command(after_help = "Example, in KARMA's repository:\n  karma hpa replay \
        crates/cluster/tests/golden/hpa-cases.json")]
    Replay {
        /// File of cases.
        file: PathBuf,
        /// How to print differences.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
}

/// Measurements.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Requests and hops per second of the emulator on one core: the median of five episodes.
    #[command(after_help = "Example:\n  karma bench emulator scenarios/diamond.yaml")]
    Emulator {
        /// Scenario file; the built-in pipeline where absent.
        scenario: Option<PathBuf>,
        /// How to print the result.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Seconds to write and to read a trace as `karma fit` does: the medians of five rounds.
    ///
    /// The file lies in a temporary folder, which is removed afterwards.
    #[command(after_help = "Example:\n  karma bench trace --rows 100000")]
    Trace {
        /// Rows of the trace.
        #[arg(long, value_name = "N", default_value_t = 1_000_000,
              value_parser = clap::value_parser!(u32).range(1..))]
        rows: u32,
        /// How to print the result.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Environment steps per second of the trainer, and the share of the machine's peak that it
    /// reaches while it learns.
    ///
    /// `simple_spread` is the multi-agent particle task of that name (3 agents, 18 numbers each),
    /// trained as other libraries do it: 4 epochs of 4 minibatches, returns on their own scale, the
    /// time limit a terminal state. `twin` is the game that a run has fitted, trained as `karma train`
    /// does it. Beside what was reached stands the floor: what arithmetic and memory alone would take.
    #[command(
        after_help = "Examples:\n  karma bench train --hidden 64 --threads 1 --output json\n  \
                            karma bench train --task twin --run runs/pipeline\n  \
                            karma bench train --sweep hidden"
    )]
    Train(TrainBench),
    /// Train the team of a run with and without attackers that learn, and let both meet the same ones.
    ///
    /// For every seed: a team against the contexts alone (before) and one of the same budget against
    /// attackers, too (after), then a best response to each from scratch. Prints what both are paid per
    /// window in the contexts, alone, and against the worst of all attackers, with 95 % intervals.
    #[command(after_help = "Example:\n  karma bench adversary --run runs/pipeline --seeds 5")]
    Adversary(AdversaryBench),
}

/// What `karma bench adversary` takes.
#[derive(Args)]
pub(crate) struct AdversaryBench {
    /// Run directory whose scenario and twin are played.
    #[arg(long, value_name = "DIR")]
    pub(crate) run: PathBuf,
    /// Seeds that both teams are trained with.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) seeds: u32,
    /// The first of them.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..1 << 32))]
    pub(crate) first_seed: u64,
    /// Iterations of the teams' training [default: the scenario's].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) iterations: Option<u32>,
    /// Attackers that learn on the way [default: the scenario's, or 6].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) attackers: Option<u32>,
    /// Threads, at most 256 [default: one per core]; what is learned does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST_THREADS))]
    pub(crate) threads: Option<u16>,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

/// What `karma bench train` takes.
#[derive(Args, Clone)]
pub(crate) struct TrainBench {
    /// What is learned.
    #[arg(long, value_enum, default_value_t = Task::SimpleSpread)]
    pub(crate) task: Task,
    /// Run directory whose scenario and twin are played; for `--task twin`.
    #[arg(long, value_name = "DIR", required_if_eq("task", "twin"))]
    pub(crate) run: Option<PathBuf>,
    /// Agents, and landmarks, of `simple_spread`; published with 3 [default: 3].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) agents: Option<u32>,
    /// Environments side by side [default: 64, or the scenario's games].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) envs: Option<u32>,
    /// Steps per rollout and environment [default: 128, or the scenario's].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) steps: Option<u32>,
    /// Width of the two hidden layers [default: 128, or the scenario's].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) hidden: Option<u32>,
    /// Iterations of rollout and update.
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) iterations: u32,
    /// How often the critic reads the global state [default: agent, or team in the twin].
    #[arg(long, value_enum)]
    pub(crate) critic: Option<CriticRows>,
    /// Seed of everything random.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Trains once for each of several values of one setting, and prints a row for each: agents 2 to
    /// 64, envs 16 to 4096, hidden 32 to 512. Many agents make a wide global state: --critic team reads
    /// it once a step.
    #[arg(long, value_enum, value_name = "SETTING")]
    pub(crate) sweep: Option<Axis>,
    /// Threads, at most 256 [default: one per core]; what is learned does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST_THREADS))]
    pub(crate) threads: Option<u16>,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

/// What `karma bench train --sweep` varies.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Axis {
    /// Agents.
    Agents,
    /// Environments side by side.
    Envs,
    /// Width of the hidden layers.
    Hidden,
}

/// Tasks of `karma bench train`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Task {
    /// Agents cover as many landmarks.
    #[value(name = "simple_spread")]
    SimpleSpread,
    /// The game of a run's twin.
    Twin,
}

/// Rows of a critic's batch.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CriticRows {
    /// Once per agent and step, as other trainers do.
    Agent,
    /// Once per step, with one output per agent, as `karma train` does.
    Team,
}

/// What is exported, and where to.
#[derive(Args)]
pub(crate) struct ExportArgs {
    /// Run directory, or a folder with policy.json and policy.safetensors.
    pub(crate) run: PathBuf,
    /// ONNX file to write.
    #[arg(long, value_name = "FILE")]
    pub(crate) onnx: PathBuf,
    /// Also write example inputs with what KARMA's own kernels make of them (JSON), to check a
    /// server with.
    #[arg(long, value_name = "FILE")]
    pub(crate) examples: Option<PathBuf>,
    /// How to print what was written.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

/// What every step takes.
#[derive(Args)]
pub(crate) struct StepArgs {
    /// Scenario file.
    pub(crate) scenario: PathBuf,
    #[command(flatten)]
    pub(crate) options: StepOptions,
}

/// The options of every step.
#[derive(Args)]
pub(crate) struct StepOptions {
    /// Run directory [default: runs/NAME, the scenario's name].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Seed of everything random, instead of the scenario's.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Threads, at most 256 [default: one per core]; the result does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST_THREADS))]
    pub(crate) threads: Option<u16>,
    /// Only this context of the scenario.
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// How to print results.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// Do it again, even where it was done or its inputs changed.
    #[arg(long)]
    pub(crate) force: bool,
}

impl StepOptions {
    /// The run directory, of `scenario` where nothing else was asked for.
    pub(crate) fn run_dir(&self, scenario: &Scenario) -> PathBuf {
        let usual = || PathBuf::from("runs").join(&scenario.name);
        self.out.clone().unwrap_or_else(usual)
    }
}

/// Where networks are computed while they are trained.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct DeviceArgs {
    /// Where networks are computed while they are trained.
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    pub(crate) device: DeviceName,
}

/// Devices, as typed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceName {
    /// This processor, by KARMA's own kernels.
    #[default]
    Cpu,
    /// The first CUDA device; needs a build with `--features cuda`.
    Cuda,
    /// This processor, by candle: slow, what the kernels are held against; needs a build with
    /// `--features candle`.
    CandleCpu,
}

/// A recorded workload instead of the scenario's.
#[derive(Args)]
pub(crate) struct WorkloadArgs {
    /// Recorded request rates (text or CSV, with or without header) instead of the scenario's load.
    #[arg(long, value_name = "FILE")]
    pub(crate) workload: Option<PathBuf>,
    /// Column by name or index from 0 [default: the last].
    #[arg(long, value_name = "NAME|INDEX", requires = "workload")]
    pub(crate) workload_column: Option<String>,
    /// Time between rows [default: 1s].
    #[arg(long, value_name = "TIME", requires = "workload", value_parser = span)]
    pub(crate) workload_interval: Option<Seconds>,
    /// What a value is [default: count].
    #[arg(long, value_enum, requires = "workload")]
    pub(crate) workload_unit: Option<Unit>,
    /// Where the evaluation's slice starts [default: 0s].
    #[arg(long, value_name = "TIME", requires = "workload", value_parser = instant)]
    pub(crate) workload_start: Option<Seconds>,
    /// Length of a slice [default: the scenario's duration].
    #[arg(long, value_name = "TIME", requires = "workload", value_parser = span)]
    pub(crate) workload_duration: Option<Seconds>,
    /// Factor on the values; auto makes the peak the scenario's capacity [default: auto].
    #[arg(long, value_name = "F|auto", requires = "workload")]
    pub(crate) workload_scale: Option<String>,
}

/// How `karma tune` searches.
#[derive(Args)]
pub(crate) struct SearchArgs {
    /// Settings drawn.
    #[arg(long, value_name = "N", default_value_t = 9,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) trials: u32,
    /// Times that trials are compared; 1 is plain random search.
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=10))]
    pub(crate) rungs: u32,
    /// One in so many trials goes on after a comparison, with so many times the iterations.
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(2..=100))]
    pub(crate) reduction: u32,
    /// What is drawn from where (YAML) [default: scenarios/spaces/train.yaml].
    #[arg(long, value_name = "FILE")]
    pub(crate) space: Option<PathBuf>,
}

/// Recorded traces of a cluster instead of the emulator's.
#[derive(Args, Default)]
pub(crate) struct TraceArgs {
    /// Recorded traces of a cluster instead of the emulator's: a folder, a CSV or a Parquet file.
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Which files and columns of the traces mean what (YAML).
    #[arg(long, value_name = "FILE", requires = "trace")]
    pub(crate) mapping: Option<PathBuf>,
}

/// Form of what is printed on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Tables for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Scenarios that `karma init` prints.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Template {
    /// Two services, a run of seconds.
    Smoke,
    /// Four services in a chain, five contexts.
    Pipeline,
    /// Four services with a branch, five contexts.
    Diamond,
    /// The pipeline under surges.
    Bottleneck,
    /// The pipeline under a flood.
    Ddos,
    /// The pipeline with pods that die.
    PodFailure,
    /// The pipeline on half the machines.
    Contention,
    /// The pipeline with a little of everything.
    Mixed,
}

/// Most threads: beyond the cores more of them only make everything slower.
const MOST_THREADS: i64 = 256;

/// A time above 0.
fn span(text: &str) -> Result<Seconds, String> {
    let span = instant(text)?;
    if span.seconds() > 0.0 {
        Ok(span)
    } else {
        Err("it must be above 0".to_owned())
    }
}

/// A time from 0 on.
fn instant(text: &str) -> Result<Seconds, String> {
    let instant: Seconds = text
        .parse()
        .map_err(|error: QuantityError| error.to_string())?;
    if instant.seconds() >= 0.0 && instant.seconds().is_finite() {
        Ok(instant)
    } else {
        Err("it must be from 0 on".to_owned())
    }
}

/// What a value of a recorded workload is.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Unit {
    /// Requests per interval.
    Count,
    /// Requests per second.
    Rps,
}
