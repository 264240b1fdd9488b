//! What comes to games from outside: variants of every context, and arrivals.

use karma_cluster::{Scenario, ServiceMetrics, seed, workload};
use rayon::prelude::*;

use super::{Assault, CHUNK};
use crate::{dice::Dice, episode::Episode, model::Twin, neural::Model, physics::known};

/// Variants prepared per context.
const VARIANTS: u64 = 256;

/// The exogenous side of every game, prepared once.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) seed: u64,
    pub(super) services: usize,
    pub(super) windows: u32,
    pub(super) initial: Vec<u32>,
    /// Variants by context.
    pub(super) contexts: Vec<Vec<Episode>>,
    pub(super) members: Vec<u8>,
}

impl Pool {
    pub(super) fn new(twin: &Twin, scenario: &Scenario, games: usize, seed: u64) -> Self {
        let members = twin.members().max(1);
        // Games of one member lie side by side: they share a pass through its network.
        let block = (games / members).clamp(1, CHUNK);
        let contexts: Vec<Vec<Episode>> = scenario
            .in_every_context()
            .iter()
            .enumerate()
            .map(|(number, (_, context))| {
                (0..VARIANTS)
                    .into_par_iter()
                    .map(|variant| {
                        let number = ((number as u64) << 32) | variant;
                        let seed = seed::derive_seed(seed, "game variant", number);
                        Episode::new(&workload::training_variant(context, seed), seed)
                    })
                    .collect()
            })
            .collect();
        Self {
            seed,
            services: scenario.services.len(),
            windows: scenario.windows(),
            initial: scenario.initial_replicas(),
            contexts,
            members: (0..games)
                .map(|game| (game / block % members) as u8)
                .collect(),
        }
    }
}

/// Draws what the scrapes of one window will show of arrivals, those of an attacker's floods included
/// where there are `assaults`, one per service.
pub(crate) fn arrive(
    model: &Model,
    episode: &Episode,
    window: usize,
    (now, assaults): (&[ServiceMetrics], &[Assault]),
    dice: &mut Dice,
    inflow: &mut [f32],
) {
    let window_s = model.physics.plan.window_s;
    for (service, (inflow, mean)) in inflow.iter_mut().zip(episode.arrivals(window)).enumerate() {
        if mean.is_nan() {
            *inflow = f32::NAN;
            continue;
        }
        let mut mean = *mean;
        if let Some((clients, think_s)) = episode.closed {
            // Clients that wait for an answer ask less often.
            let latency_ms = now[service].latency_p50_ms;
            let wait_s = if latency_ms.is_nan() {
                0.0
            } else {
                latency_ms * 1e-3
            };
            mean = mean.min(clients / (think_s + wait_s).max(1e-3));
        }
        mean *= 1.0 + assaults.get(service).map_or(0.0, |a| a.flood);
        let mut z = [0.0];
        dice.normal(&mut z);
        let called: f32 = model.physics.plan.services[service]
            .callers
            .iter()
            .map(|link| known(now[link.service].in_rate_rps, 0.0) * link.probability)
            .sum();
        // Counts of a Poisson stream spread with the root of their mean.
        *inflow = (mean + (mean / window_s).sqrt() * z[0]).max(0.0) + called;
    }
}
