//! Masked categorical heads, one row to a lane.

#![expect(
    clippy::needless_range_loop,
    reason = "indices with constant bounds always unroll into registers, iterators do not"
)]

use super::{LANES, Line, math, simd::Simd};

/// Distributions of one head over sixteen rows, in place: `probability` holds the logits on entry,
/// `log_probability` the masks as 0 and 1. Returns the entropy.
#[inline(always)]
fn head<S: Simd>(probability: &mut [Line], log_probability: &mut [Line]) -> S::V {
    const FAR: f32 = 1e30;
    let choices = probability.len();
    let log_probability = &mut log_probability[..choices];
    let mut top = S::splat(-FAR);
    for c in 0..choices {
        // The logit where allowed, −FAR where not.
        let m = S::load(&log_probability[c]);
        let away = S::mul(S::sub(m, S::splat(1.0)), S::splat(FAR));
        let value = S::fma(S::load(&probability[c]), m, away);
        top = S::max(top, value);
        S::store(value, &mut probability[c]);
    }
    let mut sum = S::splat(0.0);
    for c in 0..choices {
        let m = S::load(&log_probability[c]);
        let below = S::sub(S::load(&probability[c]), top);
        let e = S::mul(math::exp::<S>(below), m);
        sum = S::add(sum, e);
        S::store(below, &mut log_probability[c]);
        S::store(e, &mut probability[c]);
    }
    let inverse = S::div(S::splat(1.0), sum);
    let log_sum = math::ln::<S>(sum);
    let mut entropy = S::splat(0.0);
    for c in 0..choices {
        let p = S::mul(S::load(&probability[c]), inverse);
        let log = S::sub(S::load(&log_probability[c]), log_sum);
        entropy = S::sub(entropy, S::mul(p, log));
        S::store(p, &mut probability[c]);
        S::store(log, &mut log_probability[c]);
    }
    entropy
}

/// Distributions of all heads of all chunks of sixteen rows; see
/// [`Heads::evaluate`](crate::Heads::evaluate).
#[inline(always)]
pub(super) fn distributions<S: Simd>(
    heads: usize,
    choices: usize,
    probability: &mut [Line],
    log_probability: &mut [Line],
    entropy: &mut [Line],
) {
    debug_assert!(entropy.len().is_multiple_of(heads));
    for h in 0..entropy.len() {
        let at = h * choices..(h + 1) * choices;
        let spread = head::<S>(&mut probability[at.clone()], &mut log_probability[at]);
        S::store(spread, &mut entropy[h]);
    }
}

/// Derivative by the logits: `by_log_prob · (chosen − p) − by_entropy · p · (ln p + H)`.
/// `chosen` holds 0 and 1 on entry and the derivative on return.
#[inline(always)]
pub(super) fn gradient<S: Simd>(
    heads: usize,
    choices: usize,
    (probability, log_probability, entropy): (&[Line], &[Line], &[Line]),
    by_log_prob: &[Line],
    by_entropy: &[Line],
    chosen: &mut [Line],
) {
    for h in 0..entropy.len() {
        let by_log_prob = S::load(&by_log_prob[h / heads]);
        let by_entropy = S::load(&by_entropy[h / heads]);
        let entropy = S::load(&entropy[h]);
        for at in h * choices..(h + 1) * choices {
            let p = S::load(&probability[at]);
            let policy = S::mul(by_log_prob, S::sub(S::load(&chosen[at]), p));
            let spread = S::mul(p, S::add(S::load(&log_probability[at]), entropy));
            S::store(S::sub(policy, S::mul(by_entropy, spread)), &mut chosen[at]);
        }
    }
}

/// `values = exp(values)`.
#[inline(always)]
pub(super) fn exponentials<S: Simd>(values: &mut [f32]) {
    for chunk in values.chunks_mut(LANES) {
        let mut line = Line::ZERO;
        line.0[..chunk.len()].copy_from_slice(chunk);
        let value = math::exp::<S>(S::load(&line));
        S::store(value, &mut line);
        chunk.copy_from_slice(&line.0[..chunk.len()]);
    }
}

/// `values = tanh(values)`; what tests compare.
#[cfg(test)]
#[inline(always)]
pub(super) fn tanhs<S: Simd>(values: &mut [Line]) {
    for line in values {
        S::store(math::tanh::<S>(S::load(line)), line);
    }
}

/// `values = ln(values)`; what tests compare.
#[cfg(test)]
#[inline(always)]
pub(super) fn logarithms<S: Simd>(values: &mut [Line]) {
    for line in values {
        S::store(math::ln::<S>(S::load(line)), line);
    }
}
