//! Prints the machine's FMA peak, the share of it that one training step of a network reaches, and
//! single products beside those of `gemm`.
//!
//! `cargo run --release -p karma-nn --features train --example flops`

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program that measures and prints"
)]

mod products;

use std::{hint::black_box, ops::Range, time::Instant};

use karma_nn::{Activation, AdamStep, Learner, Level, Mlp, MlpShape, Objective, SLOTS, Scratch};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// Half the squared output, on inputs kept in a table.
struct Square<'a> {
    inputs: &'a [f32],
    width: usize,
}

impl Objective for Square<'_> {
    type Work = ();

    fn input<'a>(&'a self, row: usize, _: &'a mut [f32]) -> &'a [f32] {
        &self.inputs[row * self.width..(row + 1) * self.width]
    }

    fn loss(&self, _: Range<usize>, out: &[f32], d_out: &mut [f32], (): &mut ()) {
        for (d, out) in d_out.iter_mut().zip(out) {
            *d = out * 1e-6;
        }
    }
}

/// Best of `rounds` timings of `run`, in seconds.
fn best(rounds: usize, mut run: impl FnMut()) -> f64 {
    (0..rounds)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

fn main() {
    rayon::ThreadPoolBuilder::new()
        .num_threads(
            std::env::args()
                .nth(1)
                .map_or(1, |n| n.parse().unwrap_or(1)),
        )
        .build()
        .map(|pool| pool.install(measure))
        .unwrap_or_default();
}

fn measure() {
    let threads = rayon::current_num_threads();
    let peak = karma_nn::kernel::fma_peak(|flops, run| flops / best(7, run)) * threads as f64;
    println!(
        "FMA peak × {threads} threads: {:.1} GFLOP/s ({})",
        peak / 1e9,
        Level::best().name()
    );
    for level in Level::available() {
        for (inputs, hidden, outputs) in [(80, 64, 28), (72, 64, 1), (18, 64, 5), (80, 128, 28)] {
            let shape = MlpShape {
                inputs,
                hidden: vec![hidden; 2],
                outputs,
                activation: Activation::Tanh,
                recurrent: false,
            };
            let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
            let mut mlp = Mlp::new(shape.clone(), rng, 0.01).with_level(level);
            // Short, so that some of many rounds are disturbed by nobody.
            let rows = 1536;
            let table: Vec<f32> = (0..rows * inputs).map(|i| (i % 17) as f32 * 0.1).collect();
            let objective = Square {
                inputs: &table,
                width: inputs,
            };
            let mut learner = Learner::new(&mlp);
            let adam = AdamStep {
                learning_rate: 1e-4,
                clip_norm: 0.5,
            };
            let step = best(300, || {
                learner.gradient(&mlp, rows, &objective, &mut [(); SLOTS]);
                black_box(learner.step(&mut mlp, adam)).ok();
            });
            let (mut scratch, mut out) = (Scratch::default(), vec![0.0; rows * outputs]);
            let forward = best(300, || {
                mlp.forward(&table, rows, &mut scratch, black_box(&mut out))
            });
            let multiply_adds = shape.multiply_adds();
            let flops = 2 * rows * (3 * multiply_adds - inputs * hidden);
            println!(
                "{:8} {inputs:>3} -> {hidden:>3} -> {hidden:>3} -> {outputs:>2}: step {:.3} ms, {:.1} GFLOP/s, {:.0} % of peak; forward (1 thread) {:.1} GFLOP/s",
                level.name(),
                step * 1e3,
                flops as f64 / step / 1e9,
                100.0 * flops as f64 / step / peak,
                2.0 * (rows * multiply_adds) as f64 / forward / 1e9,
            );
        }
    }
    products::measure();
}
