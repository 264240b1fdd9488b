//! Matrix products of one layer on one block, with their epilogues.
//!
//! Activations are panels: column `c` of row `r` is lane `c % 16` of line `(c / 16) · rows + r`, and
//! `rows` is a [`Level::height`](super::Level::height). Weights are panels too: input `k`,
//! output `n` is lane `n % 16` of line `(n / 16) · inputs + k`. Unused lanes are zero.

#![expect(
    clippy::needless_range_loop,
    reason = "indices with constant bounds always unroll into registers, iterators do not"
)]

use std::ops::Range;

use super::{
    LANES, Line, math,
    simd::{Simd, Sums},
};
use crate::mlp::Activation;

/// Rows of the last tiles of six-row levels in panels whose height six does not divide.
pub(super) const LOW_ROWS: usize = 4;

/// Terms that one turn of a product's loop adds. Where another thread shares the core, every
/// instruction beside the arithmetic costs time.
const TERMS: usize = 4;

/// Adds the products of every number with every line to `sums`.
#[inline(always)]
fn add_term<S: Sums, const R: usize, const L: usize>(
    x: [f32; R],
    lines: [&Line; L],
    sums: &mut [[S::V; R]; L],
) {
    let mut values = [S::splat(0.0); L];
    for l in 0..L {
        values[l] = S::load(lines[l]);
    }
    for r in 0..R {
        let x = S::splat(x[r]);
        for l in 0..L {
            sums[l][r] = S::fma(x, values[l], sums[l][r]);
        }
    }
}

/// What happens to the sums of a product before they are stored. A trait and not a closure, because
/// closures are not certain to be inlined.
trait Epilogue<S: Sums> {
    /// Stores the sums of `R` rows of a line; `at` is the place of the first in the panels.
    fn store<const R: usize>(&mut self, at: usize, sums: [S::V; R]);
}

/// Stores sums as they are.
struct Linear<'a>(&'a mut [Line]);

impl<S: Sums> Epilogue<S> for Linear<'_> {
    #[inline(always)]
    fn store<const R: usize>(&mut self, at: usize, sums: [S::V; R]) {
        let y = &mut self.0[at..][..R];
        for r in 0..R {
            S::store(sums[r], &mut y[r]);
        }
    }
}

/// Stores their hyperbolic tangents.
struct Tanh<'a>(&'a mut [Line]);

impl<S: Simd> Epilogue<S> for Tanh<'_> {
    #[inline(always)]
    fn store<const R: usize>(&mut self, at: usize, sums: [S::V; R]) {
        let y = &mut self.0[at..][..R];
        for r in 0..R {
            S::store(math::tanh::<S>(sums[r]), &mut y[r]);
        }
    }
}

/// Stores what is positive of them.
struct Relu<'a>(&'a mut [Line]);

impl<S: Simd> Epilogue<S> for Relu<'_> {
    #[inline(always)]
    fn store<const R: usize>(&mut self, at: usize, sums: [S::V; R]) {
        let y = &mut self.0[at..][..R];
        for r in 0..R {
            S::store(S::max(S::splat(0.0), sums[r]), &mut y[r]);
        }
    }
}

/// Multiplies by the slope of tanh, taken from its output.
struct TanhSlope<'a>(&'a [Line], &'a mut [Line]);

impl<S: Simd> Epilogue<S> for TanhSlope<'_> {
    #[inline(always)]
    fn store<const R: usize>(&mut self, at: usize, sums: [S::V; R]) {
        let (h, dx) = (&self.0[at..][..R], &mut self.1[at..][..R]);
        for r in 0..R {
            let h = S::load(&h[r]);
            let slope = S::sub(S::splat(1.0), S::mul(h, h));
            S::store(S::mul(sums[r], slope), &mut dx[r]);
        }
    }
}

/// Multiplies by the slope of relu, taken from its output.
struct ReluSlope<'a>(&'a [Line], &'a mut [Line]);

