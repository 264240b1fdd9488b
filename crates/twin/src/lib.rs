//! The digital twin: what a cluster will do next, learned from what it has shown.
//!
//! This crate owns recorded traces (the common long-row schema, Parquet, CSV by a mapping file),
//! the recording of traces on the emulator, transition models behind one trait, their fidelity, and
//! the stochastic game in which teams are trained.
//!
//! Data flows `emulator or files → Trace → Twin (+ Fidelity) → Games → policies`.
//!
//! What is not here: policies, rewards shaped by an organization, anything live.

mod baseline;
mod block;
mod calibrate;
mod data;
mod dice;
mod dynamics;
mod episode;
pub mod error;
mod explore;
mod features;
pub mod fidelity;
pub mod fit;
pub mod foreign;
pub mod game;
pub mod given;
mod lanes;
mod linear;
mod lookup;
mod math;
pub mod model;
mod neural;
mod noise;
pub mod parquet;
mod physics;
mod plan;
mod pods;
pub mod record;
pub mod rollout;
mod runs;
pub mod trace;
mod train;
mod walk;

pub use error::TwinError;
pub use fidelity::Fidelity;
pub use fit::FitSettings;
pub use game::{Assault, Games, GamesSnapshot};
pub use model::Twin;
pub use record::record_traces;
pub use rollout::TwinCluster;
pub use trace::Trace;
