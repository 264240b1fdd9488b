//! Running a team on a live cluster, safely.
//!
//! Between any [`Decider`] and the cluster stands a [`Guard`]: it looks for faults of the window
//! ([`health`]), moves a state machine ([`decide`]: Fallback → Probation → Active, and Observe and
//! Paused), lets the HPA function decide wherever the policy may not ([`fallback`]), and writes
//! down every [`Decision`] with its reason. All of it is a pure function of what it is told:
//! [`Guarded`] adds the decider and makes a `Controller` of it, so that evaluation plays the team
//! exactly as it is deployed; [`run_controller`] is the loop against any `Cluster`.
//!
//! What must never happen is written down in [`check`] as invariants with names, and read there
//! from the decisions alone. [`demonstrate()`] breaks things on purpose, [`verdict`] says whether a
//! team may act at all.
//!
//! What is not here: roles, learning, a Kubernetes client.

pub mod check;
pub mod decide;
pub mod decider;
pub mod decision;
pub mod demonstrate;
pub mod error;
pub mod fallback;
pub mod files;
pub mod guard;
pub mod guarded;
pub mod health;
pub mod inject;
mod limits;
pub mod run;
pub mod validate;
pub mod verdict;

pub use check::{Invariant, Violation, violations};
pub use decide::{Mode, State};
pub use decider::{Decider, DeciderFault, Plain, TeamDecider};
pub use decision::{Decision, Fault, Reason, Refusal, Rule, Source};
pub use demonstrate::{Demonstration, demonstrate};
pub use error::TransferError;
pub use guard::{Guard, GuardSettings};
pub use guarded::Guarded;
pub use inject::{Injected, InjectedKind};
pub use run::run_controller;
pub use validate::{Validation, validate};
pub use verdict::{Verdict, VerdictInput, judge};
