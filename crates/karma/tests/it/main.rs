//! The command line from outside, and the structure of the workspace.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod layering;
mod tidy;
mod workspace;
