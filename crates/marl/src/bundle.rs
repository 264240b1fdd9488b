//! Policies in files: `policy.safetensors` and `policy.json`.

use std::path::Path;

use karma_cluster::Scenario;

use crate::{Policy, error::Result};

/// Writes `policy.safetensors` and `policy.json` into `dir`. `organization` is the text of the
/// organisation file, empty without one; only its hash is kept.
///
/// # Errors
/// [`MarlError::File`](crate::MarlError::File).
pub fn save(
    _policy: &Policy,
    _scenario: &Scenario,
    _organization: &str,
    _dir: &Path,
) -> Result<()> {
    todo!("lands next")
}

/// Reads a policy for `scenario` and the organisation whose text is `organization`.
///
/// # Errors
/// [`MarlError::Mismatch`](crate::MarlError::Mismatch) with the first difference where the policy
/// was trained for something else; [`MarlError::Broken`](crate::MarlError::Broken) where a file is
/// damaged.
pub fn load(_dir: &Path, _scenario: &Scenario, _organization: &str) -> Result<Policy> {
    todo!("lands next")
}
