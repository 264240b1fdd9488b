//! `karma hpa`: Kubernetes' autoscaler against recorded cases.

use std::path::Path;

use crate::{
    args::Output,
    status::{Failure, Outcome},
};

/// Evaluates the cases of the file at `path`.
pub(crate) fn hpa_replay(path: &Path, _output: Output) -> Outcome {
    Err(Failure::refused(format_args!(
        "{} cannot be replayed yet",
        path.display()
    )))
}
