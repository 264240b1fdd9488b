//! Networks that remember: one step, from a row and its state to outputs and the state after.

use crate::{
    Mlp,
    kernel::{LANES, Line, unpack_row},
    mlp::{FORWARD_ROWS, GATES, Scratch},
};

/// Everything that one step of some rows makes, in panels of one height.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepPanels {
    /// Input of every dense layer but the head, then of the recurrent unit.
    pub(crate) below: Vec<Vec<Line>>,
    /// What the unit's input gives its gates, then the gates.
    pub(crate) gates: Vec<Line>,
    /// What its state gives them.
    pub(crate) sums: Vec<Line>,
    /// The state before the step.
    pub(crate) before: Vec<Line>,
    /// The state after it.
    pub(crate) after: Vec<Line>,
    /// What the head makes of that.
    pub(crate) out: Vec<Line>,
}

impl StepPanels {
    /// Makes room for `rows` rows of `mlp`.
    pub(crate) fn fit(&mut self, mlp: &Mlp, rows: usize) {
        let shape = mlp.shape();
        let lines = |width: usize| width.div_ceil(LANES) * rows;
        let widths = shape.widths();
        self.below.resize(shape.hidden.len(), Vec::new());
        for (panels, width) in self.below.iter_mut().zip(widths) {
            panels.resize(lines(width), Line::ZERO);
        }
        let state = lines(shape.state());
        for panels in [&mut self.before, &mut self.after] {
            panels.resize(state, Line::ZERO);
        }
        for panels in [&mut self.gates, &mut self.sums] {
            panels.resize(GATES * state, Line::ZERO);
        }
        self.out.resize(lines(shape.outputs), Line::ZERO);
    }

    /// Takes one step of `mlp` from the first of `below` and from `before`.
    pub(crate) fn forward(&mut self, mlp: &Mlp, height: usize) {
        let dense = self.below.len() - 1;
        for layer in 0..dense {
            let (below, above) = self.below.split_at_mut(layer + 1);
            mlp.run_layer(layer, &below[layer], height, &mut above[0]);
        }
        mlp.run_layer(dense, &self.below[dense], height, &mut self.gates);
        mlp.run_layer(dense + 1, &self.before, height, &mut self.sums);
        let state = mlp.shape().state().div_ceil(LANES) * height;
        mlp.level().cell(
            &mut self.gates[..GATES * state],
            &self.sums[..GATES * state],
            &self.before[..state],
            &mut self.after[..state],
        );
        mlp.run_layer(dense + 2, &self.after, height, &mut self.out);
    }
}

impl Mlp {
    /// Takes `rows` rows of `x: [rows × inputs]` and of `states: [rows × state]` one step further,
    /// into `out: [rows × outputs]` and the states after, on this thread. What a row gives does not
    /// depend on the rows beside it. A state of zeros remembers nothing.
    ///
    /// # Panics
    /// If lengths do not match, or the network remembers nothing: then [`Mlp::forward`] is asked.
    pub fn step(
        &self,
        x: &[f32],
        rows: usize,
        states: &mut [f32],
        scratch: &mut Scratch,
        out: &mut [f32],
    ) {
        let shape = self.shape();
        let (inputs, outputs, state) = (shape.inputs, shape.outputs, shape.state());
        assert!(
            state > 0
                && x.len() == rows * inputs
                && states.len() == rows * state
                && out.len() == rows * outputs,
            "rows of the network's width, each with its state"
        );
        let panels = &mut scratch.step;
        panels.fit(self, FORWARD_ROWS);
        let blocks = x
            .chunks(FORWARD_ROWS * inputs)
            .zip(states.chunks_mut(FORWARD_ROWS * state))
            .zip(out.chunks_mut(FORWARD_ROWS * outputs));
        for ((x, states), out) in blocks {
            let rows = x.len() / inputs;
            let height = self.level().height(rows);
            // Rows beyond the last hold what an earlier block left: read by nobody.
            let pairs = x.chunks_exact(inputs).zip(states.chunks_exact(state));
            for (row, (x, before)) in pairs.enumerate() {
                self.level().pack_row(x, row, height, &mut panels.below[0]);
                self.level()
                    .pack_row(before, row, height, &mut panels.before);
            }
            panels.forward(self, height);
            let pairs = states
                .chunks_exact_mut(state)
                .zip(out.chunks_exact_mut(outputs));
            for (row, (after, out)) in pairs.enumerate() {
                unpack_row(&panels.after, row, height, after);
                unpack_row(&panels.out, row, height, out);
            }
        }
    }
}
