//! The arithmetic of a gated recurrent unit between its two products, forward and backward.
//!
//! Gates lie one after another: reset, update, candidate, each as many lines as the state has.

use super::{Line, math, simd::Simd};

/// 1 / (1 + e^−x), by way of tanh.
#[inline(always)]
fn logistic<S: Simd>(x: S::V) -> S::V {
    let half = S::splat(0.5);
    S::fma(half, math::tanh::<S>(S::mul(half, x)), half)
}

/// The state after a step: `n + z · (h − n)` with `r = σ(x_r + h_r)`, `z = σ(x_z + h_z)` and
/// `n = tanh(x_n + r · h_n)`. `gates` holds what the input gives on entry and r, z, n on return;
/// `sums` holds what the state gives, `before` the state.
#[inline(always)]
pub(super) fn cell<S: Simd>(
    gates: &mut [Line],
    sums: &[Line],
    before: &[Line],
    after: &mut [Line],
) {
    let count = before.len();
    let (reset, rest) = gates.split_at_mut(count);
    let (update, candidate) = rest.split_at_mut(count);
    let (sums_r, rest) = sums.split_at(count);
    let (sums_z, sums_n) = rest.split_at(count);
    for i in 0..count {
        let r = logistic::<S>(S::add(S::load(&reset[i]), S::load(&sums_r[i])));
        let z = logistic::<S>(S::add(S::load(&update[i]), S::load(&sums_z[i])));
        let n = S::fma(r, S::load(&sums_n[i]), S::load(&candidate[i]));
        let n = math::tanh::<S>(n);
        S::store(r, &mut reset[i]);
        S::store(z, &mut update[i]);
        S::store(n, &mut candidate[i]);
        let h = S::load(&before[i]);
        S::store(S::fma(z, S::sub(h, n), n), &mut after[i]);
    }
}

/// The way back. On entry `gates`, `sums` and `before` are as [`cell`] left them and `error` is the
/// derivative by the state after; on return `gates` holds the derivative by what the input gave,
/// `sums` that by what the state gave, and `error` that part of the derivative by the state before
/// which does not go through the gates.
#[inline(always)]
pub(super) fn cell_gradient<S: Simd>(
    gates: &mut [Line],
    sums: &mut [Line],
    before: &[Line],
    error: &mut [Line],
) {
    let count = before.len();
    let (reset, rest) = gates.split_at_mut(count);
    let (update, candidate) = rest.split_at_mut(count);
    let (sums_r, rest) = sums.split_at_mut(count);
    let (sums_z, sums_n) = rest.split_at_mut(count);
    let one = S::splat(1.0);
    for i in 0..count {
        let (r, z, n) = (
            S::load(&reset[i]),
            S::load(&update[i]),
            S::load(&candidate[i]),
        );
        let (h, of_state, d) = (S::load(&before[i]), S::load(&sums_n[i]), S::load(&error[i]));
        let d_n = S::mul(S::mul(d, S::sub(one, z)), S::sub(one, S::mul(n, n)));
        let d_z = S::mul(S::mul(d, S::sub(h, n)), S::mul(z, S::sub(one, z)));
        let d_r = S::mul(S::mul(d_n, of_state), S::mul(r, S::sub(one, r)));
        S::store(d_r, &mut reset[i]);
        S::store(d_z, &mut update[i]);
        S::store(d_n, &mut candidate[i]);
        S::store(d_r, &mut sums_r[i]);
        S::store(d_z, &mut sums_z[i]);
        S::store(S::mul(d_n, r), &mut sums_n[i]);
        S::store(S::mul(d, z), &mut error[i]);
    }
}
