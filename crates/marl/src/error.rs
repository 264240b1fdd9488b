//! Faults of this crate.

use std::path::PathBuf;

use karma_cluster::Interrupted;

/// What can go wrong with policies, teams and their training.
#[derive(Debug, thiserror::Error)]
pub enum MarlError {
    /// A file cannot be read or written.
    #[error("cannot access {path}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is damaged or of another version.
    #[error("{path}: {reason}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A bundle or checkpoint was made for something else; the first difference.
    #[error("{path}: {what} is {found}, but the scenario has {expected}")]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What differs, e.g. `services`.
        what: String,
        /// In the file.
        found: String,
        /// In the scenario.
        expected: String,
    },
    /// The cluster failed while it was being played.
    #[error(transparent)]
    Cluster(#[from] karma_cluster::ClusterError),
    /// The twin refused a snapshot.
    #[error(transparent)]
    Twin(#[from] karma_twin::TwinError),
    /// Training produced a number that is not finite. The last good checkpoint is kept.
    #[error(
        "training stopped at iteration {iteration}, step {step}, agent {agent}: {term} is not finite"
    )]
    NotFinite {
        /// Iteration, from 0.
        iteration: u32,
        /// Step of the rollout, or minibatch of the update.
        step: usize,
        /// Agent, or `all`.
        agent: String,
        /// What was not finite.
        term: &'static str,
    },
    /// Networks cannot be computed where they were to be.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Device(#[from] crate::train::DeviceError),
    /// A search draws what training cannot have.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Space(#[from] crate::train::tune::SpaceError),
    /// Asked to stop; what was written can be resumed.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// Result of this crate.
pub type Result<T, E = MarlError> = std::result::Result<T, E>;

impl MarlError {
    pub(crate) fn file(path: &std::path::Path, source: std::io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn broken(path: &std::path::Path, reason: impl std::fmt::Display) -> Self {
        Self::Broken {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}
