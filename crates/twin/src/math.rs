//! Logarithm and exponential in single precision, a few nanoseconds each, the same on every machine.
//!
//! A game-window takes dozens of both. No fused operations are used, so that results do not depend
//! on the instruction set.

/// Natural logarithm of a positive finite number; relative error below 1e-6.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    // Mantissa in [√½, √2): the series below converges fastest there.
    let shifted = bits.wrapping_sub(0x3f35_04f3);
    let exponent = (shifted as i32 >> 23) as f32;
    let mantissa = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(0x3f35_04f3));
    let f = (mantissa - 1.0) / (mantissa + 1.0);
    let s = f * f;
    let series = 2.0 + s * (0.666_666_6 + s * (0.400_000_2 + s * (0.285_684_8 + s * 0.232_4)));
    exponent * core::f32::consts::LN_2 + f * series
}

/// e to the power of `x`, clamped to a finite positive number; relative error below 1e-6.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    // Adding and taking away 1.5 · 2^23 rounds to the nearest whole number.
    const ROUND: f32 = 12_582_912.0;
    let rounded = x * core::f32::consts::LOG2_E + ROUND;
    let whole = rounded - ROUND;
    // ln 2 in two parts keeps the rest exact.
    let r = x - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let p = 1.0
        + r * (1.0
            + r * (0.5
                + r * (0.166_666_67 + r * (0.041_666_67 + r * (0.008_333_6 + r * 0.001_39)))));
    // The whole number lies in the lowest bits of what was rounded: shifted up, it is an exponent.
    f32::from_bits(rounded.to_bits().wrapping_add(127) << 23) * p
}

/// ln(1 + x) of what is not negative.
#[inline(always)]
pub(crate) fn ln_1p(x: f32) -> f32 {
    ln(1.0 + x.max(0.0))
}

/// Inverse of [`ln_1p`], not below 0.
#[inline(always)]
pub(crate) fn exp_m1(y: f32) -> f32 {
    (exp(y) - 1.0).max(0.0)
}

/// `x` within bounds; NaN stays. Unlike `clamp` it does not check the bounds, which would be a branch.
#[inline(always)]
pub(crate) fn between(x: f32, least: f32, most: f32) -> f32 {
    let x = if x < least { least } else { x };
    if x > most { most } else { x }
}

/// 1 / (1 + e^−x).
#[inline(always)]
pub(crate) fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ln_and_exp_are_close_to_the_exact_ones() {
        for i in 1..20_000 {
            let x = i as f32 * 0.37 + 1e-3;
            assert!(
                (ln(x) - x.ln()).abs() <= 2e-6 * x.ln().abs().max(1.0),
                "ln {x}"
            );
            let y = (i as f32 - 10_000.0) * 8e-3;
            assert!((exp(y) / y.exp() - 1.0).abs() < 2e-6, "exp {y}");
        }
        assert!(exp(1000.0).is_finite() && exp(-1000.0) > 0.0);
        assert_eq!(exp_m1(ln_1p(0.0)), 0.0);
    }
}
