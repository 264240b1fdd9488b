//! Ways of rows into panels and out of them.

use super::{LANES, Line, simd::Simd};

/// Writes `row` into row `r` of panels of height `rows`; lanes beyond it become zero.
#[inline(always)]
pub(super) fn pack_row<S: Simd>(row: &[f32], r: usize, rows: usize, panels: &mut [Line]) {
    let (whole, rest) = row.as_chunks::<LANES>();
    for (panel, values) in whole.iter().enumerate() {
        panels[panel * rows + r].0 = *values;
    }
    if !rest.is_empty() {
        S::store(S::load_first(rest), &mut panels[whole.len() * rows + r]);
    }
}

/// The inverse of [`pack_row`].
pub(crate) fn unpack_row(panels: &[Line], r: usize, rows: usize, row: &mut [f32]) {
    let (whole, rest) = row.as_chunks_mut::<LANES>();
    for (panel, values) in whole.iter_mut().enumerate() {
        *values = panels[panel * rows + r].0;
    }
    if !rest.is_empty() {
        rest.copy_from_slice(&panels[whole.len() * rows + r].0[..rest.len()]);
    }
}

/// Lane `c` of line `r` becomes lane `r` of line `c`.
#[inline(always)]
pub(super) fn transpose<S: Simd>(from: &[Line; LANES], into: &mut [Line; LANES]) {
    S::transpose(from, into);
}
