//! The network: shape, parameters, and inference.

use std::ops::Range;

use rand::Rng;

use crate::{
    NnError, init,
    kernel::{LANES, Level, Line, unpack_row},
    recurrent::StepPanels,
    store::Archive,
};

/// Non-linearity of the hidden layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Hyperbolic tangent.
    Tanh,
    /// max(0, x); its derivative at 0 is 0.
    Relu,
}

/// Widths of a network. The head is linear; the layer before it may remember.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MlpShape {
    /// Numbers per input row.
    pub inputs: usize,
    /// Width of every hidden layer.
    pub hidden: Vec<usize>,
    /// Numbers per output row.
    pub outputs: usize,
    /// Non-linearity after every hidden layer.
    pub activation: Activation,
    /// Whether the last hidden layer, which is then not the first, is a gated recurrent unit (Cho et
    /// al., 2014) in place of its non-linearity; its state is what it remembers between rows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recurrent: bool,
}

impl MlpShape {
    /// Multiply-adds of one row forward, padding not counted.
    #[must_use]
    pub fn multiply_adds(&self) -> usize {
        let pieces = self.pieces().into_iter();
        pieces.map(|piece| piece.inputs * piece.outputs).sum()
    }

    /// Numbers that a row's state has; none where nothing is remembered.
    #[must_use]
    pub fn state(&self) -> usize {
        match self.hidden.last() {
            Some(width) if self.recurrent => *width,
            _ => 0,
        }
    }

    /// The affine maps from input to output. A recurrent unit has two, of its input and of its state,
    /// each to three gates.
    fn pieces(&self) -> Vec<Piece> {
        let widths = self.widths();
        let unit = self.recurrent.then(|| self.hidden.len() - 1);
        let mut pieces = Vec::new();
        for (layer, pair) in widths.windows(2).enumerate() {
            let of_unit = Some(layer) == unit;
            let gates = if of_unit { GATES } else { 1 };
            let is_dense = layer < self.hidden.len() && !of_unit;
            pieces.push(Piece {
                inputs: pair[0],
                outputs: gates * pair[1],
                gates,
                activation: is_dense.then_some(self.activation),
            });
            if of_unit {
                pieces.push(Piece {
                    inputs: pair[1],
                    outputs: gates * pair[1],
                    gates,
                    activation: None,
                });
            }
        }
        pieces
    }

    /// Widths from input to output.
    pub(crate) fn widths(&self) -> Vec<usize> {
        let mut widths = vec![self.inputs];
        widths.extend(&self.hidden);
        widths.push(self.outputs);
        widths
    }
}

/// Gates of a recurrent unit: reset, update, candidate.
pub(crate) const GATES: usize = 3;

/// An affine map of a network.
struct Piece {
    inputs: usize,
    outputs: usize,
    gates: usize,
    activation: Option<Activation>,
}

/// Where one layer's parameters lie among the lines of a network.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Equal parts of the outputs, each of which begins with a line of its own.
    gates: usize,
    /// Lines that hold one row of outputs.
    pub(crate) lines: usize,
    pub(crate) weights: Range<usize>,
    pub(crate) biases: Range<usize>,
    pub(crate) activation: Option<Activation>,
}

impl Span {
    /// Parameters in `lines` as `[inputs × outputs]` and biases.
    pub(crate) fn read(&self, lines: &[Line]) -> (Vec<f32>, Vec<f32>) {
        let mut matrix = vec![0.0; self.inputs * self.outputs];
        for (k, row) in matrix.chunks_exact_mut(self.outputs).enumerate() {
            self.read_row(&lines[self.weights.clone()], k, self.inputs, row);
        }
        let mut biases = vec![0.0; self.outputs];
        self.read_row(&lines[self.biases.clone()], 0, 1, &mut biases);
        (matrix, biases)
    }

    /// Reads row `r` of panels of height `rows`, gate by gate.
    fn read_row(&self, panels: &[Line], r: usize, rows: usize, row: &mut [f32]) {
        let panels = panels.chunks_exact(panels.len() / self.gates);
        for (panels, row) in panels.zip(row.chunks_exact_mut(self.outputs / self.gates)) {
            unpack_row(panels, r, rows, row);
        }
    }

    /// The inverse of [`Self::read_row`].
    fn write_row(&self, level: Level, row: &[f32], r: usize, rows: usize, panels: &mut [Line]) {
        let panels = panels.chunks_exact_mut(panels.len() / self.gates);
        for (panels, row) in panels.zip(row.chunks_exact(self.outputs / self.gates)) {
            level.pack_row(row, r, rows, panels);
        }
    }

    /// The inverse of [`Self::read`].
    ///
    /// # Panics
    /// If lengths do not match.
    pub(crate) fn write(&self, level: Level, weights: &[f32], biases: &[f32], lines: &mut [Line]) {
        assert!(weights.len() == self.inputs * self.outputs && biases.len() == self.outputs);
        let panels = &mut lines[self.weights.clone()];
        for (k, row) in weights.chunks_exact(self.outputs).enumerate() {
            self.write_row(level, row, k, self.inputs, panels);
        }
        self.write_row(level, biases, 0, 1, &mut lines[self.biases.clone()]);
    }

