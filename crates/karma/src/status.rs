//! How a command ends: exit statuses, and failures with their hint.

use std::{error::Error, fmt, io, process::ExitCode};

use karma_cluster::Interrupted;
use karma_evaluate::EvaluateError;
use karma_marl::MarlError;
use karma_transfer::TransferError;
use karma_twin::TwinError;

/// Exit status of the process; a promise to scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// Done, or nothing was left to do.
    Done,
    /// Something failed: a gate, a comparison, a disk.
    Fault,
    /// What was given cannot be worked with; nothing was done.
    Refused,
    /// Stopped by Ctrl-C; the run can be resumed.
    Interrupted,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(match status {
            ExitStatus::Done => 0,
            ExitStatus::Fault => 1,
            ExitStatus::Refused => 2,
            ExitStatus::Interrupted => 130,
        })
    }
}

/// What a command returns: a status of its own choice, or a failure.
pub(crate) type Outcome<T = ExitStatus> = Result<T, Failure>;

/// Why a command ended early, how the process exits for it, and what may help.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Exit status.
    pub(crate) status: ExitStatus,
    /// The chain of errors, printed on one line.
    pub(crate) error: anyhow::Error,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        Self {
            status: if error.chain().any(is_interruption) {
                ExitStatus::Interrupted
            } else if error.chain().any(is_misplaced) {
                ExitStatus::Refused
            } else {
                ExitStatus::Fault
            },
            error,
            hint: None,
        }
    }
}

/// Whether `cause` says that work was asked to stop. The enums pass the word on transparently, so
/// that the chain shows them and not the [`Interrupted`] inside.
fn is_interruption(cause: &(dyn Error + 'static)) -> bool {
    cause.is::<Interrupted>()
        || matches!(cause.downcast_ref(), Some(TwinError::Interrupted(_)))
        || matches!(cause.downcast_ref(), Some(MarlError::Interrupted(_)))
        || matches!(cause.downcast_ref(), Some(TransferError::Interrupted(_)))
        || matches!(cause.downcast_ref(), Some(EvaluateError::Interrupted(_)))
}

/// Whether `cause` says that a file is not what its name promises: a directory where a file should be
/// or the other way round, or no text. The disk works; what was left on it cannot be worked with.
fn is_misplaced(cause: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{AlreadyExists, InvalidData, IsADirectory, NotADirectory};
    cause.downcast_ref().is_some_and(|error: &io::Error| {
        matches!(
            error.kind(),
            AlreadyExists | InvalidData | IsADirectory | NotADirectory
        )
    })
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {:#}", self.error)?;
        self.hint
            .as_ref()
            .map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
    }
}

impl Failure {
    /// Input that is refused, in one sentence without full stop.
    pub(crate) fn refused(message: impl fmt::Display) -> Self {
        Self {
            status: ExitStatus::Refused,
            error: anyhow::anyhow!("{message}"),
            hint: None,
        }
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Says for a failed result whose fault it is.
pub(crate) trait Blame<T> {
    /// The input's: exit status 2, unless the work was interrupted.
    fn refuse(self) -> Outcome<T>;
}

impl<T, E: Into<anyhow::Error>> Blame<T> for Result<T, E> {
    fn refuse(self) -> Outcome<T> {
        self.map_err(|error| {
            let mut failure = Failure::from(error);
            if failure.status == ExitStatus::Fault {
                failure.status = ExitStatus::Refused;
            }
            failure
        })
    }
}
