//! `karma bench train`: how fast the trainer learns, beside what the machine could do.

use anyhow::anyhow;
use karma_cluster::{Interrupted, scenario::Algorithm};
use karma_marl::{
    policy::Layout,
    train::{
        Fault, TwinEnv,
        env::{SimpleSpread, VecEnv, simple_spread},
        mappo::{Cost, CriticInput, Mappo, Settings},
    },
};
use serde::Serialize;

use super::{machine, median, recorded, timed::Timed};
use crate::{
    args::{Axis, CriticRows, Output, Task, TrainBench},
    clock::Stopwatch,
    console,
    device::{accepted, device},
    interrupt,
    status::{ExitStatus, Failure, Outcome},
    threads,
};

/// Environments that one thread plays at a time.
const PART: usize = 16;

/// Trains, and prints steps per second and the share of the peak; once for every value of a sweep.
pub(crate) fn bench_train(args: &TrainBench) -> Outcome {
    interrupt::listen()?;
    threads::start(args.threads)?;
    // Once, before anything is fitted or played.
    device(args.device)?;
    let values: &[Option<u32>] = match args.sweep {
        None => &[None],
        Some(Axis::Agents) => &[2, 4, 8, 16, 32, 64].map(Some),
        Some(Axis::Envs) => &[16, 64, 256, 1024, 4096].map(Some),
        Some(Axis::Hidden) => &[32, 64, 128, 256, 512].map(Some),
    };
    for value in values {
        let mut args = args.clone();
        match args.sweep {
            None => {}
            Some(Axis::Agents) => args.agents = *value,
            Some(Axis::Envs) => args.envs = *value,
            Some(Axis::Hidden) => args.hidden = *value,
        }
        // On a thread of the pool: asking it from outside costs more than some of what is asked.
        let row = rayon::scope(|_| train(&args))?;
        match args.output {
            Output::Json => console::row(&serde_json::to_value(&row).map_err(|e| anyhow!(e))?)?,
            Output::Text => console::data(row.text(args.sweep.is_some()))?,
        }
    }
    Ok(ExitStatus::Done)
}

/// What a training was and what it took.
#[derive(Debug, Serialize)]
struct Row {
    task: &'static str,
    agents: usize,
    envs: usize,
    steps: usize,
    hidden: usize,
    threads: usize,
    device: &'static str,
    iterations: u32,
    seed: u64,
    critic: &'static str,
    epochs: u32,
    minibatches: usize,
    env_steps_per_s: f64,
    update_share: f64,
    /// Share of the time that steps and observations of the environments took.
    env_share: f64,
    /// Share of the time that their masks took: what guides allow.
    mask_share: f64,
    /// Medians over the iterations: the update's share of the peak, and the peak.
    fma_peak_share: f64,
    fma_peak_gflop_per_s: f64,
    level: &'static str,
    /// Least cost of an environment step, rollout and update.
    flop_per_step: f64,
    bytes_per_step: f64,
    memory_gb_per_s: f64,
    /// Steps per second if arithmetic at the peak, or memory, were all there is.
    floor_by_flops_per_s: f64,
    floor_by_bytes_per_s: f64,
    first_return: f64,
    final_return: f64,
}

impl Row {
    /// In words; a line of a table where `sweep`.
    fn text(&self, sweep: bool) -> String {
        if sweep {
            return format!(
                "agents {:>3}  envs {:>5}  hidden {:>4}  env_steps_per_s {:>9.0}  \
                 update_share {:.3}  fma_peak_share {:.3}",
                self.agents,
                self.envs,
                self.hidden,
                self.env_steps_per_s,
                self.update_share,
                self.fma_peak_share,
            );
        }
        format!(
            "{}, {} agents, {} environments × {} steps, hidden {}, {} threads, device {}, {} iterations of {} \
             epochs × {} minibatches\n\
             env_steps_per_s {:.0}\n\
             update_share    {:.3}\n\
             env_share       {:.3}, and {:.3} for masks\n\
             fma_peak_share  {:.3} of {:.0} GFLOP/s ({})\n\
             floor           {:.0} steps/s by arithmetic ({:.2} MFLOP a step), {:.0} by memory \
             ({:.1} kB a step at {:.1} GB/s)\n\
             return          {:.2} at first, {:.2} in the last tenth",
            self.task,
            self.agents,
            self.envs,
            self.steps,
            self.hidden,
            self.threads,
            self.device,
            self.iterations,
            self.epochs,
            self.minibatches,
            self.env_steps_per_s,
            self.update_share,
            self.env_share,
            self.mask_share,
            self.fma_peak_share,
            self.fma_peak_gflop_per_s,
            self.level,
            self.floor_by_flops_per_s,
            self.flop_per_step / 1e6,
            self.floor_by_bytes_per_s,
            self.bytes_per_step / 1e3,
            self.memory_gb_per_s,
            self.first_return,
            self.final_return,
        )
    }
}

