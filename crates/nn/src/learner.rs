//! Training one network: batched gradients over fixed blocks and slots, and Adam.

use std::ops::Range;

use crate::{Mlp, NnError, store::Archive};

/// Rows of one block. A block's activations and gradients stay in the core's own cache.
pub const BLOCK_ROWS: usize = 96;

/// Gradient slots. Block `b` always adds to slot `b % SLOTS`, whichever thread runs it.
pub const SLOTS: usize = 16;

/// What is minimised: where the rows of a batch come from, and the loss of what the network makes of
/// them.
pub trait Objective: Sync {
    /// What the loss keeps per slot between blocks and steps: sums for the log, buffers.
    type Work: Send;

    /// Writes the network's input of `row` into `input` (length `inputs`).
    fn input(&self, row: usize, input: &mut [f32]);

    /// Reads `out: [rows.len() × outputs]` and writes the derivative of the loss by it into `d_out`,
    /// already divided by the batch size where the loss is a mean.
    fn loss(&self, rows: Range<usize>, out: &[f32], d_out: &mut [f32], work: &mut Self::Work);
}

/// Settings of one step of Adam (β 0.9 and 0.999, ε 1e-5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// Learning rate.
    pub learning_rate: f32,
    /// The gradient is scaled down to this global norm if it is longer; infinite for no clip.
    pub clip_norm: f32,
}

/// The gradient holds NaN or an infinity; parameters and moments were left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the gradient is not finite")]
pub struct NonFinite;

/// Arenas and optimiser state of one network. Nothing is allocated after the first step.
#[derive(Clone, Debug)]
pub struct Learner {}

impl Learner {
    /// Zero moments for `mlp`.
    #[must_use]
    pub fn new(mlp: &Mlp) -> Self {
        let _ = mlp;
        Self {}
    }

    /// Computes the gradient of `objective` over `rows` rows, in parallel on rayon's current pool.
    /// `works` holds one work per slot ([`SLOTS`]); sum what they tally in that order.
    ///
    /// # Panics
    /// If `works` has another length or `mlp` another shape.
    pub fn gradient<O: Objective>(
        &mut self,
        mlp: &Mlp,
        rows: usize,
        objective: &O,
        works: &mut [O::Work],
    ) {
        let _ = (mlp, rows, objective, works.len());
        todo!()
    }

    /// One step of Adam along the newest [`Self::gradient`]; returns its global norm before clipping.
    ///
    /// # Errors
    /// [`NonFinite`]; nothing was changed.
    pub fn step(&mut self, mlp: &mut Mlp, adam: AdamStep) -> Result<f32, NonFinite> {
        todo!("{mlp:?} {adam:?}")
    }

    /// Newest gradient of `layer`, as [`Mlp::layer`] orders it.
    #[must_use]
    pub fn layer_gradient(&self, layer: usize) -> (Vec<f32>, Vec<f32>) {
        todo!("{layer}")
    }

    /// Steps taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        0
    }

    /// Adds Adam's moments as `PREFIX.m` and `PREFIX.v` to `archive`; keep [`Self::steps`] beside.
    pub fn export(&self, prefix: &str, archive: &mut Archive) {
        todo!("{prefix} {archive:?}")
    }

    /// Reads what [`Self::export`] wrote.
    ///
    /// # Errors
    /// [`NnError`] where a tensor is missing or has another size.
    pub fn import(mlp: &Mlp, prefix: &str, steps: u64, archive: &Archive) -> Result<Self, NnError> {
        todo!("{mlp:?} {prefix} {steps} {archive:?}")
    }
}
