//! Training, teams and their files from outside.
#![expect(clippy::unwrap_used, reason = "tests")]

mod attackers;
mod bundles;
mod learning;
mod long_runs;
mod spread;
mod teams;
mod toys;
mod twins;

use std::path::{Path, PathBuf};

use karma_cluster::{Scenario, scenario};

/// A folder of its own, removed when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("karma-marl-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Runs `work` on a pool of so many threads.
pub(crate) fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(work)
}

/// The shipped pipeline without its organization file.
pub(crate) fn pipeline() -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/pipeline.yaml");
    scenario::load(&path).unwrap().scenario
}