fn train(args: &TrainBench) -> Outcome<Row> {
    match args.task {
        Task::SimpleSpread => {
            if args.run.is_some() {
                return Err(Failure::refused("--run is for the twin").hint("add --task twin"));
            }
            let agents = args.agents.map_or(simple_spread::AGENTS, |n| n as usize);
            let envs = args.envs.unwrap_or(64) as usize;
            let settings = spread_settings(args);
            // What the agents of one world get in one episode, all together.
            let scale = f64::from(simple_spread::STEPS) * agents as f64;
            let envs = SimpleSpread::parts(agents, envs, PART, args.seed);
            measure("simple_spread", envs, settings, args, scale)
        }
        Task::Twin => {
            if args.agents.is_some() {
                return Err(Failure::refused("--agents is for simple_spread")
                    .hint("a twin's agents are those of its scenario"));
            }
            let (envs, settings) = twin(args)?;
            measure("twin", envs, settings, args, 1.0)
        }
    }
}

/// Trains in `envs`, whose mean rewards per step times `scale` are told as returns.
fn measure<E: VecEnv>(
    task: &'static str,
    envs: Vec<E>,
    settings: Settings,
    args: &TrainBench,
    scale: f64,
) -> Outcome<Row> {
    let critic = match settings.critic {
        CriticInput::Team => "team",
        CriticInput::State | CriticInput::Sight => "agent",
    };
    let count = envs.iter().map(VecEnv::envs).sum::<usize>();
    let agents = envs.first().map_or(0, VecEnv::agents);
    let (steps, epochs, minibatches) = (settings.steps, settings.epochs, settings.minibatches);
    let hidden = settings.hidden;
    let envs = envs.into_iter().map(Timed::new).collect();
    let device = device(args.device)?;
    let mut mappo = Mappo::new(envs, settings, args.seed);
    accepted(mappo.compute_on(device))?;
    let Cost {
        rollout_flops,
        epoch_flops,
        epoch_bytes,
    } = mappo.cost();
    let per_iteration = (count * steps) as f64;
    let update_flops = f64::from(epochs) * epoch_flops as f64;

    let (mut rollout_s, mut update_s) = (0.0, 0.0);
    let (mut peaks, mut shares, mut returns) = (Vec::new(), Vec::new(), Vec::new());
    let mut before = machine::fma_peak();
    for _ in 0..args.iterations {
        if interrupt::requested() {
            return Err(Interrupted.into());
        }
        let clock = Stopwatch::start();
        let mut metrics = mappo.play().map_err(|fault| stopped(fault, &mappo))?;
        rollout_s += clock.seconds();
        let clock = Stopwatch::start();
        let learned = mappo.learn(&mut metrics);
        learned.map_err(|fault| stopped(fault, &mappo))?;
        let seconds = clock.seconds();
        update_s += seconds;
        // Beside every update and not once for all: a machine's clock and its neighbours change.
        let after = machine::fma_peak();
        shares.push(per_iteration * update_flops / seconds / (0.5 * (before + after)));
        peaks.push(after);
        before = after;
        returns.push((metrics.reward + metrics.guide_reward) * scale);
    }

    let threads = rayon::current_num_threads();
    let seconds = rollout_s + update_s;
    let share_of = |spent: fn(&Timed<E>) -> f64| {
        mappo.envs().map(spent).sum::<f64>() / threads as f64 / seconds
    };
    let peak = median(peaks);
    let memory = machine::memory_bandwidth();
    let flop_per_step = rollout_flops as f64 + update_flops;
    // Written once, read in the rollout and in every epoch.
    let bytes_per_step = (f64::from(epochs) + 2.0) * epoch_bytes as f64;
    let last = &returns[returns.len() - returns.len().div_ceil(10)..];
    Ok(Row {
        task,
        agents,
        envs: count,
        steps,
        hidden,
        threads,
        device: device.name(),
        iterations: args.iterations,
        seed: args.seed,
        critic,
        epochs,
        minibatches,
        env_steps_per_s: (f64::from(args.iterations) * per_iteration / seconds).round(),
        update_share: update_s / seconds,
        env_share: share_of(Timed::seconds),
        mask_share: share_of(Timed::mask_seconds),
        fma_peak_share: median(shares),
        fma_peak_gflop_per_s: peak / 1e9,
        level: karma_nn::feature_level(),
        flop_per_step,
        bytes_per_step,
        memory_gb_per_s: memory / 1e9,
        floor_by_flops_per_s: peak / flop_per_step,
        floor_by_bytes_per_s: memory / bytes_per_step,
        first_return: returns[0],
        final_return: last.iter().sum::<f64>() / last.len() as f64,
    })
}

