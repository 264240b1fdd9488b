//! `report.html`: one self-contained page that works offline, from the files of a run directory.

use anyhow::Result;
use serde_json::Value;

/// What the page shows: the files of a run directory as they are. A phase that has not run has
/// `None` (or an empty list) and is shown as 'not run'.
#[derive(Clone, Debug, Default)]
pub struct ReportInput {
    /// Name of the scenario.
    pub scenario: String,
    /// `manifest.json`.
    pub manifest: Option<Value>,
    /// `timing.json`.
    pub timing: Option<Value>,
    /// `model/fidelity.json`.
    pub fidelity: Option<Value>,
    /// Lines of `train/metrics.jsonl`.
    pub metrics: Vec<Value>,
    /// `analyze/roles.json`.
    pub roles: Option<Value>,
    /// `transfer/verdict.json`.
    pub verdict: Option<Value>,
    /// Lines of `transfer/decisions.jsonl`.
    pub decisions: Vec<Value>,
    /// `evaluate/summary.json`.
    pub summary: Option<Value>,
}

/// Renders the page.
///
/// # Errors
/// If a file has not the form that its phase writes.
pub fn render(input: &ReportInput) -> Result<String> {
    let _ = input;
    todo!()
}
