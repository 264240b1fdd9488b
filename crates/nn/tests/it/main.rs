//! The network against slow, plain double precision, and against itself on other paths.
#![expect(clippy::unwrap_used, reason = "tests")]

mod autograd;
mod gradients;
mod heads;
mod paths;
mod plain;
mod recurrent;
mod storage;
