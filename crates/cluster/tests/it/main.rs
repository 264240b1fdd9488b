//! Integration tests of the cluster crate: one binary, one file per subject.

mod emulator;
mod hpa;
mod refusals;
mod scenario;
mod traces;
mod workload;

use std::path::{Path, PathBuf};

/// A file of the workspace.
fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// Compares `got` with the golden file at `path` of the workspace; `UPDATE_GOLDEN=1` rewrites it.
#[expect(
    clippy::disallowed_methods,
    reason = "how a person asks for new golden files"
)]
fn assert_golden(path: &str, got: &str) {
    let file = workspace(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::write(&file, got).expect("the golden file can be written");
        return;
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    for (i, (expected, got)) in expected.lines().zip(got.lines()).enumerate() {
        assert_eq!(
            got,
            expected,
            "{path}:{}: run with UPDATE_GOLDEN=1 to accept",
            i + 1
        );
    }
    assert!(
        got == expected,
        "{path}: of another length; run with UPDATE_GOLDEN=1 to accept"
    );
}
