//! Gradients of networks that remember: back-propagation through the steps of sequences.
//!
//! A block takes some sequences side by side through all of their steps and back. A state is carried
//! from step to step, but not into a row where something new begins; no gradient goes beyond either
//! end of a sequence, or across such a beginning.

use super::{Learner, Objective, Slot};
use crate::{
    Mlp,
    kernel::{LANES, Line, unpack_row},
    mlp::GATES,
    recurrent::StepPanels,
};

/// Sequences of one block, unless they come in larger groups. A block's steps stay in the core's own
/// cache.
pub const SEQUENCES: usize = 24;

/// How the rows of a batch are sequences: block by block, in a block step by step, in a step sequence
/// by sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unrolled {
    /// Sequences in all.
    pub sequences: usize,
    /// Rows of each.
    pub steps: usize,
    /// Sequences of every block but the last, which may have fewer.
    pub block: usize,
}

impl Unrolled {
    /// `groups` groups of `group` sequences of `steps` rows; no block divides a group.
    #[must_use]
    pub fn new(groups: usize, group: usize, steps: usize) -> Self {
        Self {
            sequences: groups * group,
            steps,
            block: (SEQUENCES / group).max(1) * group,
        }
    }
}

/// What is minimised over sequences.
pub trait Sequences: Objective {
    /// The state that the sequence whose first row is `row` starts from (length `state`).
    fn state(&self, row: usize) -> &[f32];

    /// Whether nothing before `row`, which is not the first of its sequence, is to be remembered.
    fn is_fresh(&self, row: usize) -> bool;
}

/// Arenas of one block.
#[derive(Clone, Debug, Default)]
pub(super) struct Through {
    steps: Vec<StepPanels>,
    /// Derivative by the head's output, step by step.
    heads: Vec<Vec<Line>>,
    /// Derivative by the state after the step at hand.
    error: Vec<Line>,
    /// What comes to it from another side.
    part: Vec<Line>,
    /// Derivatives by the inputs of every dense layer but the first, then of the recurrent unit.
    below: Vec<Vec<Line>>,
}

impl Through {
    fn fit(&mut self, mlp: &Mlp, steps: usize, rows: usize) {
        let panels = |width: usize| width.div_ceil(LANES) * rows;
        let shape = mlp.shape();
        if self.steps.len() < steps {
            self.steps.resize_with(steps, StepPanels::default);
            self.heads.resize_with(steps, Vec::new);
        }
        for step in &mut self.steps {
            step.fit(mlp, rows);
        }
        for head in &mut self.heads {
            head.resize(panels(shape.outputs), Line::ZERO);
        }
        for lines in [&mut self.error, &mut self.part] {
            lines.resize(panels(shape.state()), Line::ZERO);
        }
        self.below.resize(shape.hidden.len() - 1, Vec::new());
        for (lines, width) in self.below.iter_mut().zip(&shape.hidden) {
            lines.resize(panels(*width), Line::ZERO);
        }
    }
}

/// Makes row `r` of panels of height `height` zero.
fn clear_row(panels: &mut [Line], r: usize, height: usize) {
    for line in panels.iter_mut().skip(r).step_by(height) {
        *line = Line::ZERO;
    }
}

impl Learner {
    /// As [`Self::gradient`], of a network that remembers, over the sequences of a batch.
    ///
    /// # Panics
    /// If `works` has another length than one per slot, or `mlp` another shape, or remembers nothing.
    pub fn gradient_through_time<O: Sequences>(
        &mut self,
        mlp: &Mlp,
        batch: Unrolled,
        objective: &O,
        works: &mut [O::Work],
    ) {
        assert!(mlp.shape().recurrent, "a network that remembers");
        let blocks = batch.sequences.div_ceil(batch.block);
        self.sum(mlp, blocks, works, |slot, transposed, block, work| {
            let first = block * batch.block;
            let count = batch.block.min(batch.sequences - first);
            let rows = [first * batch.steps, count, batch.steps];
            slot.run_through(mlp, rows, objective, work);
            slot.back_through(mlp, transposed, rows, objective);
        });
    }
}

