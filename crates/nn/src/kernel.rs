//! The kernels and the choice among their three instruction sets; all `unsafe` of the crate.
//!
//! Each kernel is one generic body over `simd::Simd`, inlined into one function per instruction
//! set that enables its features. A [`Level`] can only be had from this machine's own list, which is
//! what makes calling those functions sound.

mod dense;
mod descent;
mod gru;
mod heads;
mod math;
mod panels;
mod peak;
mod simd;

use crate::mlp::Activation;
pub(crate) use panels::unpack_row;

/// Numbers in a [`Line`].
pub const LANES: usize = 16;

/// Sixteen numbers on a cache line of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(64))]
pub struct Line(pub [f32; LANES]);

impl Line {
    /// Sixteen zeros.
    pub const ZERO: Self = Self([0.0; LANES]);
}

/// An instruction set that this machine was found to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Level {
    /// Every level of this machine, widest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut levels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = std::arch::is_x86_feature_detected!("avx2")
                && std::arch::is_x86_feature_detected!("fma");
            if avx2 && std::arch::is_x86_feature_detected!("avx512f") {
                levels.push(Self(Kind::Avx512));
            }
            if avx2 {
                levels.push(Self(Kind::Avx2));
            }
        }
        levels.push(Self(Kind::Portable));
        levels
    }

    /// The widest level of this machine.
    #[must_use]
    pub fn best() -> Self {
        Self::available()[0]
    }

    /// Height of panels that hold `rows` rows: tiles fill it.
    pub(crate) fn height(self, rows: usize) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => rows.next_multiple_of(<simd::Avx512 as simd::Simd>::ROWS),
            // Sixes and fours make every even number from four on.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => rows.next_multiple_of(2).max(dense::LOW_ROWS),
            Kind::Portable => rows.next_multiple_of(<simd::Portable as simd::Simd>::ROWS),
        }
    }

    /// `avx512`, `avx2` or `portable`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            Kind::Portable => "portable",
        }
    }
}

/// Makes `Level::name(…)` out of a generic body: one function per instruction set, chosen by the
/// level.
macro_rules! dispatch {
    ($($(#[$doc:meta])* $visible:vis fn $name:ident($($arg:ident: $kind:ty),* $(,)?) = $module:ident::$body:ident;)*) => {
        impl Level {
            $($(#[$doc])*
            #[cfg_attr(
                target_arch = "x86_64",
                expect(unsafe_code, reason = "calls a function that needs a processor feature")
            )]
            $visible fn $name(self, $($arg: $kind),*) {
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx512f,avx2,fma")]
                fn avx512($($arg: $kind),*) {
                    $module::$body::<simd::Avx512>($($arg),*);
                }
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $kind),*) {
                    $module::$body::<simd::Avx2>($($arg),*);
                }
                match self.0 {
                    #[cfg(target_arch = "x86_64")]
                    // SAFETY: this level exists only where the processor has these features.
                    Kind::Avx512 => unsafe { avx512($($arg),*) },
                    #[cfg(target_arch = "x86_64")]
                    // SAFETY: this level exists only where the processor has these features.
                    Kind::Avx2 => unsafe { avx2($($arg),*) },
                    Kind::Portable => $module::$body::<simd::Portable>($($arg),*),
                }
            })*
        }
    };
}

