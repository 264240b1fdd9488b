//! Training one network: batched gradients over fixed blocks and slots, and Adam.

mod through_time;

use std::ops::Range;

use rayon::prelude::*;

use self::through_time::Through;
pub use self::through_time::{SEQUENCES, Sequences, Unrolled};

use crate::{
    Mlp, NnError,
    kernel::{LANES, Line, unpack_row},
    store::Archive,
};

/// Rows of one block. A block's activations and gradients stay in the core's own cache.
pub const BLOCK_ROWS: usize = 96;

/// Gradient slots. Block `b` always adds to slot `b % SLOTS`, whichever thread runs it.
pub const SLOTS: usize = 16;

/// Rows that are asked for before they are read: enough work to wait behind for far memory.
const AHEAD: usize = 12;

/// What is minimised: where the rows of a batch come from, and the loss of what the network makes of
/// them.
pub trait Objective: Sync {
    /// What the loss keeps per slot between blocks and steps: sums for the log, buffers.
    type Work: Send;

    /// The network's input of `row` (length `inputs`): where it lies, or written into `buffer`, which
    /// is as long.
    fn input<'a>(&'a self, row: usize, buffer: &'a mut [f32]) -> &'a [f32];

    /// Asks the processor's cache for what [`Self::input`] and [`Self::loss`] will read of `row`.
    fn prefetch(&self, _row: usize) {}

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

impl AdamStep {
    /// What step number `steps`, from 1, along a gradient of global length `norm` multiplies: the
    /// gradient, the first moment (learning rate and its bias), the second moment (its bias).
    #[must_use]
    pub fn factors(self, norm: f64, steps: u64) -> [f64; 3] {
        let clip = f64::from(self.clip_norm);
        let scale = if norm > clip { clip / norm } else { 1.0 };
        let power = steps.min(i32::MAX as u64) as i32;
        let rate = f64::from(self.learning_rate) / (1.0 - 0.9_f64.powi(power));
        let unbias = 1.0 / (1.0 - 0.999_f64.powi(power));
        [scale, rate, unbias]
    }
}

/// The gradient holds NaN or an infinity; parameters and moments were left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the gradient is not finite")]
pub struct NonFinite;

/// Arenas and optimiser state of one network. Nothing is allocated after the first step.
#[derive(Clone, Debug)]
pub struct Learner {
    /// Per layer but the first: weights transposed, so that the backward pass reads whole lines.
    transposed: Vec<Vec<Line>>,
    slots: Vec<Slot>,
    gradient: Vec<Line>,
    first: Vec<Line>,
    second: Vec<Line>,
    steps: u64,
}

/// One gradient and the arena of the blocks that add to it.
#[derive(Clone, Debug)]
struct Slot {
    gradient: Vec<Line>,
    /// Input of every layer, then the output of the head.
    layers: Vec<Vec<Line>>,
    /// Gradients by the inputs of every layer but the first, then by the output of the head.
    errors: Vec<Vec<Line>>,
    input: Vec<f32>,
    out: Vec<f32>,
    d_out: Vec<f32>,
    through: Through,
}

impl Slot {
    fn new(mlp: &Mlp) -> Self {
        let mut widths = mlp.shape().widths();
        if mlp.shape().recurrent {
            // Steps have arenas of their own, as many as sequences are long.
            widths.truncate(1);
        }
        let panels = |width: &usize| vec![Line::ZERO; width.div_ceil(LANES) * BLOCK_ROWS];
        Self {
            gradient: vec![Line::ZERO; mlp.parameters.len()],
            layers: widths.iter().map(panels).collect(),
            errors: widths[1..].iter().map(panels).collect(),
            input: vec![0.0; mlp.shape().inputs],
            out: vec![0.0; BLOCK_ROWS * mlp.shape().outputs],
            d_out: vec![0.0; BLOCK_ROWS * mlp.shape().outputs],
            through: Through::default(),
        }
    }

