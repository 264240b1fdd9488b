//! The command line from outside, and the structure of the workspace.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bench;
mod command;
mod damage;
mod device;
mod explosion;
mod export;
mod given;
mod help;
mod interrupt;
mod layering;
mod pipeline;
mod recorded;
mod refusals;
mod scenarios;
mod tidy;
mod tune;
mod workspace;
