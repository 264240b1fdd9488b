//! One module per command.

mod assess;
mod bench;
mod check;
mod export;
mod hpa;
mod init;
mod run;
mod tune;

pub(crate) use assess::assess;
pub(crate) use bench::{bench_adversary, bench_emulator, bench_trace, bench_train};
pub(crate) use check::check;
pub(crate) use export::export;
pub(crate) use hpa::hpa_replay;
pub(crate) use init::init;
pub(crate) use run::{fit, run, step, train};
pub(crate) use tune::tune;