impl<S: Simd> Epilogue<S> for ReluSlope<'_> {
    #[inline(always)]
    fn store<const R: usize>(&mut self, at: usize, sums: [S::V; R]) {
        let (h, dx) = (&self.0[at..][..R], &mut self.1[at..][..R]);
        for r in 0..R {
            let slope = S::positive(S::load(&h[r]));
            S::store(S::mul(sums[r], slope), &mut dx[r]);
        }
    }
}

/// A product's operands; `weights` holds `lines · inputs` lines, `biases` none or one per line.
#[derive(Clone, Copy)]
struct Product<'a> {
    x: &'a [Line],
    rows: usize,
    inputs: usize,
    weights: &'a [Line],
    biases: &'a [Line],
}

/// Adds to `sums` what lane `lane` of the rows `x` contributes.
#[inline(always)]
fn add_lane<S: Sums, const R: usize, const L: usize>(
    x: &[Line],
    lane: usize,
    weights: &[&[Line]; L],
    sums: &mut [[S::V; R]; L],
) {
    let mut column = [0.0; R];
    for r in 0..R {
        column[r] = x[r].0[lane];
    }
    let mut lines = [&Line::ZERO; L];
    for l in 0..L {
        lines[l] = &weights[l][lane];
    }
    add_term::<S, R, L>(column, lines, sums);
}

impl Product<'_> {
    /// One tall strip of `rows`, `L` lines wide from `line` on, in register tiles of `R` rows.
    #[inline(always)]
    fn strip<S: Sums, const R: usize, const L: usize>(
        self,
        rows: Range<usize>,
        line: usize,
        epilogue: &mut impl Epilogue<S>,
    ) {
        let whole = self.inputs / LANES * LANES;
        let mut start = [S::splat(0.0); L];
        let (mut weights, mut rest) = ([self.weights; L], [self.weights; L]);
        for l in 0..L {
            let panel = &self.weights[(line + l) * self.inputs..][..self.inputs];
            (weights[l], rest[l]) = panel.split_at(whole);
            if !self.biases.is_empty() {
                start[l] = S::load(&self.biases[line + l]);
            }
        }
        let mut row = rows.start;
        while row < rows.end {
            let mut sums = [[S::splat(0.0); R]; L];
            for l in 0..L {
                sums[l] = [start[l]; R];
            }
            let mut panels = self.x.chunks_exact(self.rows);
            let mut input = 0;
            while input < whole
                && let Some(x) = panels.next()
            {
                let x = &x[row..row + R];
                let mut lines = weights;
                for l in 0..L {
                    lines[l] = &weights[l][input..][..LANES];
                }
                for turn in 0..LANES / TERMS {
                    for term in 0..TERMS {
                        add_lane::<S, R, L>(x, turn * TERMS + term, &lines, &mut sums);
                    }
                }
                input += LANES;
            }
            if let Some(x) = panels.next() {
                let x = &x[row..row + R];
                for lane in 0..self.inputs - whole {
                    add_lane::<S, R, L>(x, lane, &rest, &mut sums);
                }
            }
            for l in 0..L {
                epilogue.store((line + l) * self.rows + row, sums[l]);
            }
            row += R;
        }
    }

    /// The lines before `lines`, in strips as wide as the registers of `S` allow.
    #[inline(always)]
    fn run<S: Simd>(self, lines: usize, epilogue: &mut impl Epilogue<S>) {
        let all = 0..self.rows;
        let mut line = 0;
        if S::LINES == 4 {
            while line + 4 <= lines {
                self.strip::<S, 6, 4>(all.clone(), line, epilogue);
                line += 4;
            }
            while line + 2 <= lines {
                self.strip::<S, 12, 2>(all.clone(), line, epilogue);
                line += 2;
            }
        }
        while line < lines {
            match S::ROWS {
                12 => self.strip::<S, 12, 1>(all.clone(), line, epilogue),
                6 => self.strip_of_sixes(all.clone(), line, epilogue),
                _ => self.strip::<S, 3, 1>(all.clone(), line, epilogue),
            }
            line += 1;
        }
    }

    /// An even number of rows, at least four, of one line: six at a time, four where six do not fit.
    #[inline(always)]
    fn strip_of_sixes<S: Sums>(
        self,
        rows: Range<usize>,
        line: usize,
        epilogue: &mut impl Epilogue<S>,
    ) {
        let fours = match rows.len() % 6 {
            0 => 0,
            LOW_ROWS => LOW_ROWS,
            _ => 2 * LOW_ROWS,
        };
        let seam = rows.end - fours;
        self.strip::<S, 6, 1>(rows.start..seam, line, epilogue);
        self.strip::<S, LOW_ROWS, 1>(seam..rows.end, line, epilogue);
    }

    /// One line of which only the lanes of `S`, half of it, are in use: tiles are twice as tall.
    #[inline(always)]
    fn run_narrow<S: Sums>(self, line: usize, epilogue: &mut impl Epilogue<S>) {
        let rest = match self.rows % 12 {
            2 => 14,
            rest => rest,
        };
        let seam = self.rows - rest;
        self.strip::<S, 12, 1>(0..seam, line, epilogue);
        if rest > 0 {
            self.strip_of_sixes(seam..self.rows, line, epilogue);
        }
    }
}

