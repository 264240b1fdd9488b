//! Teams with planted roles, and teams without.

#![expect(clippy::unwrap_used, reason = "tests")]

mod analysis;
mod planted;
