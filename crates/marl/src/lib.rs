//! Teams of agents: their guides, their policies, and how they are trained.
//!
//! An observation goes `Encoder → Policy → masked heads → choices → ActionSpace`; [`team::Team`]
//! walks it for a controller, `train::Trainer` (feature `train`) for thousands of games at once.
//! [`bundle`] is how a trained policy is kept, [`onnx`] how it leaves the house, [`record()`] how its
//! behavior is written down.
//!
//! What is not here: transition models (twin), guards and fallback (transfer), statistics.

pub mod bundle;
pub mod error;
pub mod ground;
pub mod onnx;
pub mod policy;
pub mod record;
pub mod team;
#[cfg(feature = "train")]
pub mod train;

pub use error::MarlError;
pub use ground::Guides;
pub use policy::Policy;
pub use record::{Trajectories, record};
pub use team::{Team, TeamDecision};