/// Lines that hold `width` numbers: in all, and before a last one that [`Simd::Narrow`] holds.
#[inline(always)]
fn lines<S: Simd>(width: usize) -> (usize, usize) {
    let (lines, rest) = (width.div_ceil(LANES), width % LANES);
    let narrow = (1..=S::NARROW).contains(&rest);
    (lines, lines - usize::from(narrow))
}

/// `y = activation(x · weights + biases)`; `None` for the linear head.
#[inline(always)]
pub(super) fn affine<S: Simd>(
    x: &[Line],
    rows: usize,
    [inputs, outputs]: [usize; 2],
    weights: &[Line],
    biases: &[Line],
    activation: Option<Activation>,
    y: &mut [Line],
) {
    let (all, whole) = lines::<S>(outputs);
    let product = Product {
        x,
        rows,
        inputs,
        weights,
        biases,
    };
    match activation {
        None => {
            let mut linear = Linear(y);
            product.run::<S>(whole, &mut linear);
            if whole < all {
                product.run_narrow::<S::Narrow>(whole, &mut linear);
            }
        }
        Some(Activation::Tanh) => product.run::<S>(all, &mut Tanh(y)),
        Some(Activation::Relu) => product.run::<S>(all, &mut Relu(y)),
    }
}

/// `dx = (dy · transposed) ⊙ activation'(h)`, the derivative taken from the stored output `h`.
#[inline(always)]
pub(super) fn input_gradient<S: Simd>(
    dy: &[Line],
    rows: usize,
    outputs: usize,
    transposed: &[Line],
    h: &[Line],
    activation: Activation,
    dx: &mut [Line],
) {
    let lines = transposed.len() / outputs;
    let product = Product {
        x: dy,
        rows,
        inputs: outputs,
        weights: transposed,
        biases: &[],
    };
    match activation {
        Activation::Tanh => product.run::<S>(lines, &mut TanhSlope(h, dx)),
        Activation::Relu => product.run::<S>(lines, &mut ReluSlope(h, dx)),
    }
}

/// Operands of a weight gradient; `dw` holds `lines · inputs` lines.
struct Outer<'a> {
    x: &'a [Line],
    rows: usize,
    inputs: usize,
    dy: &'a [Line],
    dw: &'a mut [Line],
}

/// Adds to `sums` what one row contributes: `R` lanes of `x` from `first` on times its `lines`.
#[inline(always)]
fn add_lanes<S: Sums, const R: usize, const L: usize>(
    x: &Line,
    first: usize,
    lines: [&Line; L],
    sums: &mut [[S::V; R]; L],
) {
    let mut column = [0.0; R];
    column.copy_from_slice(&x.0[first..first + R]);
    add_term::<S, R, L>(column, lines, sums);
}