    /// Outputs as the lanes of their lines count them: those of gates with what fills their lines.
    pub(crate) fn lanes(&self) -> usize {
        if self.gates == 1 {
            self.outputs
        } else {
            self.lines * LANES
        }
    }
}

/// A multi-layer perceptron.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    shape: MlpShape,
    level: Level,
    pub(crate) spans: Vec<Span>,
    pub(crate) parameters: Vec<Line>,
}

/// Buffers of [`Mlp::forward`], reused between calls.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    layers: Vec<Vec<Line>>,
    pub(crate) step: StepPanels,
}

impl Scratch {
    /// Makes room for `mlp`; networks that take turns do not make each other's again.
    fn fit(&mut self, mlp: &Mlp) {
        let above = mlp.spans.iter().map(|span| span.lines);
        let lines = std::iter::once(mlp.shape.inputs.div_ceil(LANES)).chain(above);
        self.layers
            .resize_with(self.layers.len().max(mlp.layers() + 1), Vec::new);
        for (layer, lines) in self.layers.iter_mut().zip(lines) {
            let room = layer.len().max(lines * FORWARD_ROWS);
            layer.resize(room, Line::ZERO);
        }
    }
}

/// Rows that inference takes through all layers at a time.
pub(crate) const FORWARD_ROWS: usize = 96;

impl Mlp {
    /// Orthogonal weights (gain √2, the head `head_gain`, each gate of a recurrent unit 1), zero
    /// biases.
    #[must_use]
    pub fn new(shape: MlpShape, rng: &mut impl Rng, head_gain: f32) -> Self {
        let mut mlp = Self::zeros(shape);
        let head = mlp.layers() - 1;
        for layer in 0..mlp.layers() {
            let span = &mlp.spans[layer];
            let (gates, inputs, outputs) = (span.gates, span.inputs, span.outputs);
            let gain = match span.activation {
                _ if layer == head => f64::from(head_gain),
                Some(_) => std::f64::consts::SQRT_2,
                None => 1.0,
            };
            let mut weights = vec![0.0; inputs * outputs];
            for gate in 0..gates {
                let of_gate = init::orthogonal(inputs, outputs / gates, gain, rng);
                let rows = weights.chunks_exact_mut(outputs);
                for (row, of_gate) in rows.zip(of_gate.chunks_exact(outputs / gates)) {
                    row[gate * of_gate.len()..(gate + 1) * of_gate.len()].copy_from_slice(of_gate);
                }
            }
            mlp.set_layer(layer, &weights, &vec![0.0; outputs]);
        }
        mlp
    }

    /// A network whose parameters are all zero.
    ///
    /// # Panics
    /// If a width is zero, or a recurrent unit is the only hidden layer.
    #[must_use]
    pub fn zeros(shape: MlpShape) -> Self {
        let widths = shape.widths();
        assert!(widths.iter().all(|w| *w > 0), "a layer has a width");
        assert!(
            !shape.recurrent || shape.hidden.len() > 1,
            "a recurrent unit stands on a dense layer"
        );
        let mut at = 0;
        let spans = shape.pieces().into_iter().map(|piece| {
            let lines = piece.gates * (piece.outputs / piece.gates).div_ceil(LANES);
            let weights = at..at + lines * piece.inputs;
            let biases = weights.end..weights.end + lines;
            at = biases.end;
            Span {
                inputs: piece.inputs,
                outputs: piece.outputs,
                gates: piece.gates,
                lines,
                weights,
                biases,
                activation: piece.activation,
            }
        });
        let spans: Vec<Span> = spans.collect();
        Self {
            shape,
            level: Level::best(),
            spans,
            parameters: vec![Line::ZERO; at],
        }
    }

    /// The shape.
    #[must_use]
    pub fn shape(&self) -> &MlpShape {
        &self.shape
    }