    /// Adds the gradient of one block.
    fn run<O: Objective>(
        &mut self,
        mlp: &Mlp,
        transposed: &[Vec<Line>],
        rows: Range<usize>,
        objective: &O,
        work: &mut O::Work,
    ) {
        let count = rows.len();
        let height = mlp.level().height(count);
        for (r, row) in rows.clone().enumerate() {
            if r + AHEAD < count {
                objective.prefetch(row + AHEAD);
            }
            let input = objective.input(row, &mut self.input);
            mlp.level().pack_row(input, r, height, &mut self.layers[0]);
        }
        self.input.fill(0.0);
        for r in count..height {
            mlp.level()
                .pack_row(&self.input, r, height, &mut self.layers[0]);
        }
        for layer in 0..mlp.layers() {
            let (below, above) = self.layers.split_at_mut(layer + 1);
            mlp.run_layer(layer, &below[layer], height, &mut above[0]);
        }
        let outputs = mlp.shape().outputs;
        let (out, d_out) = (
            &mut self.out[..count * outputs],
            &mut self.d_out[..count * outputs],
        );
        for (r, out) in out.chunks_exact_mut(outputs).enumerate() {
            unpack_row(&self.layers[mlp.layers()], r, height, out);
        }
        objective.loss(rows, out, d_out, work);
        let head = &mut self.errors[mlp.layers() - 1];
        for (r, d_out) in d_out.chunks_exact(outputs).enumerate() {
            mlp.level().pack_row(d_out, r, height, head);
        }
        // The rows that fill the last tile count for nothing.
        for panel in head.chunks_exact_mut(height).take(outputs.div_ceil(LANES)) {
            panel[count..].fill(Line::ZERO);
        }
        self.backward(mlp, transposed, height);
    }

    fn backward(&mut self, mlp: &Mlp, transposed: &[Vec<Line>], height: usize) {
        for layer in (0..mlp.layers()).rev() {
            let span = &mlp.spans[layer];
            let (below, above) = self.errors.split_at_mut(layer);
            let error = &above[0][..span.lines * height];
            let (weights, biases) =
                self.gradient[span.weights.start..span.biases.end].split_at_mut(span.weights.len());
            mlp.level().weight_gradient(
                &self.layers[layer],
                height,
                [span.inputs, span.lanes()],
                error,
                weights,
                biases,
            );
            if layer > 0 {
                mlp.level().input_gradient(
                    error,
                    height,
                    span.outputs,
                    &transposed[layer - 1],
                    &self.layers[layer],
                    mlp.shape().activation,
                    &mut below[layer - 1],
                );
            }
        }
    }
}

impl Learner {
    /// Zero moments for `mlp`.
    #[must_use]
    pub fn new(mlp: &Mlp) -> Self {
        let zeros = vec![Line::ZERO; mlp.parameters.len()];
        let transposed = mlp.spans[1..]
            .iter()
            .map(|span| vec![Line::ZERO; span.inputs.div_ceil(LANES) * span.lanes()])
            .collect();
        Self {
            transposed,
            slots: vec![Slot::new(mlp); SLOTS],
            gradient: zeros.clone(),
            first: zeros.clone(),
            second: zeros,
            steps: 0,
        }
    }

    fn transpose(&mut self, mlp: &Mlp) {
        for (span, transposed) in mlp.spans[1..].iter().zip(&mut self.transposed) {
            let weights = &mlp.parameters[span.weights.clone()];
            for (k, rows) in (0..span.inputs).map(|k| (k, span.lanes())) {
                for n in 0..rows {
                    transposed[k / LANES * rows + n].0[k % LANES] =
                        weights[n / LANES * span.inputs + k].0[n % LANES];
                }
            }
        }
    }

    /// Computes the gradient of `objective` over `rows` rows, in parallel on rayon's current pool.
    /// `works` holds one work per slot ([`SLOTS`]); sum what they tally in that order.
    ///
    /// # Panics
    /// If `works` has another length or `mlp` another shape, or remembers.
    pub fn gradient<O: Objective>(
        &mut self,
        mlp: &Mlp,
        rows: usize,
        objective: &O,
        works: &mut [O::Work],
    ) {
        assert!(!mlp.shape().recurrent, "a state goes with every row");
        self.sum(
            mlp,
            rows.div_ceil(BLOCK_ROWS),
            works,
            |slot, transposed, block, work| {
                let rows = block * BLOCK_ROWS..rows.min((block + 1) * BLOCK_ROWS);
                slot.run(mlp, transposed, rows, objective, work);
            },
        );
    }

