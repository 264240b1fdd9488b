//! Prints environment steps per second of MAPPO at the pipeline's sizes, on a world that costs
//! nothing: what is left is the trainer.
//!
//! `cargo run --release -p karma-marl --features train --example train_speed [THREADS] [HIDDEN]`

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program that measures and prints"
)]

use std::time::Instant;

use karma_marl::train::{
    env::{Outcome, SnapshotError, VecEnv},
    mappo::{Mappo, Settings},
};
use karma_nn::Heads;

/// 128 games, 4 agents, 4 services, observations of the pipeline's width that move a little.
struct Idle {
    time: u32,
}

impl VecEnv for Idle {
    fn envs(&self) -> usize {
        128
    }
    fn agents(&self) -> usize {
        4
    }
    fn heads(&self) -> Heads {
        Heads {
            heads: 4,
            choices: 7,
        }
    }
    fn width(&self) -> usize {
        72
    }
    fn observe(&self, out: &mut [f32]) {
        for (i, value) in out.iter_mut().enumerate() {
            *value = ((i as u32 * 31 + self.time * 17) % 61) as f32 / 61.0;
        }
    }
    fn masks(&mut self, out: &mut [u8]) {
        out.fill(0x7f);
    }
    fn step(&mut self, choices: &[u8], outcome: &mut Outcome) {
        self.time += 1;
        for (reward, choices) in outcome.rewards.iter_mut().zip(choices.chunks_exact(16)) {
            *reward = choices.iter().map(|c| f32::from(*c)).sum::<f32>() / 96.0;
        }
    }
    fn reset_ended(&mut self) {}
    fn snapshot(&self) -> Vec<u8> {
        Vec::new()
    }
    fn restore(&mut self, _: &[u8]) -> Result<(), SnapshotError> {
        Ok(())
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<usize>());
    let mut next = |default| arguments.next().and_then(Result::ok).unwrap_or(default);
    let (threads, hidden) = (next(1), next(64));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    if let Ok(pool) = pool {
        pool.install(|| measure(threads, hidden));
    }
}

fn measure(threads: usize, hidden: usize) {
    let settings = Settings {
        iterations: 10,
        steps: 60,
        hidden,
        learning_rate: 1e-4,
        gamma: 0.97,
        gae_lambda: 0.95,
        clip: 0.2,
        entropy: 0.01,
        epochs: 4,
        minibatches: 4,
        mask_loss: 0.0,
        flip_advantage: false,
    };
    let mut mappo = Mappo::new(Idle { time: 0 }, settings, 1);
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let start = Instant::now();
        let done = mappo.iterate();
        assert!(
            done.is_ok_and(|m| m.epochs == 4),
            "full iterations are what is timed"
        );
        best = best.min(start.elapsed().as_secs_f64());
    }
    let (actor, critic) = (mappo.actor.shape(), mappo.critic.shape());
    // Forward, weight and input gradients; the first layer's inputs need none.
    let update = |shape: &karma_nn::MlpShape| 3 * shape.multiply_adds() - shape.inputs * hidden;
    let flops = 2
        * (4 * (actor.multiply_adds() + 4 * update(actor))
            + critic.multiply_adds()
            + 4 * update(critic));
    let rate = 60.0 * 128.0 / best;
    let peak = karma_nn::kernel::fma_peak(|flops, run| {
        let times = (0..7).map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        });
        flops / times.fold(f64::INFINITY, f64::min)
    });
    println!(
        "{threads} threads, hidden {hidden}: {rate:.0} env steps/s, {:.2} MFLOP each, {:.1} GFLOP/s, {:.0} % of the FMA peak ({})",
        flops as f64 / 1e6,
        rate * flops as f64 / 1e9,
        100.0 * rate * flops as f64 / (peak * threads as f64),
        karma_nn::feature_level(),
    );
}
