//! Where words go: data to standard output, everything else to standard error.

use std::{
    fmt,
    io::{self, Write},
};

use anyhow::{Context, Result};

/// Whether a reader of standard output went away (`karma … | head`), which ends the work in peace.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// Prints one block of data, ended by a line feed.
pub(crate) fn data(text: impl fmt::Display) -> Result<()> {
    let mut out = io::stdout().lock();
    let text = text.to_string();
    let text = text.strip_suffix('\n').unwrap_or(&text);
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}

/// Prints one JSON row of data.
pub(crate) fn row(row: &impl serde::Serialize) -> Result<()> {
    data(serde_json::to_string(row)?)
}

/// Says something to the person watching. Nobody may be there, so a failure is no fault.
pub(crate) fn say(text: impl fmt::Display) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}
