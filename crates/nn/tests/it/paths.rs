//! The same numbers from every instruction set, thread count and batch.

use std::ops::Range;

use karma_nn::{
    Activation, AdamStep, Learner, Level, Mlp, MlpShape, Objective, SLOTS, Scratch,
    kernel::{LANES, Line},
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::plain::Plain;

fn network(level: Level) -> Mlp {
    let shape = MlpShape {
        inputs: 37,
        hidden: vec![80, 96],
        outputs: 21,
        activation: Activation::Tanh,
        recurrent: false,
    };
    Mlp::new(shape, &mut Xoshiro256PlusPlus::seed_from_u64(5), 1.0).with_level(level)
}

fn inputs(rows: usize) -> Vec<f32> {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(6);
    (0..rows * 37).map(|_| rng.gen_range(-2.0..2.0)).collect()
}

/// Half the squared distance of the outputs from 1.
struct Square(Vec<f32>);

impl Objective for Square {
    type Work = f64;

    fn input<'a>(&'a self, row: usize, _: &'a mut [f32]) -> &'a [f32] {
        &self.0[row * 37..(row + 1) * 37]
    }

    fn loss(&self, _: Range<usize>, out: &[f32], d_out: &mut [f32], work: &mut f64) {
        for (d, out) in d_out.iter_mut().zip(out) {
            *d = (out - 1.0) * 1e-3;
            *work += f64::from(*d);
        }
    }
}

fn trained(level: Level, threads: usize) -> (Mlp, f64) {
    let mut mlp = network(level);
    let objective = Square(inputs(2500));
    let mut learner = Learner::new(&mlp);
    let mut works = [0.0; SLOTS];
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    pool.install(|| {
        for _ in 0..5 {
            learner.gradient(&mlp, 2500, &objective, &mut works);
            let adam = AdamStep {
                learning_rate: 1e-2,
                clip_norm: 0.5,
            };
            learner.step(&mut mlp, adam).unwrap();
        }
    });
    (mlp, works.iter().sum())
}

#[test]
fn one_and_many_threads_give_equal_bits() {
    for level in Level::available() {
        let one = trained(level, 1);
        for threads in [2, 3, 7] {
            assert_eq!(one, trained(level, threads));
        }
    }
}

#[test]
fn instruction_sets_agree_with_double_precision() {
    let x = inputs(130);
    for level in Level::available() {
        let mlp = network(level);
        let mut out = vec![0.0; 130 * 21];
        mlp.forward(&x, 130, &mut Scratch::default(), &mut out);
        let plain = Plain::of(&mlp);
        for (x, out) in x.chunks_exact(37).zip(out.chunks_exact(21)) {
            for (value, exact) in out.iter().zip(plain.forward(x)) {
                assert!((f64::from(*value) - exact).abs() < 2e-5, "{value} {exact}");
            }
        }
    }
}

#[test]
fn training_agrees_across_instruction_sets() {
    let (best, _) = trained(Level::best(), 1);
    for level in Level::available() {
        let (other, _) = trained(level, 1);
        for layer in 0..best.layers() {
            let (a, b) = (best.layer(layer).0, other.layer(layer).0);
            let worst = a
                .iter()
                .zip(&b)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst < 1e-3, "{worst}");
        }
    }
}

#[test]
fn a_row_gives_the_same_bits_alone_and_in_a_batch() {
    let x = inputs(200);
    for level in Level::available() {
        let mlp = network(level);
        let mut scratch = Scratch::default();
        let mut all = vec![0.0; 200 * 21];
        mlp.forward(&x, 200, &mut scratch, &mut all);
        for row in [0, 1, 95, 96, 199] {
            let mut one = vec![0.0; 21];
            mlp.forward(&x[row * 37..(row + 1) * 37], 1, &mut scratch, &mut one);
            assert_eq!(one, all[row * 21..(row + 1) * 21]);
        }
    }
}

#[test]
fn initial_weights_are_orthogonal() {
    let mlp = network(Level::best());
    for (layer, (inputs, outputs, square)) in [(37, 80, 2.0), (80, 96, 2.0), (96, 21, 1.0)]
        .into_iter()
        .enumerate()
    {
        let (weights, biases) = mlp.layer(layer);
        assert!(biases.iter().all(|b| *b == 0.0));
        let at = |i: usize, k: usize| {
            let (row, column) = if inputs < outputs { (i, k) } else { (k, i) };
            f64::from(weights[row * outputs + column])
        };
        let (short, long) = (inputs.min(outputs), inputs.max(outputs));
        for i in 0..short {
            for j in 0..short {
                let product: f64 = (0..long).map(|k| at(i, k) * at(j, k)).sum();
                let expected = if i == j { square } else { 0.0 };
                assert!((product - expected).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn transposing_exchanges_rows_and_columns() {
    let from: [Line; LANES] =
        std::array::from_fn(|r| Line(std::array::from_fn(|c| (100 * r + c) as f32)));
    for level in Level::available() {
        let mut into = [Line::ZERO; LANES];
        level.transpose(&from, &mut into);
        for (c, line) in into.iter().enumerate() {
            for (r, value) in line.0.iter().enumerate() {
                assert_eq!(*value, (100 * r + c) as f32, "{}", level.name());
            }
        }
    }
}

#[test]
fn rows_in_panels_give_the_bits_of_rows_alone_and_leave_others_be() {
    let (x, panels) = (inputs(LANES), 37_usize.div_ceil(LANES));
    let mut lines = vec![Line::ZERO; panels * LANES];
    for (at, value) in x.iter().enumerate() {
        let (row, column) = (at / 37, at % 37);
        lines[column / LANES * LANES + row].0[column % LANES] = *value;
    }
    for level in Level::available() {
        let (mlp, mut scratch) = (network(level), Scratch::default());
        let mut alone = vec![0.0; LANES * 21];
        mlp.forward(&x, LANES, &mut scratch, &mut alone);
        for rows in [0..LANES, 3..4, 5..5, 9..16] {
            let mut out = vec![Line([7.0; LANES]); 2 * LANES];
            mlp.forward_panels(&lines, rows.clone(), &mut scratch, &mut out);
            for row in 0..LANES {
                let lines = [out[row].0, out[LANES + row].0];
                let found = &lines.as_flattened()[..21];
                if rows.contains(&row) {
                    assert_eq!(found, &alone[row * 21..(row + 1) * 21], "{}", level.name());
                } else {
                    assert_eq!(found, [7.0; 21], "{}: row {row} of none", level.name());
                }
            }
        }
    }
}
