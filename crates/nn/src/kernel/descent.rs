//! Sums of gradients, and steps along them, on flat lines.

use super::{Line, simd::Simd};

/// One step of Adam on flat lines. `scale` multiplies the gradient (clip), `rate` is the learning
/// rate over the first moment's bias correction, `unbias` one over the second's.
#[inline(always)]
pub(super) fn adam<S: Simd>(
    parameters: &mut [Line],
    gradient: &[Line],
    first: &mut [Line],
    second: &mut [Line],
    [scale, rate, unbias]: [f32; 3],
) {
    // Their complements are written out: in f32, 1 − 0.999 is 5e-5 off.
    const BETA1: f32 = 0.9;
    const BETA2: f32 = 0.999;
    const EPSILON: f32 = 1e-5;
    let count = parameters.len();
    let (gradient, first, second) = (
        &gradient[..count],
        &mut first[..count],
        &mut second[..count],
    );
    for i in 0..count {
        let g = S::mul(S::load(&gradient[i]), S::splat(scale));
        let m = S::mul(S::splat(0.1), g);
        let m = S::fma(S::splat(BETA1), S::load(&first[i]), m);
        let v = S::mul(S::splat(0.001), S::mul(g, g));
        let v = S::fma(S::splat(BETA2), S::load(&second[i]), v);
        let root = S::sqrt(S::mul(v, S::splat(unbias)));
        let root = S::add(root, S::splat(EPSILON));
        let change = S::div(S::mul(S::splat(rate), m), root);
        S::store(S::sub(S::load(&parameters[i]), change), &mut parameters[i]);
        S::store(m, &mut first[i]);
        S::store(v, &mut second[i]);
    }
}

/// Adds `from` to `into`.
#[inline(always)]
pub(super) fn accumulate<S: Simd>(into: &mut [Line], from: &[Line]) {
    let from = &from[..into.len()];
    for i in 0..into.len() {
        S::store(S::add(S::load(&into[i]), S::load(&from[i])), &mut into[i]);
    }
}
