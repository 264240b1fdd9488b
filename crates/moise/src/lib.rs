//! Organizations as data: roles, groups, missions, norms and guides (MOISE+ and MOISE+MARL).
//!
//! [`RawOrganization`] is what a file says, [`Organization`] is the same checked and closed under
//! the axioms of MOISE+, [`Guides`] is what remains after compiling it against a [`Vocabulary`]:
//! flat code that turns an array of numbers into action masks and rewards, for one game or for many
//! side by side.
//!
//! Data flows `file → RawOrganization → Organization → (Vocabulary) → Guides → masks, rewards`.
//!
//! The crate knows names and types, never what they stand for: a vocabulary's *subjects* may be
//! services, rooms or players. Loading an organization executes nothing.

mod check;
mod closure;
mod code;
mod compile;
mod error;
mod guides;
mod organization;
mod raw;
mod vocabulary;

pub use closure::{Closure, ImpliedCompatibility, ImpliedLink};
pub use error::SpecFault;
pub use guides::{Guidance, Guides, State};
pub use organization::{Member, Organization};
pub use raw::{
    Cardinality, Compatibility, Condition, During, Goal, GoalKind, Group, Label, Link, LinkKind,
    Mission, MissionGoal, Norm, NormKind, Operator, Payout, Plan, Preference, RawOrganization,
    RewardSettings, Role, Rule, Scope, Then,
};
pub use vocabulary::{Action, Vocabulary};
