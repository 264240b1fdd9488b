//! Where the workspace lies and what is in it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    crates.parent().unwrap().to_owned()
}

/// Every tracked-looking file under `folder` of the workspace with one of the `endings`, sorted;
/// build outputs, runs and hidden folders left out.
pub(crate) fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" && name != "runs" {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What cargo prints.
fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// What `cargo metadata` says about this machine's build.
pub(crate) fn metadata() -> serde_json::Value {
    let version = cargo(&["version", "--verbose"]);
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let text = cargo(&["metadata", "--format-version=1", "--filter-platform", host]);
    serde_json::from_str(&text).unwrap()
}

/// Crates from outside that a build of `what` compiles, with their features.
pub(crate) fn outer_features(what: &[&str]) -> BTreeSet<(String, String)> {
    let tree = ["tree", "--prefix=none", "--no-dedupe", "--format={p}|{f}"];
    cargo(&[&tree, what].concat())
        .lines()
        .filter_map(|line| line.split_once('|'))
        .filter(|(package, _)| !package.starts_with("karma"))
        .map(|(package, features)| (package.to_owned(), features.to_owned()))
        .collect()
}
