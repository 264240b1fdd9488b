//! Games at rest: everything that changes, in a form that every format can hold.

use karma_cluster::ServiceMetrics;
use serde::{Deserialize, Serialize};

use super::{Games, State};
use crate::{
    dice::Dice,
    error::{Result, TwinError},
    pods::{AGES, Pods},
};

/// Everything that changes while [`Games`] are played. Floats are kept as their bits: NaN means not
/// measured and not every format has a word for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GamesSnapshot {
    seed: u64,
    services: usize,
    metrics: [Vec<u32>; 4],
    pods: Vec<u32>,
    desired: Vec<u32>,
    windows: Vec<u32>,
    contexts: Vec<u32>,
    variants: Vec<u32>,
    episodes: Vec<u32>,
    dice: Vec<u64>,
    ended: Vec<bool>,
}

/// Numbers of one [`Pods`].
const POD_NUMBERS: usize = 6 + AGES;

fn bits(metrics: &[ServiceMetrics]) -> Vec<u32> {
    metrics
        .iter()
        .flat_map(|m| m.to_array().map(f32::to_bits))
        .collect()
}

fn metrics(bits: &[u32]) -> Vec<ServiceMetrics> {
    bits.chunks_exact(ServiceMetrics::COUNT)
        .map(|bits| ServiceMetrics::from_array(std::array::from_fn(|i| f32::from_bits(bits[i]))))
        .collect()
}

fn pod_bits(pods: &Pods) -> [u32; POD_NUMBERS] {
    let six = [
        pods.ready,
        pods.unscheduled,
        pods.waiting,
        pods.back_off,
        pods.failing,
        pods.failing_given,
    ];
    std::array::from_fn(|i| {
        let number = if i < 6 { six[i] } else { pods.starting[i - 6] };
        number.to_bits()
    })
}

fn pods(bits: &[u32]) -> Vec<Pods> {
    bits.chunks_exact(POD_NUMBERS)
        .map(|bits| {
            let number = |i: usize| f32::from_bits(bits[i]);
            Pods {
                ready: number(0),
                unscheduled: number(1),
                waiting: number(2),
                back_off: number(3),
                failing: number(4),
                failing_given: number(5),
                starting: std::array::from_fn(|age| number(6 + age)),
            }
        })
        .collect()
}

impl Games {
    /// The state of all games.
    #[must_use]
    pub fn snapshot(&self) -> GamesSnapshot {
        let state = &self.state;
        GamesSnapshot {
            seed: self.pool.seed,
            services: self.pool.services,
            metrics: [&state.now, &state.before, &state.shown, &state.previous].map(|m| bits(m)),
            pods: state.pods.iter().flat_map(pod_bits).collect(),
            desired: state.desired.clone(),
            windows: state.windows.clone(),
            contexts: state.contexts.clone(),
            variants: state.variants.clone(),
            episodes: state.episodes.clone(),
            dice: state.dice.iter().map(|d| d.0).collect(),
            ended: state.ended.clone(),
        }
    }

    /// Continues exactly where `snapshot` was taken from games made by the same [`Self::new`].
    ///
    /// # Errors
    /// [`TwinError::Mismatch`] when the snapshot is of other games.
    pub fn restore(&mut self, snapshot: &GamesSnapshot) -> Result<()> {
        let (games, cells) = (self.games(), self.state.now.len());
        let pool = &self.pool;
        let playable =
            snapshot
                .contexts
                .iter()
                .zip(&snapshot.variants)
                .all(|(context, variant)| {
                    pool.contexts
                        .get(*context as usize)
                        .is_some_and(|variants| (*variant as usize) < variants.len())
                });
        let same = snapshot.seed == pool.seed
            && snapshot.services == pool.services
            && snapshot
                .metrics
                .iter()
                .all(|m| m.len() == cells * ServiceMetrics::COUNT)
            && snapshot.pods.len() == cells * POD_NUMBERS
            && snapshot.desired.len() == cells
            && [
                snapshot.windows.len(),
                snapshot.contexts.len(),
                snapshot.variants.len(),
                snapshot.episodes.len(),
                snapshot.dice.len(),
                snapshot.ended.len(),
            ]
            .iter()
            .all(|len| *len == games)
            && playable;
        if !same {
            return Err(TwinError::Mismatch(format!(
                "the snapshot is not of {games} games of these services and this seed"
            )));
        }
        let [now, before, shown, previous] = &snapshot.metrics;
        self.state = State {
            now: metrics(now),
            before: metrics(before),
            pods: pods(&snapshot.pods),
            shown: metrics(shown),
            previous: metrics(previous),
            desired: snapshot.desired.clone(),
            windows: snapshot.windows.clone(),
            contexts: snapshot.contexts.clone(),
            variants: snapshot.variants.clone(),
            episodes: snapshot.episodes.clone(),
            dice: snapshot.dice.iter().map(|d| Dice(*d)).collect(),
            ended: snapshot.ended.clone(),
        };
        Ok(())
    }
}
