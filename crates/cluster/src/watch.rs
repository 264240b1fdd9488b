//! How long work reports progress and is asked to stop, without knowing who listens.

use crate::{
    cluster::{Cluster, ClusterError},
    observation::Observation,
};

/// Listens to long work.
pub trait Watch: Sync {
    /// `done` of `total` parts of `step` are finished; `note` is a short figure worth showing.
    fn progress(&self, step: &str, done: u64, total: u64, note: &str);

    /// Whether the work should stop at the next point from which it can be resumed.
    fn stopped(&self) -> bool;
}

/// A cluster whose episode ends early once its watch asks to stop: one episode may take minutes. What
/// it came to is of no use then; whoever plays it calls [`Self::finished`] first.
pub struct Watched<'a, C> {
    cluster: &'a mut C,
    watch: &'a dyn Watch,
    is_cut: bool,
}

impl<'a, C: Cluster> Watched<'a, C> {
    /// `cluster`, at the start of an episode.
    pub fn new(cluster: &'a mut C, watch: &'a dyn Watch) -> Self {
        Self {
            cluster,
            watch,
            is_cut: false,
        }
    }

    /// Whether the episode was played to its own end.
    ///
    /// # Errors
    /// [`Interrupted`] where it was not.
    pub fn finished(self) -> Result<(), Interrupted> {
        if self.is_cut {
            Err(Interrupted)
        } else {
            Ok(())
        }
    }
}

impl<C: Cluster> Cluster for Watched<'_, C> {
    fn observe(&mut self) -> Result<Observation, ClusterError> {
        self.cluster.observe()
    }

    fn scale(&mut self, service: usize, replicas: u32) -> Result<(), ClusterError> {
        self.cluster.scale(service, replicas)
    }

    fn advance(&mut self) -> bool {
        self.is_cut |= self.watch.stopped();
        !self.is_cut && self.cluster.advance()
    }
}

/// Listens to nothing and never stops.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Watch for Silent {
    fn progress(&self, _: &str, _: u64, _: u64, _: &str) {}

    fn stopped(&self) -> bool {
        false
    }
}

/// The work was asked to stop and did; what it wrote so far can be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        sync::atomic::{AtomicU32, Ordering},
    };

    use super::*;
    use crate::{emulator::Emulator, scenario};

    /// Asks to stop once it was asked so many times.
    struct Patient(AtomicU32);

    impl Watch for Patient {
        fn progress(&self, _: &str, _: u64, _: u64, _: &str) {}

        fn stopped(&self) -> bool {
            self.0
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                })
                .is_err()
        }
    }

    #[test]
    fn an_episode_is_cut_between_windows_and_says_so() {
        let text = scenario::template("smoke").unwrap();
        let scenario: crate::Scenario = crate::yaml::read(&text, Path::new("smoke")).unwrap();
        let windows = scenario.windows();
        for (patience, passed, whole) in [(3, 3, false), (windows, windows, true)] {
            let mut emulator = Emulator::new(&scenario, 1);
            let watch = Patient(patience.into());
            let mut watched = Watched::new(&mut emulator, &watch);
            while watched.advance() {}
            assert_eq!(watched.finished().is_ok(), whole);
            assert_eq!(emulator.record().windows.len() as u32, passed);
        }
    }
}
