//! Scenario files: what is shipped loads.

use std::path::{Path, PathBuf};

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../scenarios")
        .join(name)
}

#[test]
fn shipped_scenarios_load() {
    for name in ["smoke", "pipeline"] {
        let loaded = karma_cluster::scenario::load(&shipped(&format!("{name}.yaml")));
        assert!(loaded.is_ok(), "{}", loaded.unwrap_err());
    }
}
