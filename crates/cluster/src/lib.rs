//! What a cluster is, and an emulated one.
//!
//! This crate owns the scenario file, the topology, the workload and its faults, the one vocabulary
//! of observations and actions, the [`Cluster`] and [`Controller`] traits, the embedded
//! request-level [`emulator`], and Kubernetes' [`hpa`] rule as a pure function.
//!
//! Data flows `scenario → emulator → observation → (a controller) → action → emulator`.
//!
//! What is not here: roles, tensors, learning, a Kubernetes client.

pub mod action;
pub mod cluster;
pub mod emulator;
pub mod files;
pub mod hpa;
pub mod observation;
pub mod reward;
pub mod scenario;
pub mod seed;
pub mod units;
pub mod watch;
pub mod workload;
pub mod yaml;

pub use action::{ALPHA, ActionSpace};
pub use cluster::{Cluster, ClusterError, Controller};
pub use observation::{Encoder, Observation, PodObservation, PodPhase, ServiceMetrics};
pub use scenario::Scenario;
pub use watch::{Interrupted, Silent, Watch, Watched};