dispatch! {
    /// `y = activation(x · weights + biases)`, linear without an activation.
    #[expect(clippy::too_many_arguments, reason = "a kernel takes plain slices")]
    pub(crate) fn affine(
        x: &[Line],
        rows: usize,
        shape: [usize; 2],
        weights: &[Line],
        biases: &[Line],
        activation: Option<Activation>,
        y: &mut [Line],
    ) = dense::affine;

    /// `dx = (dy · transposed) ⊙ activation'(h)`.
    #[expect(clippy::too_many_arguments, reason = "a kernel takes plain slices")]
    pub(crate) fn input_gradient(
        dy: &[Line],
        rows: usize,
        outputs: usize,
        transposed: &[Line],
        h: &[Line],
        activation: Activation,
        dx: &mut [Line],
    ) = dense::input_gradient;

    /// `dw += xᵀ · dy`, `db += column sums of dy`.
    pub(crate) fn weight_gradient(
        x: &[Line],
        rows: usize,
        shape: [usize; 2],
        dy: &[Line],
        dw: &mut [Line],
        db: &mut [Line],
    ) = dense::weight_gradient;

    /// Writes `row` into row `r` of panels of height `rows`; lanes beyond it become zero.
    pub(crate) fn pack_row(row: &[f32], r: usize, rows: usize, panels: &mut [Line]) = panels::pack_row;

    /// Lane `c` of line `r` becomes lane `r` of line `c`.
    pub fn transpose(from: &[Line; LANES], into: &mut [Line; LANES]) = panels::transpose;

    /// One step of Adam; see the body for the factors.
    pub(crate) fn adam(
        parameters: &mut [Line],
        gradient: &[Line],
        first: &mut [Line],
        second: &mut [Line],
        factors: [f32; 3],
    ) = descent::adam;

    /// `into += from`.
    pub(crate) fn accumulate(into: &mut [Line], from: &[Line]) = descent::accumulate;

    /// One step of a recurrent unit; see the body for what the slices hold.
    pub(crate) fn cell(
        gates: &mut [Line],
        sums: &[Line],
        before: &[Line],
        after: &mut [Line],
    ) = gru::cell;

    /// The way back through [`Self::cell`].
    #[cfg(feature = "train")]
    pub(crate) fn cell_gradient(
        gates: &mut [Line],
        sums: &mut [Line],
        before: &[Line],
        error: &mut [Line],
    ) = gru::cell_gradient;

    /// Logits and masks to probabilities, log-probabilities and entropies, in place.
    pub(crate) fn distributions(
        heads: usize,
        choices: usize,
        probability: &mut [Line],
        log_probability: &mut [Line],
        entropy: &mut [Line],
    ) = heads::distributions;

    /// Derivative of a loss by the logits.
    pub(crate) fn head_gradient(
        heads: usize,
        choices: usize,
        from: (&[Line], &[Line], &[Line]),
        by_log_prob: &[Line],
        by_entropy: &[Line],
        chosen: &mut [Line],
    ) = heads::gradient;

    /// `values = exp(values)`, arguments clamped to what stays normal and finite; NaN stays NaN.
    pub fn exponentials(values: &mut [f32]) = heads::exponentials;

    /// `values = tanh(values)`.
    #[cfg(test)]
    pub(crate) fn tanhs(values: &mut [Line]) = heads::tanhs;

    /// Independent chains of multiply-adds: the peak of the machine.
    pub(crate) fn chains(rounds: usize, line: &mut Line) = peak::chains;

    /// `values = ln(values)`.
    #[cfg(test)]
    pub(crate) fn logarithms(values: &mut [Line]) = heads::logarithms;
}

/// Code of another crate that is to be compiled once per instruction set. [`Work::run`] and all that
/// it calls have to be `#[inline(always)]`: only what is inlined takes on the wider instructions.
pub trait Work {
    /// Does it.
    fn run(self);
}

impl Level {
    /// Does `work` with the instructions of this level. They change its speed only: without
    /// intrinsics nothing is fused or rounded in another way.
    #[cfg_attr(
        target_arch = "x86_64",
        expect(
            unsafe_code,
            reason = "calls a function that needs a processor feature"
        )
    )]
    pub fn run(self, work: impl Work) {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx2,fma")]
        fn avx512(work: impl Work) {
            work.run();
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn avx2(work: impl Work) {
            work.run();
        }
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: this level exists only where the processor has these features.
            Kind::Avx512 => unsafe { avx512(work) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: this level exists only where the processor has these features.
            Kind::Avx2 => unsafe { avx2(work) },
            Kind::Portable => work.run(),
        }
    }
}

