//! The digital twin: what a cluster will do next, learned from what it has shown.
//!
//! This crate owns recorded traces (the common long-row schema, Parquet, CSV by a mapping file),
//! the recording of traces on the emulator, transition models behind one trait, their fidelity, and
//! the stochastic game in which teams are trained.
//!
//! Data flows `emulator or files → Trace → Twin (+ Fidelity) → Games → policies`.
//!
//! What is not here: policies, rewards shaped by an organization, anything live.

pub mod error;
pub mod fidelity;
pub mod fit;
pub mod game;
pub mod model;
pub mod record;
pub mod rollout;
pub mod trace;

pub use error::TwinError;
pub use fidelity::Fidelity;
pub use fit::FitSettings;
pub use game::{Games, GamesSnapshot};
pub use model::Twin;
pub use record::record_traces;
pub use rollout::TwinCluster;
pub use trace::Trace;
