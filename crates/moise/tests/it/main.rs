//! Organizations from their text to their masks and rewards.

#![expect(clippy::unwrap_used, reason = "tests")]

mod closure;
mod faults;
mod guides;
mod house;
mod lanes;
