//! Masked categorical heads: several independent choices read off one row of logits.
//!
//! A row holds `heads × choices` logits, head-major. A mask is one byte per head; bit `c` says that
//! choice `c` is allowed. Choices that are not allowed have probability exactly 0, are never drawn
//! and receive exactly zero gradient. Rows are processed sixteen at a time, one row to a lane.

use crate::kernel::{self, Level, Line};

/// Layout of the heads of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Heads per row.
    pub heads: usize,
    /// Choices per head, at most 8.
    pub choices: usize,
}

/// Distributions of the newest [`Heads::evaluate`], reused between calls.
#[derive(Clone, Debug, Default)]
pub struct Distributions {
    pub(crate) probability: Vec<Line>,
    pub(crate) log_probability: Vec<Line>,
    pub(crate) entropy: Vec<Line>,
    pub(crate) rows: usize,
}

impl Heads {
    /// Logits per row.
    #[must_use]
    pub fn width(self) -> usize {
        self.heads * self.choices
    }

    /// Computes the distributions of all rows.
    ///
    /// `logits: [rows × width]`, `masks: [rows × heads]`.
    ///
    /// # Panics
    /// If lengths do not match or a mask allows nothing.
    pub fn evaluate(self, level: Level, logits: &[f32], masks: &[u8], into: &mut Distributions) {
        todo!("{level:?} {logits:?} {masks:?} {into:?}")
    }

    /// Log-probability of `chosen: [rows × heads]` summed over heads, and entropy summed over heads.
    pub fn score(
        self,
        from: &Distributions,
        chosen: &[u8],
        log_prob: &mut [f32],
        entropy: &mut [f32],
    ) {
        todo!("{from:?} {chosen:?} {log_prob:?} {entropy:?}")
    }

    /// Draws `chosen` with one uniform number in [0, 1) per row and head.
    pub fn sample(self, from: &Distributions, uniform: &[f32], chosen: &mut [u8]) {
        todo!("{from:?} {uniform:?} {chosen:?}")
    }

    /// The likeliest choice of every head, the first of equals.
    pub fn mode(self, from: &Distributions, chosen: &mut [u8]) {
        todo!("{from:?} {chosen:?}")
    }

    /// Gradient with respect to the logits, given per row the derivative of the loss by the joint
    /// log-probability of `chosen` and by the summed entropy.
    pub fn gradient(
        self,
        from: &Distributions,
        chosen: &[u8],
        by_log_prob: &[f32],
        by_entropy: &[f32],
        d_logits: &mut [f32],
    ) {
        let _ = kernel::LANES;
        todo!("{from:?} {chosen:?} {by_log_prob:?} {by_entropy:?} {d_logits:?}")
    }
}
