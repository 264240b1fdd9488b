//! The network: shape, parameters, and inference.

use std::ops::Range;

use rand::Rng;

use crate::{
    NnError, init,
    kernel::{LANES, Level, Line, unpack_row},
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

/// Widths of a network. The head is linear.
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
}

impl MlpShape {
    /// Multiply-adds of one row forward, padding not counted.
    #[must_use]
    pub fn multiply_adds(&self) -> usize {
        let widths = self.widths();
        widths.windows(2).map(|w| w[0] * w[1]).sum()
    }

    /// Widths from input to output.
    pub(crate) fn widths(&self) -> Vec<usize> {
        let mut widths = vec![self.inputs];
        widths.extend(&self.hidden);
        widths.push(self.outputs);
        widths
    }
}

/// Where one layer's parameters lie among the lines of a network.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Lines that hold one row of outputs.
    pub(crate) lines: usize,
    pub(crate) weights: Range<usize>,
    pub(crate) biases: Range<usize>,
    pub(crate) activation: Option<Activation>,
}

impl Span {
    /// Parameters in `lines` as `[inputs × outputs]` and biases.
    pub(crate) fn read(&self, lines: &[Line]) -> (Vec<f32>, Vec<f32>) {
        let weights = &lines[self.weights.clone()];
        let mut matrix = vec![0.0; self.inputs * self.outputs];
        for (k, row) in matrix.chunks_exact_mut(self.outputs).enumerate() {
            unpack_row(weights, k, self.inputs, row);
        }
        let mut biases = vec![0.0; self.outputs];
        unpack_row(&lines[self.biases.clone()], 0, 1, &mut biases);
        (matrix, biases)
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
}

/// Rows that inference takes through all layers at a time.
const FORWARD_ROWS: usize = 96;

impl Mlp {
    /// Orthogonal weights (gain √2, the head `head_gain`), zero biases.
    #[must_use]
    pub fn new(shape: MlpShape, rng: &mut impl Rng, head_gain: f32) -> Self {
        let mut mlp = Self::zeros(shape);
        for layer in 0..mlp.layers() {
            let span = &mlp.spans[layer];
            let gain = if span.activation.is_none() {
                f64::from(head_gain)
            } else {
                std::f64::consts::SQRT_2
            };
            let weights = init::orthogonal(span.inputs, span.outputs, gain, rng);
            let biases = vec![0.0; span.outputs];
            mlp.set_layer(layer, &weights, &biases);
        }
        mlp
    }

    /// A network whose parameters are all zero.
    ///
    /// # Panics
    /// If a width is zero.
    #[must_use]
    pub fn zeros(shape: MlpShape) -> Self {
        let widths = shape.widths();
        assert!(widths.iter().all(|w| *w > 0), "a layer has a width");
        let mut at = 0;
        let spans: Vec<Span> = widths
            .windows(2)
            .enumerate()
            .map(|(layer, pair)| {
                let (inputs, outputs) = (pair[0], pair[1]);
                let lines = outputs.div_ceil(LANES);
                let weights = at..at + lines * inputs;
                let biases = weights.end..weights.end + lines;
                at = biases.end;
                Span {
                    inputs,
                    outputs,
                    lines,
                    weights,
                    biases,
                    activation: (layer < shape.hidden.len()).then_some(shape.activation),
                }
            })
            .collect();
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

    /// Number of layers, the head included.
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
            span.inputs,
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
    /// If lengths do not match.
    pub fn forward(&self, x: &[f32], rows: usize, scratch: &mut Scratch, out: &mut [f32]) {
        assert!(
            x.len() == rows * self.shape.inputs && out.len() == rows * self.shape.outputs,
            "rows of the network's width"
        );
        let widths = self.shape.widths();
        scratch.layers.resize(widths.len(), Vec::new());
        for (layer, width) in scratch.layers.iter_mut().zip(&widths) {
            layer.resize(width.div_ceil(LANES) * FORWARD_ROWS, Line::ZERO);
        }
        let blocks = x
            .chunks(FORWARD_ROWS * self.shape.inputs)
            .zip(out.chunks_mut(FORWARD_ROWS * self.shape.outputs));
        for (x, out) in blocks {
            let rows = x.len() / self.shape.inputs;
            let height = rows.next_multiple_of(self.level.tile_rows());
            // Rows beyond the last hold what an earlier block left: finite, and read by nobody.
            for (row, x) in x.chunks_exact(self.shape.inputs).enumerate() {
                self.level.pack_row(x, row, height, &mut scratch.layers[0]);
            }
            for layer in 0..self.layers() {
                let (below, above) = scratch.layers.split_at_mut(layer + 1);
                self.run_layer(layer, &below[layer], height, &mut above[0]);
            }
            let last = &scratch.layers[self.layers()];
            for (row, out) in out.chunks_exact_mut(self.shape.outputs).enumerate() {
                unpack_row(last, row, height, out);
            }
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
        let span = &self.spans[layer];
        assert!(weights.len() == span.inputs * span.outputs && biases.len() == span.outputs);
        for (k, row) in weights.chunks_exact(span.outputs).enumerate() {
            let lines = &mut self.parameters[span.weights.clone()];
            self.level.pack_row(row, k, span.inputs, lines);
        }
        let lines = &mut self.parameters[span.biases.clone()];
        self.level.pack_row(biases, 0, 1, lines);
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
