//! The network: shape, parameters, and inference.

use rand::Rng;

use crate::{NnError, kernel::Level, store::Archive};

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

/// A multi-layer perceptron.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    shape: MlpShape,
    level: Level,
}

/// Buffers of [`Mlp::forward`], reused between calls.
#[derive(Clone, Debug, Default)]
pub struct Scratch {}

impl Mlp {
    /// Orthogonal weights (gain √2, the head `head_gain`), zero biases.
    #[must_use]
    pub fn new(shape: MlpShape, rng: &mut impl Rng, head_gain: f32) -> Self {
        let _ = (rng.r#gen::<u64>(), head_gain);
        Self {
            shape,
            level: Level::best(),
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
        self.shape.hidden.len() + 1
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

    /// Runs `rows` rows of `x: [rows × inputs]` into `out: [rows × outputs]`, on this thread.
    /// What a row gives does not depend on the rows beside it.
    ///
    /// # Panics
    /// If lengths do not match.
    pub fn forward(&self, x: &[f32], rows: usize, scratch: &mut Scratch, out: &mut [f32]) {
        todo!("{x:?} {rows} {scratch:?} {out:?}")
    }

    /// Weights of `layer` as `[inputs × outputs]`, and its biases.
    #[must_use]
    pub fn layer(&self, layer: usize) -> (Vec<f32>, Vec<f32>) {
        todo!("{layer}")
    }

    /// Replaces weights `[inputs × outputs]` and biases of `layer`.
    ///
    /// # Panics
    /// If lengths do not match.
    pub fn set_layer(&mut self, layer: usize, weights: &[f32], biases: &[f32]) {
        todo!("{layer} {weights:?} {biases:?}")
    }

    /// Adds tensors `PREFIX.N.weight` `[inputs × outputs]` and `PREFIX.N.bias` to `archive`.
    pub fn export(&self, prefix: &str, archive: &mut Archive) {
        todo!("{prefix} {archive:?}")
    }

    /// Reads what [`Self::export`] wrote.
    ///
    /// # Errors
    /// [`NnError`] naming the first tensor that does not match `shape`.
    pub fn import(shape: MlpShape, prefix: &str, archive: &Archive) -> Result<Self, NnError> {
        todo!("{shape:?} {prefix} {archive:?}")
    }
}
