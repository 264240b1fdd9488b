//! What the machine could do at the most.

#![expect(
    clippy::needless_range_loop,
    reason = "indices with constant bounds always unroll into registers, iterators do not"
)]

use super::{Line, simd::Simd};

/// `N` chains of multiply-adds that wait for nothing but themselves.
#[inline(always)]
fn chain<S: Simd, const N: usize>(rounds: usize, line: &mut Line) {
    let factor = S::load(line);
    let mut sums = [factor; N];
    for _ in 0..rounds {
        for n in 0..N {
            sums[n] = S::fma(sums[n], factor, factor);
        }
    }
    let mut total = factor;
    for n in 0..N {
        total = S::add(total, sums[n]);
    }
    S::store(S::min(S::splat(1.0), total), line);
}

/// As many chains as keep all units of the instruction set busy.
#[inline(always)]
pub(super) fn chains<S: Simd>(rounds: usize, line: &mut Line) {
    match S::ROWS {
        12 => chain::<S, 16>(rounds, line),
        6 => chain::<S, 6>(rounds, line),
        _ => chain::<S, 3>(rounds, line),
    }
}
