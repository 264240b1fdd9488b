//! Transcendental functions on sixteen lanes. Minimum and maximum give their second operand when
//! either is NaN, so constants go first and NaN comes through.

#![expect(
    clippy::needless_range_loop,
    reason = "indices with constant bounds always unroll into registers, iterators do not"
)]

use super::simd::Simd;

/// Horner's rule, highest coefficient first.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(x: S::V, coefficients: [f32; N]) -> S::V {
    let mut sum = S::splat(coefficients[0]);
    for i in 1..N {
        sum = S::fma(sum, x, S::splat(coefficients[i]));
    }
    sum
}

/// tanh as an odd polynomial of degree 13 over an even one of degree 6; a few units in the last
/// place, never beyond ±1, and constant beyond ±7.9.
#[inline(always)]
pub(super) fn tanh<S: Simd>(x: S::V) -> S::V {
    const BOUND: f32 = 7.905_311;
    let x = S::min(S::splat(BOUND), S::max(S::splat(-BOUND), x));
    let square = S::mul(x, x);
    let odd = polynomial::<S, 7>(
        square,
        [
            -2.760_768_5e-16,
            2.000_188e-13,
            -8.604_672e-11,
            5.122_297e-8,
            1.485_722_4e-5,
            6.372_619_3e-4,
            4.893_524_6e-3,
        ],
    );
    let even = polynomial::<S, 4>(
        square,
        [1.198_258_4e-6, 1.185_347_1e-4, 2.268_434_6e-3, 4.893_525e-3],
    );
    S::div(S::mul(x, odd), even)
}

/// e^x, after Cephes; arguments are clamped so that the result stays normal and finite.
#[inline(always)]
pub(super) fn exp<S: Simd>(x: S::V) -> S::V {
    let x = S::min(S::splat(88.02), S::max(S::splat(-87.33), x));
    let n = S::round(S::mul(x, S::splat(std::f32::consts::LOG2_E)));
    // ln 2 in two parts, so that the remainder is exact.
    let r = S::fma(n, S::splat(-0.693_359_4), x);
    let r = S::fma(n, S::splat(2.121_944_4e-4), r);
    let tail = polynomial::<S, 6>(
        r,
        [
            1.987_569_1e-4,
            1.398_199_9e-3,
            8.333_452e-3,
            4.166_579_6e-2,
            1.666_666_5e-1,
            5e-1,
        ],
    );
    let value = S::add(S::fma(tail, S::mul(r, r), r), S::splat(1.0));
    S::mul(value, S::exp2(n))
}

/// Natural logarithm of a positive normal number, after Cephes.
#[inline(always)]
pub(super) fn ln<S: Simd>(x: S::V) -> S::V {
    let (mantissa, exponent) = S::split(x);
    // Bring the mantissa from [1, 2) to [√½, √2).
    let high = S::positive(S::sub(mantissa, S::splat(std::f32::consts::SQRT_2)));
    let mantissa = S::mul(mantissa, S::fma(high, S::splat(-0.5), S::splat(1.0)));
    let exponent = S::add(exponent, high);
    let m = S::sub(mantissa, S::splat(1.0));
    let square = S::mul(m, m);
    let tail = polynomial::<S, 9>(
        m,
        [
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ],
    );
    let y = S::mul(S::mul(m, square), tail);
    let y = S::fma(exponent, S::splat(-2.121_944_4e-4), y);
    let y = S::fma(square, S::splat(-0.5), y);
    S::fma(exponent, S::splat(0.693_359_4), S::add(m, y))
}
