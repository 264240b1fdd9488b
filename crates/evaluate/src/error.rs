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
    #[error("{path}: {source}")]
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
    #[error("{path}: not a summary of an evaluation: {source}")]
    Summary {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
}
