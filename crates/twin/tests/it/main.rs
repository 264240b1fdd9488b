//! Tests of the twin through its public face.
#![expect(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stderr, reason = "measurements print")]

mod csv;
mod foreign;
mod games;
mod online_boutique;
mod parquet;
mod support;
mod twin;
