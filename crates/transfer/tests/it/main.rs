//! Integration tests of the transfer crate: one binary, one file per subject.

mod check;
mod demonstrate;
mod fake;
mod guard;
mod run;
mod team;
mod verdict;
