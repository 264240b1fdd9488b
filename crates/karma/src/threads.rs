//! How many threads work.

use anyhow::Context;

use crate::status::Outcome;

/// Starts as many threads as were asked for, one per core where nothing was; once per process.
pub(crate) fn start(asked: Option<u16>) -> Outcome<()> {
    let mut threads = rayon::ThreadPoolBuilder::new();
    if let Some(count) = asked {
        threads = threads.num_threads(count.into());
    }
    Ok(threads.build_global().context("cannot start the threads")?)
}
