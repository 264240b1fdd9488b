//! Evaluates files of HPA cases.

use serde::Serialize;

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReplayReport {
    /// Cases evaluated.
    pub cases: usize,
    /// Cases per list, in the order of the format.
    pub lists: Vec<ListCount>,
    /// Every difference.
    pub differences: Vec<Difference>,
}

/// Cases of one list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListCount {
    /// Name of the list.
    pub list: String,
    /// Its cases.
    pub cases: usize,
}

/// One case whose outcome is not the expected one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The case.
    pub id: String,
    /// Expected, as in the file.
    pub expected: String,
    /// What this implementation gives.
    pub got: String,
}

/// Why a file of cases was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ReplayError {
    /// Path of the key, e.g. `reconcile[3].metrics[0].type`.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// Evaluates every case of a file of the format of Kubernetes' transcribed cases.
///
/// # Errors
/// The text is not of that format; unknown fields and values are refused.
pub fn replay(json: &str) -> Result<ReplayReport, ReplayError> {
    let _ = json;
    todo!()
}
