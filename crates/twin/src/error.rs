//! Why a trace was refused or a twin could not be fitted, saved or loaded.

use std::path::PathBuf;

use karma_cluster::Interrupted;

/// Everything that can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
pub enum TwinError {
    /// A file could not be read or written.
    #[error("cannot access {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {reason}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A trace says something that the rules of the loader refuse.
    #[error("trace refused: {0}")]
    Trace(String),
    /// A twin cannot be fitted to this trace.
    #[error("cannot fit a twin: {0}")]
    Fit(String),
    /// A twin or snapshot belongs to another scenario.
    #[error("made for another scenario: {0}")]
    Mismatch(String),
    /// The watch asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// Results of this crate.
pub type Result<T, E = TwinError> = std::result::Result<T, E>;
