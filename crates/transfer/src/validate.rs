//! Success on validation episodes: the guarded team beside HPA as shipped.

use std::sync::atomic::{AtomicU64, Ordering};

use karma_cluster::{
    Cluster, Controller, Interrupted, Scenario, Watch, Watched, emulator::Emulator,
    hpa::HpaController, seed::derive_seed,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    decide::Mode,
    decider::Decider,
    decision::{Decision, Source},
    error::TransferError,
    guarded::Guarded,
    run::run_controller,
};

/// What the verdict reads of validation episodes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Episodes of each.
    pub episodes: u32,
    /// Share of legitimate requests that the guarded team's cluster answered in time.
    pub team_success: f64,
    /// The same of HPA as shipped.
    pub hpa_success: f64,
    /// Choices of the team that a mask forbids.
    pub masks_violated: u64,
    /// Share of windows in which the policy decided.
    pub policy_share: f64,
}

/// What one episode adds.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    arrived: u64,
    answered: u64,
    masks_violated: u64,
    windows: u64,
    of_policy: u64,
}

impl Sums {
    fn of(emulator: &Emulator) -> Self {
        let record = emulator.record();
        Self {
            arrived: record.arrived,
            answered: record.answered_in_timeout,
            ..Self::default()
        }
    }

    fn plus(self, other: &Self) -> Self {
        Self {
            arrived: self.arrived + other.arrived,
            answered: self.answered + other.answered,
            masks_violated: self.masks_violated + other.masks_violated,
            windows: self.windows + other.windows,
            of_policy: self.of_policy + other.of_policy,
        }
    }

    fn success(&self) -> f64 {
        self.answered as f64 / self.arrived.max(1) as f64
    }
}

/// Plays `evaluate.validation_seeds` episodes of every context with the guarded team and with HPA
/// as shipped, on the same arrivals, side by side. No seed is one of evaluation's.
///
/// # Errors
/// [`TransferError::Interrupted`] when `watch` says so.
pub fn validate<D: Decider>(
    scenario: &Scenario,
    decider: &(dyn Fn() -> D + Sync),
    seed: u64,
    watch: &dyn Watch,
) -> Result<Validation, TransferError> {
    let contexts = scenario.in_every_context();
    let seeds = scenario.evaluate.validation_seeds.max(1);
    let episodes: Vec<(&Scenario, u32)> = contexts
        .iter()
        .flat_map(|(_, context)| (0..seeds).map(move |index| (context, index)))
        .collect();
    let total = episodes.len() as u64;
    let done = AtomicU64::new(0);
    watch.progress("validate", 0, total, "");
    let played = episodes
        .par_iter()
        .map(|(context, index)| {
            if watch.stopped() {
                return Err(Interrupted);
            }
            let seed = derive_seed(seed, "validation", u64::from(*index));
            let pair = (
                play_team(context, seed, decider(), watch)?,
                play_hpa(context, seed, watch)?,
            );
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            watch.progress("validate", done, total, "");
            Ok(pair)
        })
        .collect::<Result<Vec<(Sums, Sums)>, Interrupted>>()?;
    let team = played
        .iter()
        .fold(Sums::default(), |sum, (t, _)| sum.plus(t));
    let hpa = played
        .iter()
        .fold(Sums::default(), |sum, (_, h)| sum.plus(h));
    Ok(Validation {
        episodes: total as u32,
        team_success: team.success(),
        hpa_success: hpa.success(),
        masks_violated: team.masks_violated,
        policy_share: team.of_policy as f64 / team.windows.max(1) as f64,
    })
}

fn play_team<D: Decider>(
    context: &Scenario,
    seed: u64,
    mut decider: D,
    watch: &dyn Watch,
) -> Result<Sums, Interrupted> {
    let mut cluster = Emulator::new(context, seed);
    decider.reset(context, seed);
    let mut guarded = Guarded::new(decider, context, Mode::Active);
    let mut watched = Watched::new(&mut cluster, watch);
    let decisions = run_controller(&mut watched, &mut guarded, &[]);
    watched.finished()?;
    let of_policy = |d: &&Decision| d.source == Source::Policy;
    Ok(Sums {
        masks_violated: guarded.decider().masks_violated(),
        windows: decisions.len() as u64,
        of_policy: decisions.iter().filter(of_policy).count() as u64,
        ..Sums::of(&cluster)
    })
}

/// HPA as shipped without a guard, as the baseline of evaluation is.
fn play_hpa(context: &Scenario, seed: u64, watch: &dyn Watch) -> Result<Sums, Interrupted> {
    let mut emulator = Emulator::new(context, seed);
    let mut cluster = Watched::new(&mut emulator, watch);
    let mut hpa = HpaController::as_shipped(context);
    loop {
        if let Ok(observation) = cluster.observe() {
            let current: Vec<u32> = observation
                .services
                .iter()
                .map(|metrics| metrics.replicas_desired as u32)
                .collect();
            let mut desired = current.clone();
            hpa.decide(&observation, &mut desired);
            for (service, (desired, current)) in desired.iter().zip(&current).enumerate() {
                if desired != current {
                    // A write that fails comes again with the next sync.
                    let _ = cluster.scale(service, *desired);
                }
            }
        }
        if !cluster.advance() {
            cluster.finished()?;
            return Ok(Sums::of(&emulator));
        }
    }
}
