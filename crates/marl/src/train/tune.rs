//! Search for better settings: random draws, halved again and again while the budget of each grows.
//!
//! Successive halving (Jamieson and Talwalkar, 2016): all trials train for a small part of the
//! iterations, the better ones go on for a multiple of it, and so forth; the last ones train to the
//! end. A trial that goes on goes on exactly (its checkpoint), and so does a search that was stopped.
//! Trials share their seed, hence the games they train and are judged in. The score of a trial is its
//! best validation so far. What wins among many has had luck too: judge it anew, on other seeds.

mod space;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use karma_cluster::{Scenario, Watch, scenario::TrainSettings};
use karma_twin::Twin;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use space::{Range, Space, SpaceError};

use super::Trainer;
use crate::{Guides, MarlError, error::Result};

/// How a search is cut up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Settings drawn.
    pub trials: u32,
    /// Times that trials are compared; one is plain random search.
    pub rungs: u32,
    /// One in so many trials goes on after a rung, and its budget grows by so much.
    pub reduction: u32,
    /// Of the draws, and of every training.
    pub seed: u64,
}

impl Plan {
    /// Iterations that a trial has had after `rung`, of `all` in the last.
    #[must_use]
    pub fn budget(&self, rung: u32, all: u32) -> u32 {
        let left = self.rungs.saturating_sub(rung + 1);
        all.div_ceil(self.reduction.saturating_pow(left).max(1))
            .max(1)
    }
}

/// One of the settings tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Number, from 0.
    pub trial: u32,
    /// What was drawn.
    pub drawn: BTreeMap<String, Value>,
    /// Best validation after each rung that it reached; none where training gave numbers that are
    /// not finite.
    pub scores: Vec<Option<f64>>,
    /// Iterations trained.
    pub iterations: u32,
}

impl Trial {
    fn newest(&self) -> f64 {
        let score = self.scores.last().copied().flatten();
        score.unwrap_or(f64::NEG_INFINITY)
    }
}

/// What a search works on.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// The twin whose games are played.
    pub twin: &'a Twin,
    /// The scenario; its `train` is what draws change.
    pub scenario: &'a Scenario,
    /// Guides of the team.
    pub guides: &'a Guides,
    /// What is drawn.
    pub space: &'a Space,
    /// How often.
    pub plan: Plan,
}

impl Search<'_> {
    /// Settings of a trial.
    ///
    /// # Errors
    /// [`SpaceError`] where the space does not fit the settings.
    pub fn settings(
        &self,
        trial: u32,
    ) -> std::result::Result<(BTreeMap<String, Value>, TrainSettings), SpaceError> {
        let drawn = self.space.draw(self.plan.seed, trial);
        let mut settings = self.scenario.train;
        // Every rung is judged at least once.
        let first = self.plan.budget(0, settings.iterations);
        settings.checkpoint_every = settings.checkpoint_every.min(first);
        settings.stop = None;
        let settings = space::apply(&settings, &drawn)?;
        Ok((drawn, settings))
    }

    /// Trains trials in `dir`, several side by side on rayon's current pool; the best comes first.
    /// Continues what an earlier call of the same search left there.
    ///
    /// # Errors
    /// [`MarlError::Interrupted`] when `watch` asks to stop; all else that stops a training, except
    /// numbers that are not finite, which only end their trial.
    pub fn run(&self, watch: &dyn Watch, dir: &Path) -> Result<Vec<Trial>> {
        let all = self.scenario.train.iterations;
        let mut trials = Vec::new();
        for trial in 0..self.plan.trials {
            let (drawn, _) = self.settings(trial)?;
            trials.push(Trial {
                trial,
                drawn,
                scores: Vec::new(),
                iterations: 0,
            });
        }
        let mut going = trials.len();
        for rung in 0..self.plan.rungs {
            let budget = self.plan.budget(rung, all);
            let shared = Shared::new(watch, going as u64 * u64::from(budget));
            let part = format!("rung {} of {}", rung + 1, self.plan.rungs);
            trials[..going]
                .par_iter_mut()
                .with_max_len(1)
                .try_for_each(|trial| self.go_on(trial, budget, &shared.of(&part, budget), dir))?;
            // The better come first; of equals, the earlier draw.
            trials[..going].sort_by(|a, b| {
                let by_score = b.newest().total_cmp(&a.newest());
                by_score.then(a.trial.cmp(&b.trial))
            });
            going = going.div_ceil(self.plan.reduction.max(1) as usize);
        }
        Ok(trials)
    }

    /// Trains one trial up to `budget` iterations.
    fn go_on(&self, trial: &mut Trial, budget: u32, watch: &UpTo<'_>, dir: &Path) -> Result<()> {
        let (_, settings) = self.settings(trial.trial)?;
        let folder = folder(dir, trial.trial);
        let mut trainer = Trainer::new(
            self.twin,
            self.scenario,
            self.guides,
            &settings,
            self.plan.seed,
        );
        let (mut best, mut done) = (None, 0);
        let trained = trainer.run(
            watch,
            &mut |metrics| {
                watch.reach(u64::from(metrics.iteration) + 1);
                // What a longer rung has already trained does not count in a shorter one.
                if metrics.iteration < budget {
                    done = metrics.iteration + 1;
                    best = match (best, metrics.validation) {
                        (Some(best), Some(new)) => Some(f64::max(best, new)),
                        (best, new) => best.or(new),
                    };
                }
            },
            &folder,
        );
        match trained {
            Ok(_) => {}
            Err(MarlError::Interrupted(_)) if done >= budget => {}
            Err(MarlError::NotFinite { .. }) => best = None,
            Err(other) => return Err(other),
        }
        trial.scores.push(best);
        trial.iterations = done;
        Ok(())
    }
}

/// Folder of one trial.
fn folder(dir: &Path, trial: u32) -> PathBuf {
    dir.join(format!("trial-{trial:04}"))
}

/// Progress of all trials of a rung together.
struct Shared<'a> {
    watch: &'a dyn Watch,
    done: AtomicU64,
    total: u64,
}

impl<'a> Shared<'a> {
    fn new(watch: &'a dyn Watch, total: u64) -> Self {
        Self {
            watch,
            done: AtomicU64::new(0),
            total,
        }
    }

    fn of<'s>(&'s self, part: &'s str, budget: u32) -> UpTo<'s> {
        UpTo {
            shared: self,
            part,
            budget: u64::from(budget),
            done: AtomicU64::new(0),
        }
    }
}

/// Lets a training go as far as its budget: there it is asked to stop, and leaves a checkpoint.
struct UpTo<'s> {
    shared: &'s Shared<'s>,
    part: &'s str,
    budget: u64,
    done: AtomicU64,
}

impl UpTo<'_> {
    /// Counts iterations, those of an earlier rung or search included.
    fn reach(&self, done: u64) {
        let before = self.done.swap(done, Ordering::Relaxed);
        let fresh = done.min(self.budget).saturating_sub(before);
        self.shared.done.fetch_add(fresh, Ordering::Relaxed);
    }
}

impl Watch for UpTo<'_> {
    fn progress(&self, _: &str, _: u64, _: u64, note: &str) {
        let shared = self.shared;
        let done = shared.done.load(Ordering::Relaxed);
        shared.watch.progress(self.part, done, shared.total, note);
    }

    fn stopped(&self) -> bool {
        self.done.load(Ordering::Relaxed) >= self.budget || self.shared.watch.stopped()
    }
}
