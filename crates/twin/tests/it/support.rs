//! What several tests need.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use karma_cluster::{Scenario, Silent};
use karma_twin::{Fidelity, FitSettings, Twin, record_traces, trace::Mapping};

/// The folder with the recorded data sets: `KARMA_SHARED`, else `shared` beside the workspace.
/// Prints `SKIPPED` and gives `None` where `below` is not there.
#[expect(
    clippy::disallowed_methods,
    reason = "where the shared data lies is told by the environment"
)]
pub(crate) fn shared(below: &str) -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root =
        std::env::var_os("KARMA_SHARED").map_or_else(|| workspace.join("../shared"), PathBuf::from);
    let path = root.join(below);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: {} is not there", path.display());
    None
}

/// The mapping that is shipped for Online Boutique.
pub(crate) fn online_boutique_mapping() -> Mapping {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings/k8s-mft-ob.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    karma_cluster::yaml::read(&text, &path).unwrap()
}

/// An empty folder of this test's own, below the build's folder for temporary files.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// The smallest shipped scenario.
pub(crate) fn smoke() -> Scenario {
    shipped("smoke.yaml")
}

/// A scenario of this repository.
pub(crate) fn shipped(name: &str) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../scenarios")
        .join(name);
    karma_cluster::scenario::load(&path).unwrap().scenario
}

/// Settings for tests that do not look at quality.
pub(crate) fn quick(scenario: &Scenario) -> FitSettings {
    FitSettings {
        epochs: 1,
        accuracy_seeds: 0,
        ..FitSettings::of(scenario)
    }
}

/// A twin of [`smoke`], fitted once.
pub(crate) fn fitted() -> (Twin, Fidelity) {
    static FITTED: OnceLock<(Twin, Fidelity)> = OnceLock::new();
    FITTED
        .get_or_init(|| {
            let scenario = smoke();
            let trace = record_traces(&scenario, 24, 1, &Silent).unwrap();
            let settings = FitSettings {
                epochs: 20,
                ..FitSettings::of(&scenario)
            };
            Twin::fit(&trace, &scenario, &settings, 1, &Silent).unwrap()
        })
        .clone()
}
