//! Ctrl-C: the first asks the work to stop where it can be resumed, the second ends the process.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Whether Ctrl-C was pressed.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Starts listening.
pub(crate) fn listen() -> Result<()> {
    ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            #[expect(
                clippy::exit,
                reason = "the second Ctrl-C is for work that does not stop"
            )]
            std::process::exit(130);
        }
    })
    .context("cannot listen for Ctrl-C")
}
