//! `karma bench train`: how fast the trainer learns, beside what the machine could do.

use anyhow::anyhow;
use karma_cluster::Interrupted;
use karma_marl::train::{
    Fault,
    env::{SimpleSpread, simple_spread},
    mappo::{CriticInput, Mappo, Settings},
};
use serde_json::json;

use super::median;
use crate::{
    args::{CriticRows, Output, Task, TrainBench},
    clock::Stopwatch,
    console, interrupt,
    status::{ExitStatus, Failure, Outcome},
    threads,
};

/// Environments that one thread plays at a time.
const PART: usize = 16;
const EPOCHS: u32 = 4;
const MINIBATCHES: usize = 4;

/// Trains, and prints steps per second and the share of the peak.
pub(crate) fn bench_train(args: &TrainBench) -> Outcome {
    interrupt::listen()?;
    threads::start(args.threads)?;
    let Task::SimpleSpread = args.task;
    // On a thread of the pool: asking it from outside costs more than some of what is asked.
    let done = rayon::scope(|_| train(args))?;
    let threads = rayon::current_num_threads();
    let steps = f64::from(args.iterations) * f64::from(args.envs) * f64::from(args.steps);
    let seconds = done.rollout_s + done.update_s;
    let rate = steps / seconds;
    let update_share = done.update_s / seconds;
    let (peak, fma_peak_share) = (done.peak, done.peak_share);
    match args.output {
        Output::Json => console::row(&json!({
            "task": "simple_spread", "envs": args.envs, "steps": args.steps, "hidden": args.hidden,
            "threads": threads, "iterations": args.iterations, "seed": args.seed,
            "critic": if args.critic == CriticRows::Team { "team" } else { "agent" },
            "env_steps_per_s": rate.round(), "update_share": update_share,
            "fma_peak_share": fma_peak_share, "fma_peak_gflop_per_s": peak / 1e9,
            "level": karma_nn::feature_level(),
            "first_return": done.first_return, "final_return": done.final_return,
        }))?,
        Output::Text => console::data(format_args!(
            "simple_spread, {} environments × {} steps, hidden {}, {threads} threads, \
             {} iterations of {EPOCHS} epochs × {MINIBATCHES} minibatches\n\
             env_steps_per_s {rate:.0}\n\
             update_share    {update_share:.3}\n\
             fma_peak_share  {fma_peak_share:.3} of {:.0} GFLOP/s ({})\n\
             return          {:.1} at first, {:.1} in the last tenth",
            args.envs,
            args.steps,
            args.hidden,
            args.iterations,
            peak / 1e9,
            karma_nn::feature_level(),
            done.first_return,
            done.final_return,
        ))?,
    }
    Ok(ExitStatus::Done)
}

/// What a training took and brought.
struct Trained {
    rollout_s: f64,
    update_s: f64,
    /// Multiplications and additions per second that all threads together are capable of, and the
    /// share of it that updates reach: medians over the iterations.
    peak: f64,
    peak_share: f64,
    first_return: f64,
    final_return: f64,
}

fn train(args: &TrainBench) -> Outcome<Trained> {
    let envs = SimpleSpread::parts(args.envs as usize, PART, args.seed);
    let mut mappo = Mappo::new(envs, settings(args), args.seed);
    let (mut rollout_s, mut update_s) = (0.0, 0.0);
    let mut returns = Vec::new();
    let (mut peaks, mut peak_shares) = (Vec::new(), Vec::new());
    let rows = f64::from(args.envs) * f64::from(args.steps) * f64::from(EPOCHS);
    let update_flops = rows * mappo.update_flops() as f64;
    let mut before = fma_peak();
    let fault = |fault: Fault| -> Failure {
        anyhow!(
            "training stopped at step {}: {} is not finite",
            fault.step,
            fault.term
        )
        .into()
    };
    for _ in 0..args.iterations {
        if interrupt::requested() {
            return Err(Interrupted.into());
        }
        let clock = Stopwatch::start();
        let mut metrics = mappo.play().map_err(fault)?;
        rollout_s += clock.seconds();
        let clock = Stopwatch::start();
        mappo.learn(&mut metrics).map_err(fault)?;
        let seconds = clock.seconds();
        update_s += seconds;
        // Beside every update and not once for all: a machine's clock and its neighbours change.
        let after = fma_peak();
        peak_shares.push(update_flops / seconds / (0.5 * (before + after)));
        peaks.push(after);
        before = after;
        // What the agents of one world get in one episode, all together.
        let per_row = metrics.reward + metrics.guide_reward;
        let rows = f64::from(simple_spread::STEPS) * simple_spread::AGENTS as f64;
        returns.push(per_row * rows);
    }
    let last = &returns[returns.len() - returns.len().div_ceil(10)..];
    Ok(Trained {
        rollout_s,
        update_s,
        peak: median(peaks),
        peak_share: median(peak_shares),
        first_return: returns[0],
        final_return: last.iter().sum::<f64>() / last.len() as f64,
    })
}

/// The settings that trainers share on this task (`crates/marl/benches/peers`).
fn settings(args: &TrainBench) -> Settings {
    Settings {
        iterations: args.iterations,
        steps: args.steps as usize,
        hidden: args.hidden as usize,
        learning_rate: 2e-3,
        gamma: 0.99,
        gae_lambda: 0.95,
        clip: 0.2,
        entropy: 0.01,
        entropy_left: 1.0,
        kl_stop: None,
        raw_values: true,
        critic: match args.critic {
            CriticRows::Agent => CriticInput::State,
            CriticRows::Team => CriticInput::Team,
        },
        sharing: Vec::new(),
        epochs: EPOCHS,
        minibatches: MINIBATCHES,
        mask_loss: 0.0,
        flip_advantage: false,
    }
}

/// The peak of all threads together.
fn fma_peak() -> f64 {
    let rates = rayon::broadcast(|_| {
        karma_nn::kernel::fma_peak(|flops, run| {
            let clock = Stopwatch::start();
            run();
            flops / clock.seconds()
        })
    });
    rates.into_iter().sum()
}
