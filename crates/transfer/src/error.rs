//! What can go wrong in transfer, apart from the faults that it exists to survive.

use std::path::PathBuf;

use karma_cluster::Interrupted;

/// Why a part of transfer did not finish.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// It was asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// A file was not written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
