//! What the machine could do at best, all threads of the pool together.

use std::hint::black_box;

use crate::clock::Stopwatch;

/// Multiplications and additions per second.
pub(super) fn fma_peak() -> f64 {
    let rates = rayon::broadcast(|_| {
        karma_nn::kernel::fma_peak(|flops, run| {
            let clock = Stopwatch::start();
            run();
            flops / clock.seconds()
        })
    });
    rates.into_iter().sum()
}

/// Bytes per second that are read from memory too large for the caches; the best of a few tries.
pub(super) fn memory_bandwidth() -> f64 {
    const NUMBERS: usize = 1 << 23;
    let rates = rayon::broadcast(|_| {
        let numbers = vec![1_u64; NUMBERS];
        let tries = (0..3).map(|_| {
            let clock = Stopwatch::start();
            black_box(
                black_box(&numbers)
                    .iter()
                    .copied()
                    .fold(0, u64::wrapping_add),
            );
            (NUMBERS * size_of::<u64>()) as f64 / clock.seconds()
        });
        tries.fold(0.0, f64::max)
    });
    rates.into_iter().sum()
}
