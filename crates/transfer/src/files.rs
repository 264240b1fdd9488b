//! The files of the transfer phase.

use std::{
    io::{BufWriter, Write},
    path::Path,
};

use karma_cluster::files::replace;
use serde::Serialize;

use crate::{
    decision::Decision, demonstrate::Demonstration, error::TransferError, verdict::Verdict,
};

/// A row of `decisions.jsonl`: a decision, and the demonstration that it is from.
#[derive(Serialize)]
struct Row<'a> {
    demonstration: &'a str,
    #[serde(flatten)]
    decision: &'a Decision,
}

/// Writes `decisions.jsonl`: one row per window of every demonstration, in order.
///
/// # Errors
/// [`TransferError::Write`].
pub fn write_decisions(path: &Path, demonstrations: &[Demonstration]) -> Result<(), TransferError> {
    write(path, |out| {
        for demonstration in demonstrations {
            for decision in &demonstration.decisions {
                let row = Row {
                    demonstration: &demonstration.name,
                    decision,
                };
                serde_json::to_writer(&mut *out, &row)?;
                out.write_all(b"\n")?;
            }
        }
        Ok(())
    })
}

/// Writes `verdict.json`.
///
/// # Errors
/// [`TransferError::Write`].
pub fn write_verdict(path: &Path, verdict: &Verdict) -> Result<(), TransferError> {
    write(path, |out| {
        serde_json::to_writer_pretty(&mut *out, verdict)?;
        out.write_all(b"\n")
    })
}

fn write(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), TransferError> {
    replace(path, |file| {
        let mut out = BufWriter::new(file);
        content(&mut out)?;
        out.flush()
    })
    .map_err(|source| TransferError::Write {
        path: path.to_owned(),
        source,
    })
}