impl Outer<'_> {
    /// `R` inputs from lane `first` of `panel` on against `L` lines of outputs from `line` on.
    #[inline(always)]
    fn tile<S: Sums, const R: usize, const L: usize>(
        &mut self,
        panel: usize,
        first: usize,
        line: usize,
    ) {
        assert!(first + R <= LANES);
        let (x, x_rest) = self.x[panel * self.rows..][..self.rows].as_chunks::<TERMS>();
        let (mut dy, mut dy_rest) = ([x; L], [x_rest; L]);
        for l in 0..L {
            (dy[l], dy_rest[l]) = self.dy[(line + l) * self.rows..][..self.rows].as_chunks();
        }
        let mut sums = [[S::splat(0.0); R]; L];
        for turn in 0..x.len() {
            for term in 0..TERMS {
                let mut lines = [&Line::ZERO; L];
                for l in 0..L {
                    lines[l] = &dy[l][turn][term];
                }
                add_lanes::<S, R, L>(&x[turn][term], first, lines, &mut sums);
            }
        }
        for row in 0..x_rest.len() {
            let mut lines = [&Line::ZERO; L];
            for l in 0..L {
                lines[l] = &dy_rest[l][row];
            }
            add_lanes::<S, R, L>(&x_rest[row], first, lines, &mut sums);
        }
        for r in 0..R {
            for l in 0..L {
                let at = (line + l) * self.inputs + panel * LANES + first + r;
                let at = &mut self.dw[at];
                S::store(S::add(S::load(at), sums[l][r]), at);
            }
        }
    }

    /// All inputs against `L` lines of outputs from `line` on, at most `most` of them to a tile.
    #[inline(always)]
    fn strip<S: Sums, const L: usize>(&mut self, line: usize, most: usize) {
        for panel in 0..self.inputs.div_ceil(LANES) {
            let lanes = LANES.min(self.inputs - panel * LANES);
            let mut first = 0;
            while first < lanes {
                // 16 = 6 + 6 + 4 = 8 + 8: as few and as tall tiles as registers allow.
                let height = match lanes - first {
                    8 if most < 8 => 4,
                    left => left.min(most),
                };
                match height {
                    1 => self.tile::<S, 1, L>(panel, first, line),
                    2 => self.tile::<S, 2, L>(panel, first, line),
                    3 => self.tile::<S, 3, L>(panel, first, line),
                    4 => self.tile::<S, 4, L>(panel, first, line),
                    5 => self.tile::<S, 5, L>(panel, first, line),
                    6 => self.tile::<S, 6, L>(panel, first, line),
                    7 => self.tile::<S, 7, L>(panel, first, line),
                    _ => self.tile::<S, 8, L>(panel, first, line),
                }
                first += height;
            }
        }
    }
}

/// `dw += xᵀ · dy` and `db += column sums of dy`.
#[inline(always)]
pub(super) fn weight_gradient<S: Simd>(
    x: &[Line],
    rows: usize,
    [inputs, outputs]: [usize; 2],
    dy: &[Line],
    dw: &mut [Line],
    db: &mut [Line],
) {
    let (all, whole) = lines::<S>(outputs);
    let mut outer = Outer {
        x,
        rows,
        inputs,
        dy,
        dw,
    };
    let mut line = 0;
    if S::LINES == 4 {
        while line + 4 <= whole {
            outer.strip::<S, 4>(line, 6);
            line += 4;
        }
        while line + 2 <= whole {
            outer.strip::<S, 2>(line, 6);
            line += 2;
        }
    }
    while line < whole {
        outer.strip::<S, 1>(line, 6);
        line += 1;
    }
    if whole < all {
        outer.strip::<S::Narrow, 1>(whole, 8);
    }
    for line in 0..all {
        let mut sum = S::load(&db[line]);
        for dy in &dy[line * rows..(line + 1) * rows] {
            sum = S::add(sum, S::load(dy));
        }
        S::store(sum, &mut db[line]);
    }
}
