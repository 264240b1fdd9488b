//! The one multi-layer perceptron of KARMA and its fused CPU engine.
//!
//! [`Mlp`] serves the twin's ensemble, every policy and every critic; its last hidden layer may be a
//! gated recurrent unit, which is then asked step by step and trained through time. Forward, backward and Adam are
//! register-tiled kernels chosen at run time ([`feature_level`]): AVX-512, AVX2 with FMA, or portable
//! code. Values live in [`kernel::Line`]s of 16 numbers, one cache line each: weights as panels
//! of 16 outputs, activations as panels of 16 columns, so that every inner loop reads whole lines.
//!
//! Results do not depend on the number of threads: a batch is cut into blocks of fixed size, blocks
//! are dealt to a fixed number of gradient slots, slots are summed in their order. They do depend on
//! the level, since wider paths round differently.
//!
//! `unsafe` is in [`kernel`] and nowhere else. Training ([`Learner`]) is behind feature `train`.

pub mod categorical;
mod error;
mod init;
pub mod kernel;
mod mlp;
mod recurrent;
pub mod store;

#[cfg(feature = "train")]
mod learner;

pub use categorical::Heads;
pub use error::NnError;
pub use kernel::Level;
#[cfg(feature = "train")]
pub use learner::{
    AdamStep, BLOCK_ROWS, Learner, NonFinite, Objective, SEQUENCES, SLOTS, Sequences, Unrolled,
};
pub use mlp::{Activation, Mlp, MlpShape, Scratch};

/// The widest kernels that this machine runs: `avx512`, `avx2` or `portable`.
#[must_use]
pub fn feature_level() -> &'static str {
    Level::best().name()
}
