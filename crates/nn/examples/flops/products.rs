//! Single products beside `gemm`, what candle's CPU device is made of, on one thread.
//!
//! Ours is a network of one layer, so that its side also adds biases and brings rows into panels and
//! back; `gemm` gets matrices where they lie.

use std::hint::black_box;

use gemm::Parallelism;
use karma_nn::{Activation, Learner, Mlp, MlpShape, SLOTS, Scratch};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::{Square, best};

/// Rows, inputs and outputs: layers of policies, critics and the twin, and what libraries publish.
const SHAPES: [[usize; 3]; 11] = [
    [1024, 32, 64],
    [4096, 64, 64],
    [16384, 128, 128],
    [64, 24, 128],
    [512, 128, 128],
    [8192, 24, 128],
    [8192, 128, 128],
    [8192, 128, 5],
    [1536, 80, 64],
    [1536, 64, 64],
    [1536, 64, 28],
];

/// A matrix in row-major order, and how many columns it has.
#[derive(Clone, Copy)]
struct Matrix<'a>(&'a [f32], usize);

/// `out = aᵀ · b` or `out = a · b`.
fn product(out: &mut [f32], a: Matrix, transposed: bool, b: Matrix) {
    let (columns, inner) = (b.1, b.0.len() / b.1);
    let (row_step, column_step) = if transposed { (1, a.1) } else { (a.1, 1) };
    assert!(a.0.len().is_multiple_of(inner) && out.len() == a.0.len() / inner * columns);
    // SAFETY: the strides are those of whole matrices, whose sizes are checked above.
    #[expect(unsafe_code, reason = "gemm takes addresses and strides")]
    unsafe {
        gemm::gemm(
            out.len() / columns,
            columns,
            inner,
            out.as_mut_ptr(),
            1,
            columns as isize,
            false,
            a.0.as_ptr(),
            column_step as isize,
            row_step as isize,
            b.0.as_ptr(),
            1,
            columns as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Prints forward products, and forward products with the gradient by the weights.
pub(crate) fn measure() {
    println!("products on one thread, GFLOP/s: ours / gemm");
    for [rows, inputs, outputs] in SHAPES {
        let shape = MlpShape {
            inputs,
            hidden: Vec::new(),
            outputs,
            activation: Activation::Tanh,
            recurrent: false,
        };
        let mlp = Mlp::new(shape, &mut Xoshiro256PlusPlus::seed_from_u64(1), 1.0);
        let weights = mlp.layer(0).0;
        let table: Vec<f32> = (0..rows * inputs).map(|i| (i % 17) as f32 * 0.1).collect();
        let x = Matrix(&table, inputs);
        let mut out = vec![0.0; rows * outputs];
        let mut by_weights = vec![0.0; inputs * outputs];
        let rounds = (200_000_000 / (rows * inputs * outputs)).clamp(20, 2000);

        let mut scratch = Scratch::default();
        let forward = best(rounds, || {
            mlp.forward(black_box(&table), rows, &mut scratch, &mut out)
        });
        let theirs = best(rounds, || {
            product(&mut out, black_box(x), false, Matrix(&weights, outputs));
        });
        let objective = Square {
            inputs: &table,
            width: inputs,
        };
        let mut learner = Learner::new(&mlp);
        let both = best(rounds, || {
            learner.gradient(black_box(&mlp), rows, &objective, &mut [(); SLOTS]);
        });
        let their_both = best(rounds, || {
            product(&mut out, black_box(x), false, Matrix(&weights, outputs));
            product(&mut by_weights, x, true, Matrix(black_box(&out), outputs));
        });
        let rate = |products: usize, seconds: f64| {
            (2 * products * rows * inputs * outputs) as f64 / seconds / 1e9
        };
        println!(
            "[{rows:>5}×{inputs:>3}]·[{inputs:>3}×{outputs:>3}]: forward {:>5.1} / {:>5.1}, with dW {:>5.1} / {:>5.1}",
            rate(1, forward),
            rate(1, theirs),
            rate(2, both),
            rate(2, their_both),
        );
    }
}
