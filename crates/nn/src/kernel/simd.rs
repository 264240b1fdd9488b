//! Sixteen lanes of f32 under one trait, for three instruction sets.
//!
//! Every method is `#[inline(always)]` so that a generic body takes on the target features of the
//! function it is inlined into. The intrinsic back ends may only be reached from there.

#[cfg(target_arch = "x86_64")]
mod x86;

use super::{LANES, Line};
#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

/// What sums of products are made of; a value is a [`Line`], or its first lanes.
pub(super) trait Sums: Copy {
    /// Numbers in registers.
    type V: Copy;

    fn splat(value: f32) -> Self::V;
    fn load(line: &Line) -> Self::V;
    /// Lanes that a value has none of become zero.
    fn store(value: Self::V, line: &mut Line);
    fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`; one rounding where the instruction set has it.
    fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
}

/// The operations that the kernels are written in; one value is one [`Line`].
pub(super) trait Simd: Sums {
    /// Rows of the tallest register tile.
    const ROWS: usize;
    /// Lines of the widest tile.
    const LINES: usize;
    /// Lanes of [`Self::Narrow`]; zero where registers are as wide as lines.
    const NARROW: usize;
    /// Sums of the first lanes alone, for lines of which the others are not in use.
    type Narrow: Sums;

    /// At most sixteen numbers, and zeros.
    fn load_first(values: &[f32]) -> Self::V;
    fn sub(a: Self::V, b: Self::V) -> Self::V;
    fn mul(a: Self::V, b: Self::V) -> Self::V;
    fn div(a: Self::V, b: Self::V) -> Self::V;
    fn sqrt(a: Self::V) -> Self::V;
    fn min(a: Self::V, b: Self::V) -> Self::V;
    fn max(a: Self::V, b: Self::V) -> Self::V;
    /// Nearest whole number.
    fn round(a: Self::V) -> Self::V;
    /// `2^n` for whole `n` in −126…127.
    fn exp2(n: Self::V) -> Self::V;
    /// Splits a positive normal number into a mantissa in [1, 2) and a whole exponent.
    fn split(a: Self::V) -> (Self::V, Self::V);
    /// One where `a > 0`, else zero.
    fn positive(a: Self::V) -> Self::V;
    /// Lane `c` of line `r` becomes lane `r` of line `c`.
    #[inline(always)]
    fn transpose(from: &[Line; LANES], into: &mut [Line; LANES]) {
        for (r, line) in from.iter().enumerate() {
            for (c, value) in line.0.iter().enumerate() {
                into[c].0[r] = *value;
            }
        }
    }
}

/// Plain arrays; what LLVM makes of them on the baseline target.
#[derive(Clone, Copy)]
pub(super) struct Portable;

/// Applies an expression to every lane. A macro, because closures and iterator adapters are not
/// certain to be inlined, and then cost a hundred times the arithmetic.
macro_rules! lanes {
    (|$($name:ident),+| $lane:expr) => {{
        let mut out = [0.0_f32; 16];
        for i in 0..16 {
            $(let $name = $name[i];)+
            out[i] = $lane;
        }
        out
    }};
}

impl Sums for Portable {
    type V = [f32; 16];

    #[inline(always)]
    fn splat(value: f32) -> Self::V {
        [value; 16]
    }
    #[inline(always)]
    fn load(line: &Line) -> Self::V {
        line.0
    }
    #[inline(always)]
    fn store(value: Self::V, line: &mut Line) {
        line.0 = value;
    }
    #[inline(always)]
    fn add(a: Self::V, b: Self::V) -> Self::V {
        lanes!(|a, b| a + b)
    }
    #[inline(always)]
    fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // `mul_add` without the instruction is a call into libm.
        if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
            lanes!(|a, b, c| a.mul_add(b, c))
        } else {
            lanes!(|a, b, c| a * b + c)
        }
    }
}

impl Simd for Portable {
    const ROWS: usize = 3;
    const LINES: usize = 1;
    const NARROW: usize = 0;
    type Narrow = Self;

    #[inline(always)]
    fn load_first(values: &[f32]) -> Self::V {
        let mut line = [0.0; 16];
        line[..values.len()].copy_from_slice(values);
        line
    }
    #[inline(always)]
    fn sub(a: Self::V, b: Self::V) -> Self::V {
        lanes!(|a, b| a - b)
    }
    #[inline(always)]
    fn mul(a: Self::V, b: Self::V) -> Self::V {
        lanes!(|a, b| a * b)
    }
    #[inline(always)]
    fn div(a: Self::V, b: Self::V) -> Self::V {
        lanes!(|a, b| a / b)
    }
    #[inline(always)]
    fn sqrt(a: Self::V) -> Self::V {
        lanes!(|a| a.sqrt())
    }
    #[inline(always)]
    fn min(a: Self::V, b: Self::V) -> Self::V {
        lanes!(|a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn max(a: Self::V, b: Self::V) -> Self::V {
        lanes!(|a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn round(a: Self::V) -> Self::V {
        // Adding and taking away 1.5 · 2^23 rounds; `round_ties_even` is a call on the baseline.
        lanes!(|a| (a + 12_582_912.0) - 12_582_912.0)
    }
    #[inline(always)]
    fn exp2(n: Self::V) -> Self::V {
        lanes!(|n| f32::from_bits(((n as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    fn split(a: Self::V) -> (Self::V, Self::V) {
        let mantissa = lanes!(|a| f32::from_bits((a.to_bits() & 0x007f_ffff) | 0x3f80_0000));
        let exponent = lanes!(|a| ((a.to_bits() >> 23) as i32 - 127) as f32);
        (mantissa, exponent)
    }
    #[inline(always)]
    fn positive(a: Self::V) -> Self::V {
        lanes!(|a| if a > 0.0 { 1.0 } else { 0.0 })
    }
}