    /// Number of layers, the head included; a recurrent unit counts as two, of its input and of its
    /// state, each with the outputs of its reset, update and candidate gates side by side.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.spans.len()
    }

    /// The instruction set in use.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// The same network on another instruction set.
    #[must_use]
    pub fn with_level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Runs one layer on panels of height `rows`.
    pub(crate) fn run_layer(&self, layer: usize, x: &[Line], rows: usize, y: &mut [Line]) {
        let span = &self.spans[layer];
        self.level.affine(
            x,
            rows,
            [span.inputs, span.lanes()],
            &self.parameters[span.weights.clone()],
            &self.parameters[span.biases.clone()],
            span.activation,
            y,
        );
    }

    /// Runs `rows` rows of `x: [rows × inputs]` into `out: [rows × outputs]`, on this thread.
    /// What a row gives does not depend on the rows beside it.
    ///
    /// # Panics
    /// If lengths do not match, or the network remembers: then [`Mlp::step`] is asked.
    pub fn forward(&self, x: &[f32], rows: usize, scratch: &mut Scratch, out: &mut [f32]) {
        assert!(
            x.len() == rows * self.shape.inputs && out.len() == rows * self.shape.outputs,
            "rows of the network's width"
        );
        assert!(!self.shape.recurrent, "a state goes with every row");
        scratch.fit(self);
        let blocks = x
            .chunks(FORWARD_ROWS * self.shape.inputs)
            .zip(out.chunks_mut(FORWARD_ROWS * self.shape.outputs));
        for (x, out) in blocks {
            let rows = x.len() / self.shape.inputs;
            let height = self.level.height(rows);
            // Rows beyond the last hold what an earlier block left: finite, and read by nobody.
            for (row, x) in x.chunks_exact(self.shape.inputs).enumerate() {
                self.level.pack_row(x, row, height, &mut scratch.layers[0]);
            }
            self.run_layers(height, scratch);
            let last = &scratch.layers[self.layers()];
            for (row, out) in out.chunks_exact_mut(self.shape.outputs).enumerate() {
                unpack_row(last, row, height, out);
            }
        }
    }

    /// As [`Self::forward`], some of sixteen rows that lie in panels: number `c` of row `r` is lane
    /// `c % 16` of line `c / 16 · 16 + r`, in `x` and in `out`. Only `rows` are read and written.
    ///
    /// # Panics
    /// If lengths do not match, or the network remembers.
    pub fn forward_panels(
        &self,
        x: &[Line],
        rows: Range<usize>,
        scratch: &mut Scratch,
        out: &mut [Line],
    ) {
        let panels = |width: usize| width.div_ceil(LANES) * LANES;
        assert!(
            x.len() == panels(self.shape.inputs)
                && out.len() == panels(self.shape.outputs)
                && rows.end <= LANES,
            "sixteen rows of the network's width"
        );
        assert!(!self.shape.recurrent, "a state goes with every row");
        if rows.is_empty() {
            return;
        }
        scratch.fit(self);
        let (count, height) = (rows.len(), self.level.height(rows.len()));
        let inside = scratch.layers[0].chunks_exact_mut(height);
        for (inside, x) in inside.zip(x.chunks_exact(LANES)) {
            inside[..count].copy_from_slice(&x[rows.clone()]);
        }
        self.run_layers(height, scratch);
        let inside = scratch.layers[self.layers()].chunks_exact(height);
        for (inside, out) in inside.zip(out.chunks_exact_mut(LANES)) {
            out[rows.clone()].copy_from_slice(&inside[..count]);
        }
    }

    /// Takes panels of height `height` through all layers.
    fn run_layers(&self, height: usize, scratch: &mut Scratch) {
        for layer in 0..self.layers() {
            let (below, above) = scratch.layers.split_at_mut(layer + 1);
            self.run_layer(layer, &below[layer], height, &mut above[0]);
        }
    }

    /// Weights of `layer` as `[inputs × outputs]`, and its biases.
    #[must_use]
    pub fn layer(&self, layer: usize) -> (Vec<f32>, Vec<f32>) {
        self.spans[layer].read(&self.parameters)
    }

    /// Replaces weights `[inputs × outputs]` and biases of `layer`.
    ///
    /// # Panics
    /// If lengths do not match.
    pub fn set_layer(&mut self, layer: usize, weights: &[f32], biases: &[f32]) {
        self.spans[layer].write(self.level, weights, biases, &mut self.parameters);
    }

    /// Whether every parameter is a finite number.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.parameters
            .iter()
            .all(|line| line.0.iter().all(|v| v.is_finite()))
    }

    /// Adds tensors `PREFIX.N.weight` `[inputs × outputs]` and `PREFIX.N.bias` to `archive`.
    pub fn export(&self, prefix: &str, archive: &mut Archive) {
        for (layer, span) in self.spans.iter().enumerate() {
            let (weights, biases) = self.layer(layer);
            let shape = vec![span.inputs, span.outputs];
            archive.insert(format!("{prefix}.{layer}.weight"), shape, weights);
            archive.insert(format!("{prefix}.{layer}.bias"), vec![span.outputs], biases);
        }
    }

    /// Reads what [`Self::export`] wrote.
    ///
    /// # Errors
    /// [`NnError`] naming the first tensor that does not match `shape`.
    pub fn import(shape: MlpShape, prefix: &str, archive: &Archive) -> Result<Self, NnError> {
        let mut mlp = Self::zeros(shape);
        for layer in 0..mlp.layers() {
            let (inputs, outputs) = (mlp.spans[layer].inputs, mlp.spans[layer].outputs);
            let weights = archive.get(&format!("{prefix}.{layer}.weight"), &[inputs, outputs])?;
            let biases = archive.get(&format!("{prefix}.{layer}.bias"), &[outputs])?;
            mlp.set_layer(layer, weights, biases);
        }
        Ok(mlp)
    }
}
