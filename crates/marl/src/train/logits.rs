//! From what agents see to one number per choice.

use std::ops::Range;

use karma_nn::Scratch;

use super::{
    Net,
    states::States,
    view::{Seen, Shape},
};

/// The first agent whose numbers are not all finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotFinite(pub(super) usize);

/// Names the first agent whose `logits`, cells × agents × choices of all heads, are not all finite.
pub(super) fn check(shape: Shape, logits: &[f32]) -> Result<(), NotFinite> {
    let of_agent = logits.chunks_exact(shape.heads.width());
    match of_agent
        .into_iter()
        .position(|of| of.iter().any(|v| !v.is_finite()))
    {
        None => Ok(()),
        Some(bad) => Err(NotFinite(bad % shape.agents)),
    }
}

/// Buffers of that way, reused between calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Logits {
    scratch: Scratch,
    inputs: Vec<f32>,
    out: Vec<f32>,
    logits: Vec<f32>,
}

impl Logits {
    /// What `nets`, which are of all agents together, say in `cells` of `seen`: cells × agents ×
    /// choices of all heads. `states`, of as many cells, go one step further.
    pub(super) fn of(
        &mut self,
        shape: Shape,
        nets: &[Net],
        states: &mut States,
        seen: &Seen,
        cells: Range<usize>,
    ) -> Result<&[f32], NotFinite> {
        let width = shape.heads.width();
        self.logits.resize(cells.len() * shape.agents * width, 0.0);
        for (index, net) in nets.iter().enumerate() {
            let states = states.of(index);
            let (view, inputs) = (&net.view, net.view.width());
            let rows = cells.len() * view.rows();
            self.inputs.resize(rows * inputs, 0.0);
            for (row, input) in self.inputs.chunks_exact_mut(inputs).enumerate() {
                let cell = cells.start + row / view.rows();
                view.write(seen, cell, row % view.rows(), input);
            }
            if view.is_whole() {
                let (scratch, logits) = (&mut self.scratch, &mut self.logits);
                net.run(&self.inputs, rows, states, scratch, logits);
                continue;
            }
            self.out.resize(rows * width, 0.0);
            let (scratch, out) = (&mut self.scratch, &mut self.out);
            net.run(&self.inputs, rows, states, scratch, out);
            view.deal(&self.out, width, &mut self.logits);
        }
        check(shape, &self.logits)?;
        Ok(&self.logits)
    }
}
