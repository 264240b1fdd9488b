//! What can go wrong in an evaluation.

use std::path::PathBuf;

use karma_cluster::Interrupted;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, EvaluateError>;

/// Why an evaluation did not end.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// It was asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// A file could not be written or read.
    #[error("cannot access {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A table could not be written.
    #[error("{path}: {message}")]
    Table {
        /// The file.
        path: PathBuf,
        /// What the writer said.
        message: String,
    },
    /// A summary could not be read.
    #[error("{path} is not a summary of an evaluation")]
    Summary {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
}