    /// Adds up what `run` adds to slots in `blocks` blocks, each always in the same slot.
    fn sum<W: Send>(
        &mut self,
        mlp: &Mlp,
        blocks: usize,
        works: &mut [W],
        run: impl Fn(&mut Slot, &[Vec<Line>], usize, &mut W) + Sync,
    ) {
        assert!(works.len() == SLOTS, "one work per slot");
        assert!(self.gradient.len() == mlp.parameters.len());
        self.transpose(mlp);
        let transposed = &self.transposed;
        let used = &mut self.slots[..blocks.min(SLOTS)];
        used.par_iter_mut()
            .zip(works.par_iter_mut())
            .with_max_len(1)
            .enumerate()
            .for_each(|(first, (slot, work))| {
                slot.gradient.fill(Line::ZERO);
                for block in (first..blocks).step_by(SLOTS) {
                    run(slot, transposed, block, work);
                }
            });
        self.gradient.fill(Line::ZERO);
        for slot in used {
            mlp.level().accumulate(&mut self.gradient, &slot.gradient);
        }
    }

    /// One step of Adam along the newest [`Self::gradient`]; returns its global norm before clipping.
    ///
    /// # Errors
    /// [`NonFinite`]; nothing was changed.
    pub fn step(&mut self, mlp: &mut Mlp, adam: AdamStep) -> Result<f32, NonFinite> {
        let mut lanes = [0.0_f64; LANES];
        for line in &self.gradient {
            for (sum, value) in lanes.iter_mut().zip(line.0) {
                *sum += f64::from(value) * f64::from(value);
            }
        }
        let norm = lanes.iter().sum::<f64>().sqrt();
        if !norm.is_finite() {
            return Err(NonFinite);
        }
        self.steps += 1;
        let factors = adam.factors(norm, self.steps);
        mlp.level().adam(
            &mut mlp.parameters,
            &self.gradient,
            &mut self.first,
            &mut self.second,
            factors.map(|factor| factor as f32),
        );
        Ok(norm as f32)
    }

    /// Newest gradient of `layer`, as [`Mlp::layer`] orders it.
    #[must_use]
    pub fn layer_gradient(&self, mlp: &Mlp, layer: usize) -> (Vec<f32>, Vec<f32>) {
        mlp.spans[layer].read(&self.gradient)
    }

    /// Adam's first and second moments of `layer`, each as [`Mlp::layer`] orders parameters.
    #[must_use]
    pub fn moments(&self, mlp: &Mlp, layer: usize) -> [(Vec<f32>, Vec<f32>); 2] {
        [&self.first, &self.second].map(|lines| mlp.spans[layer].read(lines))
    }

    /// Replaces what [`Self::moments`] gives.
    ///
    /// # Panics
    /// If lengths do not match.
    pub fn set_moments(&mut self, mlp: &Mlp, layer: usize, moments: [(&[f32], &[f32]); 2]) {
        for (lines, (weights, biases)) in
            [&mut self.first, &mut self.second].into_iter().zip(moments)
        {
            mlp.spans[layer].write(mlp.level(), weights, biases, lines);
        }
    }

    /// Says how many steps have made the moments.
    pub fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// Steps taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Adds Adam's moments as `PREFIX.m` and `PREFIX.v` to `archive`; keep [`Self::steps`] beside.
    pub fn export(&self, prefix: &str, archive: &mut Archive) {
        for (name, lines) in [("m", &self.first), ("v", &self.second)] {
            let values: Vec<f32> = lines.iter().flat_map(|line| line.0).collect();
            archive.insert(format!("{prefix}.{name}"), vec![values.len()], values);
        }
    }

    /// Reads what [`Self::export`] wrote.
    ///
    /// # Errors
    /// [`NnError`] where a tensor is missing or has another size.
    pub fn import(mlp: &Mlp, prefix: &str, steps: u64, archive: &Archive) -> Result<Self, NnError> {
        let mut learner = Self::new(mlp);
        learner.steps = steps;
        for (name, lines) in [("m", &mut learner.first), ("v", &mut learner.second)] {
            let values = archive.get(&format!("{prefix}.{name}"), &[lines.len() * LANES])?;
            for (line, values) in lines.iter_mut().zip(values.as_chunks::<LANES>().0) {
                line.0 = *values;
            }
        }
        Ok(learner)
    }
}