/// Asks the cache for `values`; a hint without any other effect.
#[inline]
#[cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "the hint is an intrinsic that takes an address")
)]
pub fn prefetch<T>(values: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for byte in (0..size_of_val(values)).step_by(size_of::<Line>()) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: part of the baseline, and no address is wrong for it; these are within `values`.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().cast::<i8>().add(byte)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

/// Measures the machine's peak of fused multiply-adds with independent chains in registers, on this
/// thread. The caller brings the clock: `rate` gets a number of operations and what performs them.
pub fn fma_peak(rate: impl FnOnce(f64, &mut dyn FnMut()) -> f64) -> f64 {
    const ROUNDS: usize = 2_000_000;
    let level = Level::best();
    let mut line = Line([1.0; LANES]);
    let lines = match level.name() {
        "avx512" => 16,
        "avx2" => 6,
        _ => 3,
    };
    let flops = (2 * LANES * lines * ROUNDS) as f64;
    rate(flops, &mut || {
        level.chains(ROUNDS, std::hint::black_box(&mut line));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest error of `run` against `exact` over a sweep, relative beyond 1.
    fn worst(
        range: std::ops::Range<f32>,
        exact: impl Fn(f64) -> f64,
        run: impl Fn(&mut [Line]),
    ) -> f64 {
        let xs: Vec<f32> = (0..32_000)
            .map(|i| range.start + (range.end - range.start) * i as f32 / 32_000.0)
            .collect();
        let mut lines: Vec<Line> = xs.as_chunks::<LANES>().0.iter().map(|x| Line(*x)).collect();
        run(&mut lines);
        let ys = lines.iter().flat_map(|line| line.0);
        xs.iter()
            .zip(ys)
            .map(|(x, y)| {
                let exact = exact(f64::from(*x));
                (f64::from(y) - exact).abs() / exact.abs().max(1.0)
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn transcendental_functions_are_right_to_a_few_units_in_the_last_place() {
        for level in Level::available() {
            assert!(worst(-12.0..12.0, f64::tanh, |l| level.tanhs(l)) < 4e-7);
            assert!(worst(1e-6..50.0, f64::ln, |l| level.logarithms(l)) < 4e-7);
            let exp = |l: &mut [Line]| l.iter_mut().for_each(|l| level.exponentials(&mut l.0));
            assert!(worst(-87.0..88.0, f64::exp, exp) < 4e-7);
        }
    }

    #[test]
    fn not_a_number_comes_through_tanh_and_exp() {
        for level in Level::available() {
            let mut lines = [Line([f32::NAN; LANES])];
            level.tanhs(&mut lines);
            assert!(lines[0].0.iter().all(|v| v.is_nan()));
            let mut values = [f32::NAN, 0.0];
            level.exponentials(&mut values);
            assert!(values[0].is_nan() && (values[1] - 1.0).abs() < 1e-6);
        }
    }

    /// A number that depends on its place.
    fn value(row: usize, column: usize) -> f32 {
        ((row * 31 + column * 17) % 23) as f32 / 23.0 - 0.4
    }

    /// Panels of `rows` rows of `width` numbers at height `rows`.
    fn panels(level: Level, rows: usize, width: usize) -> Vec<Line> {
        let mut panels = vec![Line::ZERO; width.div_ceil(LANES) * rows];
        for r in 0..rows {
            let row: Vec<f32> = (0..width).map(|c| value(r, c)).collect();
            level.pack_row(&row, r, rows, &mut panels);
        }
        panels
    }

    /// Asserts that `panels` hold `exact` in lanes in use and zero in all others.
    fn assert_holds(
        panels: &[Line],
        [rows, width]: [usize; 2],
        exact: impl Fn(usize, usize) -> f64,
    ) {
        for (at, line) in panels.iter().enumerate() {
            for (lane, value) in line.0.iter().enumerate() {
                let column = at / rows * LANES + lane;
                if column >= width {
                    assert_eq!(value.to_bits(), 0, "lane {lane} of line {at} of {width}");
                    continue;
                }
                let exact = exact(at % rows, column);
                let error = (f64::from(*value) - exact).abs();
                assert!(
                    error < 1e-5,
                    "{value} for {exact} in column {column} of {width}"
                );
            }
        }
    }

    #[test]
    fn products_of_every_width_are_right_and_leave_unused_lanes_zero() {
        let inputs = 19;
        for level in Level::available() {
            for (outputs, rows) in
                (1..=40).flat_map(|n| [1, 5, 8, 13, 16, 48, 50].map(|rows| (n, rows)))
            {
                let height = level.height(rows);
                let (x, dy) = (
                    panels(level, height, inputs),
                    panels(level, height, outputs),
                );
                let (weights, biases) = (panels(level, inputs, outputs), panels(level, 1, outputs));
                let shape = [inputs, outputs];
                // What an earlier block left.
                let mut y = vec![Line([7.0; LANES]); outputs.div_ceil(LANES) * height];
                level.affine(&x, height, shape, &weights, &biases, None, &mut y);
                assert_holds(&y, [height, outputs], |row, n| {
                    let products = (0..inputs).map(|k| value(row, k) * value(k, n));
                    products.map(f64::from).sum::<f64>() + f64::from(value(0, n))
                });
                let mut dw = vec![Line::ZERO; weights.len()];
                let mut db = vec![Line::ZERO; biases.len()];
                level.weight_gradient(&x, height, shape, &dy, &mut dw, &mut db);
                assert_holds(&dw, [inputs, outputs], |k, n| {
                    let products = (0..height).map(|row| value(row, k) * value(row, n));
                    products.map(f64::from).sum()
                });
                assert_holds(&db, [1, outputs], |_, n| {
                    (0..height).map(|row| f64::from(value(row, n))).sum()
                });
            }
        }
    }
}