impl Slot {
    /// Forward through all steps of `count` sequences whose rows begin at `first`, and their losses.
    fn run_through<O: Sequences>(
        &mut self,
        mlp: &Mlp,
        [first, count, steps]: [usize; 3],
        objective: &O,
        work: &mut O::Work,
    ) {
        let (level, outputs) = (mlp.level(), mlp.shape().outputs);
        let height = level.height(count);
        self.through.fit(mlp, steps, height);
        self.out.resize(count * outputs, 0.0);
        self.d_out.resize(count * outputs, 0.0);
        for step in 0..steps {
            let rows = first + step * count..first + (step + 1) * count;
            let (done, ahead) = self.through.steps.split_at_mut(step);
            let panels = &mut ahead[0];
            for (r, row) in rows.clone().enumerate() {
                if step + 1 < steps {
                    objective.prefetch(row + count);
                }
                let input = objective.input(row, &mut self.input);
                level.pack_row(input, r, height, &mut panels.below[0]);
            }
            // Rows that fill the last tile count for nothing.
            for r in count..height {
                clear_row(&mut panels.below[0], r, height);
            }
            match done.last() {
                None => {
                    panels.before.fill(Line::ZERO);
                    for (r, row) in rows.clone().enumerate() {
                        level.pack_row(objective.state(row), r, height, &mut panels.before);
                    }
                }
                Some(done) => {
                    let state = panels.before.len().min(done.after.len());
                    panels.before[..state].copy_from_slice(&done.after[..state]);
                    for (r, row) in rows.clone().enumerate() {
                        if objective.is_fresh(row) {
                            clear_row(&mut panels.before, r, height);
                        }
                    }
                }
            }
            panels.forward(mlp, height);
            for (r, out) in self.out.chunks_exact_mut(outputs).enumerate() {
                unpack_row(&panels.out, r, height, out);
            }
            objective.loss(rows, &self.out, &mut self.d_out, work);
            let head = &mut self.through.heads[step];
            head.fill(Line::ZERO);
            for (r, d_out) in self.d_out.chunks_exact(outputs).enumerate() {
                level.pack_row(d_out, r, height, head);
            }
        }
    }

    /// Backward through them; adds to the gradient.
    fn back_through<O: Sequences>(
        &mut self,
        mlp: &Mlp,
        transposed: &[Vec<Line>],
        [first, count, steps]: [usize; 3],
        objective: &O,
    ) {
        let level = mlp.level();
        let height = level.height(count);
        let unit = mlp.layers() - 3;
        let state = mlp.shape().state().div_ceil(LANES) * height;
        let Through {
            steps: panels,
            heads,
            error,
            part,
            below,
        } = &mut self.through;
        error.fill(Line::ZERO);
        for step in (0..steps).rev() {
            let (panels, head) = (&mut panels[step], &heads[step]);
            let gradient = &mut self.gradient;
            let mut add = |layer: usize, x: &[Line], d_y: &[Line]| {
                let span = &mlp.spans[layer];
                let (weights, biases) =
                    gradient[span.weights.start..span.biases.end].split_at_mut(span.weights.len());
                let d_y = &d_y[..span.lines * height];
                let shape = [span.inputs, span.lanes()];
                level.weight_gradient(x, height, shape, d_y, weights, biases);
            };
            // By its input: what of `d_y` comes to the linear input of a layer.
            let through = |layer: usize, d_y: &[Line], d_x: &mut [Line]| {
                let (span, transposed) = (&mlp.spans[layer], &transposed[layer - 1]);
                let shape = [span.lanes(), span.inputs];
                level.affine(d_y, height, shape, transposed, &[], None, d_x);
            };
            add(unit + 2, &panels.after, head);
            through(unit + 2, head, part);
            level.accumulate(&mut error[..state], &part[..state]);
            level.cell_gradient(
                &mut panels.gates[..GATES * state],
                &mut panels.sums[..GATES * state],
                &panels.before[..state],
                &mut error[..state],
            );
            add(unit, &panels.below[unit], &panels.gates);
            add(unit + 1, &panels.before, &panels.sums);
            through(unit + 1, &panels.sums, part);
            level.accumulate(&mut error[..state], &part[..state]);
            if step > 0 {
                for (r, row) in (first + step * count..first + (step + 1) * count).enumerate() {
                    if objective.is_fresh(row) {
                        clear_row(&mut error[..state], r, height);
                    }
                }
            }
            for layer in (1..=unit).rev() {
                let span = &mlp.spans[layer];
                let (lower, upper) = below.split_at_mut(layer);
                let d_y = if layer == unit {
                    &panels.gates
                } else {
                    &upper[0]
                };
                level.input_gradient(
                    d_y,
                    height,
                    span.lanes(),
                    &transposed[layer - 1],
                    &panels.below[layer],
                    mlp.shape().activation,
                    &mut lower[layer - 1],
                );
                add(layer - 1, &panels.below[layer - 1], &lower[layer - 1]);
            }
        }
    }
}
