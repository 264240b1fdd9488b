//! Gradients against central differences in double precision, and Adam against arithmetic by hand.

use std::ops::Range;

use karma_nn::{
    Activation, AdamStep, Heads, Learner, Mlp, MlpShape, NonFinite, Objective, SLOTS,
    categorical::Distributions,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::plain::Plain;

/// Inputs in a table, and a loss per row: value and derivative by the outputs.
struct Rows<F> {
    inputs: Vec<f32>,
    width: usize,
    loss: F,
}

impl<F: Fn(usize, &[f64]) -> (f64, Vec<f64>) + Sync> Objective for Rows<F> {
    type Work = ();

    fn input<'a>(&'a self, row: usize, _: &'a mut [f32]) -> &'a [f32] {
        &self.inputs[row * self.width..(row + 1) * self.width]
    }

    fn loss(&self, rows: Range<usize>, out: &[f32], d_out: &mut [f32], (): &mut ()) {
        let width = out.len() / rows.len();
        let pairs = out.chunks_exact(width).zip(d_out.chunks_exact_mut(width));
        for (row, (out, d_out)) in rows.zip(pairs) {
            let out: Vec<f64> = out.iter().map(|v| f64::from(*v)).collect();
            for (d, exact) in d_out.iter_mut().zip((self.loss)(row, &out).1) {
                *d = exact as f32;
            }
        }
    }
}

fn table(rows: usize, width: usize, rng: &mut Xoshiro256PlusPlus) -> Vec<f32> {
    (0..rows * width)
        .map(|_| rng.gen_range(-1.0..1.0))
        .collect()
}

/// Largest relative error over some parameters of every array of a random network.
fn worst(
    activation: Activation,
    [inputs, hidden, outputs]: [usize; 3],
    rows: usize,
    loss: impl Fn(usize, &[f64]) -> (f64, Vec<f64>) + Sync,
) -> f64 {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(7);
    let shape = MlpShape {
        inputs,
        hidden: vec![hidden, hidden],
        outputs,
        activation,
        recurrent: false,
    };
    let mlp = Mlp::new(shape, rng, 1.0);
    let objective = Rows {
        inputs: table(rows, inputs, rng),
        width: inputs,
        loss,
    };
    let mut learner = Learner::new(&mlp);
    learner.gradient(&mlp, rows, &objective, &mut [(); SLOTS]);
    let total = |net: &Plain| -> f64 {
        (0..rows)
            .map(|row| {
                let x = &objective.inputs[row * inputs..(row + 1) * inputs];
                (objective.loss)(row, &net.forward(x)).0
            })
            .sum()
    };
    let mut worst = 0.0_f64;
    for layer in 0..mlp.layers() {
        let (weights, biases) = learner.layer_gradient(&mlp, layer);
        for check in 0..24 {
            let mut net = Plain::of(&mlp);
            let arrays = &mut net.layers[layer];
            let (array, gradient) = if check < 16 {
                (&mut arrays.0, &weights)
            } else {
                (&mut arrays.1, &biases)
            };
            let at = rng.gen_range(0..array.len());
            let (step, origin) = (1e-5, array[at]);
            let mut shifted = |by: f64| {
                let arrays = &mut net.layers[layer];
                let array = if check < 16 {
                    &mut arrays.0
                } else {
                    &mut arrays.1
                };
                array[at] = origin + by;
                total(&net)
            };
            let numeric = (shifted(step) - shifted(-step)) / (2.0 * step);
            let error = (f64::from(gradient[at]) - numeric).abs() / (1e-3 + numeric.abs());
            worst = worst.max(error);
        }
    }
    worst
}

#[test]
fn squared_error_of_tanh_nets_has_the_right_gradient() {
    let square = |_: usize, out: &[f64]| {
        let loss = out.iter().map(|v| v * v / 2.0).sum();
        (loss, out.to_vec())
    };
    for widths in [[5, 16, 1], [76, 64, 28], [33, 48, 17], [3, 5, 2]] {
        let error = worst(Activation::Tanh, widths, 301, square);
        assert!(error < 1e-3, "{widths:?}: {error}");
    }
}

#[test]
fn squared_error_of_relu_nets_has_the_right_gradient_away_from_kinks() {
    let square = |_: usize, out: &[f64]| {
        let loss = out.iter().map(|v| v * v / 2.0).sum();
        (loss, out.to_vec())
    };
    let error = worst(Activation::Relu, [20, 64, 4], 97, square);
    assert!(error < 2e-2, "{error}");
}

#[test]
fn gaussian_likelihood_has_the_right_gradient() {
    // Outputs are mean and log-variance; the target is a function of the row.
    let likelihood = |row: usize, out: &[f64]| {
        let target = (row as f64 * 0.37).sin();
        let (miss, precision) = (target - out[0], (-out[1]).exp());
        let loss = 0.5 * (out[1] + miss * miss * precision);
        (
            loss,
            vec![-miss * precision, 0.5 * (1.0 - miss * miss * precision)],
        )
    };
    let error = worst(Activation::Tanh, [12, 32, 2], 200, likelihood);
    assert!(error < 1e-3, "{error}");
}

#[test]
fn masked_heads_have_the_right_gradient() {
    let heads = Heads {
        heads: 3,
        choices: 5,
    };
    let mask = |row: usize, head: usize| [0b11111_u8, 0b01110, 0b10001][(row + head) % 3];
    let choice = |row: usize, head: usize| [2_u8, 3, 4][(row + head) % 3];
    // 0.7 · ln p(chosen) + 0.3 · entropy, in double precision.
    let exact = |row: usize, out: &[f64]| {
        let (mut loss, mut d) = (0.0, vec![0.0; 15]);
        for head in 0..3 {
            let logits = &out[head * 5..head * 5 + 5];
            let allowed = |c: usize| mask(row, head) >> c & 1 == 1;
            let sum: f64 = (0..5)
                .filter(|c| allowed(*c))
                .map(|c| logits[c].exp())
                .sum();
            let log = |c: usize| logits[c] - sum.ln();
            let entropy: f64 = (0..5)
                .filter(|c| allowed(*c))
                .map(|c| -log(c).exp() * log(c))
                .sum();
            let chosen = usize::from(choice(row, head));
            loss += 0.7 * log(chosen) + 0.3 * entropy;
            for c in (0..5).filter(|c| allowed(*c)) {
                let p = log(c).exp();
                let own = if c == chosen { 1.0 } else { 0.0 };
                d[head * 5 + c] = 0.7 * (own - p) - 0.3 * p * (log(c) + entropy);
            }
        }
        (loss, d)
    };
    // First the network under the exact derivative, then the kernel's derivative against it.
    let error = worst(Activation::Tanh, [9, 32, 15], 120, exact);
    assert!(error < 1e-3, "{error}");
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(3);
    let logits: Vec<f32> = (0..120 * 15).map(|_| rng.gen_range(-3.0..3.0)).collect();
    let masks: Vec<u8> = (0..360).map(|i| mask(i / 3, i % 3)).collect();
    let chosen: Vec<u8> = (0..360).map(|i| choice(i / 3, i % 3)).collect();
    for level in karma_nn::Level::available() {
        let mut of = Distributions::default();
        heads.evaluate(level, &logits, &masks, &mut of);
        let mut d = vec![f32::NAN; logits.len()];
        heads.gradient(&mut of, &chosen, &[0.7; 120], &[0.3; 120], &mut d);
        for (row, d) in d.chunks_exact(15).enumerate() {
            let out: Vec<f64> = logits[row * 15..row * 15 + 15]
                .iter()
                .map(|v| f64::from(*v))
                .collect();
            for (d, exact) in d.iter().zip(exact(row, &out).1) {
                assert!((f64::from(*d) - exact).abs() < 2e-6, "{d} {exact}");
            }
        }
    }
}

#[test]
fn adam_takes_the_step_that_arithmetic_by_hand_gives() {
    // One input, no hidden layer: y = w x + b with loss y, so the gradient is (x, 1).
    let shape = MlpShape {
        inputs: 1,
        hidden: vec![],
        outputs: 1,
        activation: Activation::Tanh,
        recurrent: false,
    };
    let mut mlp = Mlp::zeros(shape);
    mlp.set_layer(0, &[1.0], &[2.0]);
    let objective = Rows {
        inputs: vec![3.0],
        width: 1,
        loss: |_: usize, out: &[f64]| (out[0], vec![1.0]),
    };
    let mut learner = Learner::new(&mlp);
    let (mut w, mut b) = (1.0_f64, 2.0_f64);
    let (mut m, mut v) = ([0.0_f64; 2], [0.0_f64; 2]);
    // The norm of (3, 1) is √10; the second step clips it to 1.
    for (step, clip) in [(1, f32::INFINITY), (2, 1.0)] {
        learner.gradient(&mlp, 1, &objective, &mut [(); SLOTS]);
        let adam = AdamStep {
            learning_rate: 0.1,
            clip_norm: clip,
        };
        let norm = learner.step(&mut mlp, adam).unwrap();
        assert!((f64::from(norm) - 10.0_f64.sqrt()).abs() < 1e-6);
        let scale = if step == 1 {
            1.0
        } else {
            1.0 / 10.0_f64.sqrt()
        };
        for (i, (parameter, g)) in [(&mut w, 3.0 * scale), (&mut b, scale)]
            .into_iter()
            .enumerate()
        {
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            let (mean, square) = (
                m[i] / (1.0 - 0.9_f64.powi(step)),
                v[i] / (1.0 - 0.999_f64.powi(step)),
            );
            *parameter -= 0.1 * mean / (square.sqrt() + 1e-5);
        }
        let (weights, biases) = mlp.layer(0);
        assert!((f64::from(weights[0]) - w).abs() < 1e-6);
        assert!((f64::from(biases[0]) - b).abs() < 1e-6);
    }
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing() {
    let shape = MlpShape {
        inputs: 2,
        hidden: vec![4],
        outputs: 1,
        activation: Activation::Tanh,
        recurrent: false,
    };
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
    let mut mlp = Mlp::new(shape, rng, 1.0);
    let before = mlp.clone();
    let objective = Rows {
        inputs: vec![1.0, 1.0],
        width: 2,
        loss: |_: usize, _: &[f64]| (0.0, vec![f64::NAN]),
    };
    let mut learner = Learner::new(&mlp);
    learner.gradient(&mlp, 1, &objective, &mut [(); SLOTS]);
    let adam = AdamStep {
        learning_rate: 0.1,
        clip_norm: 1.0,
    };
    assert_eq!(learner.step(&mut mlp, adam), Err(NonFinite));
    assert_eq!(mlp, before);
    assert_eq!(learner.steps(), 0);
}
