//! What a team does, as an organization: inferred roles and goals, and how well they fit (TEMM).
//!
//! [`analyze`] takes the trajectories of a trained and of an untrained team under the same masks.
//! It clusters what agents did into roles and says in words on what evidence, clusters the states
//! they passed through into goals, measures how organized the behavior is against chance, and how
//! far it agrees with the organization that was asked for.
//!
//! Data flows `trajectories → histories → distances → clusters → roles, goals, fit → Analysis`.
//!
//! What is not here: playing episodes (marl), writing files (karma).

mod agreement;
mod analysis;
mod clustering;
mod distance;
mod error;
mod fit;
mod goals;
mod hierarchy;
mod histories;
mod inferred;
mod roles;

pub use agreement::{Alignment, adjusted_rand_index, purity};
pub use analysis::{Analysis, Figures, analyze};
pub use clustering::{Clustering, Condensed, Merge};
pub use distance::{dtw, dtw_distance, lcs_distance, lcs_length};
pub use error::AnalysisError;
pub use fit::{Fit, fit};
pub use goals::Goal;
pub use hierarchy::AbstractRole;
pub use roles::{Evidence, Role, RoleMember};
