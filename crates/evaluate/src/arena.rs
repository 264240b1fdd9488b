//! Plays episodes: one controller, one cluster, one seed.

use std::sync::atomic::{AtomicU64, Ordering};

use karma_cluster::{
    ActionSpace, Cluster, Controller, Interrupted, Scenario, Watch, Watched,
    emulator::{Emulator, EpisodeRecord},
    seed::derive_seed,
};
use rayon::prelude::*;

use crate::{error::Result, measure::disturbance, summary::Span};

/// One context that everybody is played in.
pub(crate) struct Ground {
    pub(crate) name: String,
    pub(crate) scenario: Scenario,
    pub(crate) disturbance: Option<Span>,
}

impl Ground {
    /// Every context of `scenario`.
    pub(crate) fn of_every_context(scenario: &Scenario) -> Vec<Self> {
        scenario
            .in_every_context()
            .into_iter()
            .map(|(name, scenario)| Self {
                name,
                disturbance: disturbance(&scenario),
                scenario,
            })
            .collect()
    }
}

/// `count` seeds called `name`. 53 bits, so that every reader of JSON sees the same number.
pub(crate) fn seeds(seed: u64, name: &str, count: u32) -> Vec<u64> {
    (0..count)
        .map(|index| derive_seed(seed, name, u64::from(index)) >> 11)
        .collect()
}

/// Plays one episode on the emulator.
pub(crate) fn play(
    scenario: &Scenario,
    controller: &mut dyn Controller,
    seed: u64,
    watch: &dyn Watch,
) -> Result<EpisodeRecord> {
    let mut cluster = Emulator::new(scenario, seed);
    let mut watched = Watched::new(&mut cluster, watch);
    drive(&mut watched, scenario, controller, seed);
    watched.finished()?;
    Ok(cluster.record().clone())
}

/// Runs `controller` on `cluster` to the end of the episode: observe → decide → scale → advance.
///
/// Where the API server does not answer, nothing is decided and everything keeps its replicas; where
/// a write fails, that service keeps them, and the controller decides anew in the next window.
pub(crate) fn drive(
    cluster: &mut dyn Cluster,
    scenario: &Scenario,
    controller: &mut dyn Controller,
    seed: u64,
) {
    let bounds = ActionSpace::new(scenario);
    let mut current = scenario.initial_replicas();
    let mut desired = current.clone();
    controller.reset(scenario, derive_seed(seed, "controller", 0));
    loop {
        if let Ok(observation) = cluster.observe() {
            for (current, shown) in current.iter_mut().zip(&observation.services) {
                if shown.replicas_desired.is_finite() {
                    *current = shown.replicas_desired as u32;
                }
            }
            desired.copy_from_slice(&current);
            controller.decide(&observation, &mut desired);
            for (service, current) in current.iter_mut().enumerate() {
                let wanted = bounds.bound(service, i64::from(desired[service]));
                if wanted != *current && cluster.scale(service, wanted).is_ok() {
                    *current = wanted;
                }
            }
        }
        if !cluster.advance() {
            return;
        }
    }
}

/// Counts what is done of one step and passes it on.
pub(crate) struct Tally<'a> {
    pub(crate) watch: &'a dyn Watch,
    step: &'a str,
    total: u64,
    done: AtomicU64,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(watch: &'a dyn Watch, step: &'a str, total: u64) -> Self {
        watch.progress(step, 0, total, "");
        Self {
            watch,
            step,
            total,
            done: AtomicU64::new(0),
        }
    }

    /// `count` more are done.
    pub(crate) fn add(&self, count: u64) {
        let done = self.done.fetch_add(count, Ordering::Relaxed) + count;
        self.watch.progress(self.step, done, self.total, "");
    }

    /// Stops where it was asked to.
    pub(crate) fn check(&self) -> Result<()> {
        if self.watch.stopped() {
            return Err(Interrupted.into());
        }
        Ok(())
    }
}

/// Plays all jobs on all cores; the results are in the order of the jobs.
pub(crate) fn play_all<J: Sync, T: Send>(
    watch: &dyn Watch,
    step: &str,
    jobs: &[J],
    play: impl Fn(&J) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let tally = Tally::new(watch, step, jobs.len() as u64);
    jobs.par_iter()
        .with_max_len(1)
        .map(|job| {
            tally.check()?;
            let result = play(job)?;
            tally.add(1);
            Ok(result)
        })
        .collect()
}