fn stopped<E>(fault: Fault, mappo: &Mappo<E>) -> Failure {
    if let Some(failure) = mappo.device_failure() {
        return failure.clone().into();
    }
    let (step, term) = (fault.step, fault.term);
    anyhow!("training stopped at step {step}: {term} is not finite").into()
}

/// The settings that trainers share on this task (`crates/marl/benches/peers`).
fn spread_settings(args: &TrainBench) -> Settings {
    Settings {
        iterations: args.iterations,
        steps: args.steps.unwrap_or(128) as usize,
        hidden: args.hidden.unwrap_or(128) as usize,
        learning_rate: 2e-3,
        gamma: 0.99,
        gae_lambda: 0.95,
        clip: 0.2,
        entropy: 0.01,
        entropy_left: 1.0,
        kl_stop: None,
        raw_values: true,
        critic: critic(args.critic.unwrap_or(CriticRows::Agent)),
        sharing: Vec::new(),
        recurrent: None,
        epochs: 4,
        minibatches: 4,
        mask_loss: 0.0,
        flip_advantage: false,
    }
}

fn critic(rows: CriticRows) -> CriticInput {
    match rows {
        CriticRows::Agent => CriticInput::State,
        CriticRows::Team => CriticInput::Team,
    }
}

/// The games of a run's twin, and how its scenario trains in them. No update stops early, so that
/// each does all of its work.
fn twin(args: &TrainBench) -> Outcome<(Vec<TwinEnv>, Settings)> {
    let run = args.run.as_deref().unwrap_or(std::path::Path::new("."));
    let (mut scenario, guides, twin) = recorded(run)?;
    let train = &mut scenario.train;
    train.iterations = args.iterations;
    train.steps = args.steps.unwrap_or(train.steps);
    train.hidden = args.hidden.unwrap_or(train.hidden);
    train.games = args.envs.unwrap_or(train.games);
    if scenario.train.algorithm == Algorithm::Ppo {
        return Err(
            Failure::refused("train.algorithm is ppo: one agent plays other games")
                .hint("bench a run of mappo, ippo or a2c"),
        );
    }
    let mut settings = Settings {
        kl_stop: None,
        sharing: Layout::of(&scenario, &scenario.train).sharing,
        recurrent: scenario.train.recurrent.map(Into::into),
        ..Settings::from(&scenario.train)
    };
    if let Some(of) = settings
        .recurrent
        .filter(|of| !settings.steps.is_multiple_of(of.sequence))
    {
        let steps = settings.steps;
        let message = format!(
            "{steps} steps are no whole number of sequences of {}",
            of.sequence
        );
        return Err(Failure::refused(message).hint("take a multiple with --steps"));
    }
    if let Some(rows) = args.critic {
        settings.critic = critic(rows);
    }
    let games = scenario.train.games as usize;
    let envs = TwinEnv::parts(&twin, &scenario, &guides, games, args.seed);
    Ok((envs, settings))
}
