//! Organizational fit: how much closer histories are than chance would have it.

use karma_cluster::seed::{Stream, derive};
use rand::{Rng, seq::SliceRandom};
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    clustering::{Clustering, Condensed},
    distance::Positions,
};

/// Draws of each null.
const NULLS: u64 = 99;

/// Draws of the null in each half-sample.
const HALF_NULLS: u64 = 19;

/// Half-samples of the interval.
const HALVES: u64 = 40;

/// Fewest independent units for an interval.
const LEAST_UNITS: usize = 6;

/// A fit score: 0 for noise, 1 for perfect structure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// The score, clipped to [0, 1]; absent where chance itself leaves nothing to explain.
    pub score: Option<f64>,
    /// The same unclipped.
    pub raw: Option<f64>,
    /// 95 % interval by half-samples of whole episodes without replacement; absent for fewer than 6.
    pub interval: Option<[f64; 2]>,
    /// Share of chance draws at least as structured, the data counted as one of them.
    pub p_value: f64,
    /// The score against chance that keeps how tokens follow each other, which does not take mere
    /// persistence for structure; absent where that leaves nothing to explain.
    pub against_markov: Option<f64>,
    /// Whether the two scores differ by more than 0.1, so that part of the structure is persistence.
    pub persistent: bool,
    /// Clusters found.
    pub clusters: usize,
    /// Mean distance within clusters.
    pub within: f64,
    /// The same by chance.
    pub within_by_chance: f64,
}

/// Fit of token sequences over `alphabet`. `units[i]` says which independent unit (episode)
/// sequence i belongs to. Distances are LCS, clusters by average linkage and silhouette; chance
/// pools all tokens, deals them back, and goes through the same clustering.
///
/// # Panics
/// If there is not one unit per sequence, or a token is not below `alphabet`.
#[must_use]
pub fn fit(sequences: &[Vec<u16>], units: &[usize], alphabet: usize, seed: u64) -> Fit {
    assert_eq!(sequences.len(), units.len());
    let (within, clusters) = within(sequences, alphabet);
    let pooled = nulls(sequences, alphabet, seed, NULLS, deal);
    let chance = mean(&pooled);
    let transitions = Transitions::count(sequences, alphabet);
    let markov = nulls(sequences, alphabet, seed, NULLS, |s, rng| {
        transitions.draw(s, rng)
    });
    let score = |chance: f64| (chance > 0.0).then(|| 1.0 - within / chance);
    let (raw, against_markov) = (score(chance), score(mean(&markov)));
    let as_structured = pooled.iter().filter(|w| **w <= within).count();
    Fit {
        score: raw.map(|raw| raw.clamp(0.0, 1.0)),
        raw,
        interval: raw.and_then(|raw| interval(sequences, units, alphabet, seed, raw)),
        p_value: (1 + as_structured) as f64 / (NULLS + 1) as f64,
        against_markov,
        persistent: raw
            .zip(against_markov)
            .is_some_and(|(a, b)| (a - b).abs() > 0.1),
        clusters,
        within,
        within_by_chance: chance,
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Mean over the sequences of the mean distance to the others of the cluster (to all others for one
/// that is alone: singletons earn nothing), and the number of clusters.
fn within(sequences: &[Vec<u16>], alphabet: usize) -> (f64, usize) {
    let n = sequences.len();
    let distances = Condensed::by_rows(
        n,
        |i| Positions::new(&sequences[i], alphabet),
        |row, j| row.distance(&sequences[j]),
    );
    let clustering = Clustering::new(&distances);
    let labels = &clustering.labels;
    let overall = distances.mean();
    let mut total = 0.0;
    for i in 0..n {
        let others = (0..n).filter(|j| *j != i && labels[*j] == labels[i]);
        let (mut sum, mut count) = (0.0, 0);
        for j in others {
            sum += distances.get(i, j);
            count += 1;
        }
        total += if count == 0 {
            overall
        } else {
            sum / f64::from(count)
        };
    }
    (total / n.max(1) as f64, clustering.clusters)
}

/// Distances within clusters of sequences drawn by chance.
fn nulls(
    sequences: &[Vec<u16>],
    alphabet: usize,
    seed: u64,
    draws: u64,
    draw: impl Fn(&[Vec<u16>], &mut Stream) -> Vec<Vec<u16>> + Sync,
) -> Vec<f64> {
    (0..draws)
        .into_par_iter()
        .map(|index| {
            let mut rng = derive(seed, "fit.null", index);
            within(&draw(sequences, &mut rng), alphabet).0
        })
        .collect()
}

/// All tokens shuffled and dealt back with the lengths as they were.
fn deal(sequences: &[Vec<u16>], rng: &mut Stream) -> Vec<Vec<u16>> {
    let mut pool = sequences.concat();
    pool.shuffle(rng);
    let mut pool = pool.into_iter();
    sequences
        .iter()
        .map(|s| pool.by_ref().take(s.len()).collect())
        .collect()
}

/// How often each token follows each, over all sequences.
struct Transitions {
    alphabet: usize,
    /// Cumulative counts of the first tokens, then of the followers of each token.
    rows: Vec<Vec<u32>>,
}

impl Transitions {
    fn count(sequences: &[Vec<u16>], alphabet: usize) -> Self {
        let mut rows = vec![vec![0_u32; alphabet]; alphabet + 1];
        for sequence in sequences {
            let mut before = alphabet;
            for token in sequence {
                rows[before][usize::from(*token)] += 1;
                before = usize::from(*token);
            }
        }
        for row in &mut rows {
            let mut sum = 0;
            for count in row.iter_mut() {
                sum += *count;
                *count = sum;
            }
        }
        Self { alphabet, rows }
    }

    fn draw(&self, sequences: &[Vec<u16>], rng: &mut Stream) -> Vec<Vec<u16>> {
        sequences
            .iter()
            .map(|sequence| {
                let mut before = self.alphabet;
                (0..sequence.len())
                    .map(|_| {
                        let mut row = &self.rows[before];
                        if row.last() == Some(&0) {
                            // Only ever seen at an end: start again.
                            row = &self.rows[self.alphabet];
                        }
                        let total = row.last().copied().unwrap_or(1).max(1);
                        let at = rng.gen_range(0..total);
                        before = row.partition_point(|sum| *sum <= at);
                        before as u16
                    })
                    .collect()
            })
            .collect()
    }
}

/// The half-sample interval of the raw score: duplicates would look like structure, so halves are
/// drawn without replacement, and the score is taken minus how half-scores vary.
fn interval(
    sequences: &[Vec<u16>],
    units: &[usize],
    alphabet: usize,
    seed: u64,
    raw: f64,
) -> Option<[f64; 2]> {
    let mut distinct: Vec<usize> = units.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < LEAST_UNITS {
        return None;
    }
    let mut scores: Vec<f64> = (0..HALVES)
        .into_par_iter()
        .filter_map(|half| {
            let mut rng = derive(seed, "fit.half", half);
            let mut units_drawn = distinct.clone();
            units_drawn.shuffle(&mut rng);
            units_drawn.truncate(distinct.len() / 2);
            let drawn: Vec<Vec<u16>> = sequences
                .iter()
                .zip(units)
                .filter(|(_, unit)| units_drawn.contains(unit))
                .map(|(sequence, _)| sequence.clone())
                .collect();
            let mut chance = 0.0;
            for _ in 0..HALF_NULLS {
                chance += within(&deal(&drawn, &mut rng), alphabet).0 / HALF_NULLS as f64;
            }
            (chance > 0.0).then(|| 1.0 - within(&drawn, alphabet).0 / chance)
        })
        .collect();
    if scores.len() < 2 {
        return None;
    }
    scores.sort_by(f64::total_cmp);
    let center = mean(&scores);
    let quantile = |q: f64| {
        let at = q * (scores.len() - 1) as f64;
        let (low, high) = (at.floor() as usize, at.ceil() as usize);
        scores[low] + (scores[high] - scores[low]) * (at - at.floor())
    };
    Some([
        raw - (quantile(0.975) - center),
        raw - (quantile(0.025) - center),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thirty sequences of twelve tokens out of four.
    fn noise(seed: u64) -> Vec<Vec<u16>> {
        let mut rng = derive(seed, "noise", 0);
        (0..30)
            .map(|_| (0..12).map(|_| rng.gen_range(0..4)).collect())
            .collect()
    }

    fn units() -> Vec<usize> {
        (0..30).map(|i| i / 3).collect()
    }

    /// Three roles, a share of whose tokens is noise.
    fn planted(share: f64, seed: u64) -> Vec<Vec<u16>> {
        let mut rng = derive(seed, "planted", 0);
        let roles: Vec<Vec<u16>> = (0..3)
            .map(|_| (0..12).map(|_| rng.gen_range(0..4)).collect())
            .collect();
        (0..30)
            .map(|i| {
                let role = &roles[i % 3];
                role.iter()
                    .map(|t| {
                        if rng.gen_bool(share) {
                            rng.gen_range(0..4)
                        } else {
                            *t
                        }
                    })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn noise_scores_about_zero() {
        let raws: Vec<f64> = (0..12)
            .filter_map(|seed| fit(&noise(seed), &units(), 4, seed).raw)
            .collect();
        assert_eq!(raws.len(), 12);
        assert!(mean(&raws).abs() < 0.06, "{raws:?}");
    }

    #[test]
    fn planted_roles_score_one_and_less_with_noise() {
        let exact = fit(&planted(0.0, 1), &units(), 4, 1);
        assert_eq!((exact.raw, exact.clusters), (Some(1.0), 3));
        assert!(exact.p_value <= 0.01);
        let some: Vec<f64> = (0..6)
            .filter_map(|s| fit(&planted(0.2, s), &units(), 4, s).raw)
            .collect();
        let much: Vec<f64> = (0..6)
            .filter_map(|s| fit(&planted(0.5, s), &units(), 4, s).raw)
            .collect();
        assert!((0.3..0.6).contains(&mean(&some)), "{some:?}");
        assert!(mean(&much) < mean(&some) - 0.15, "{much:?}");
    }

    #[test]
    fn one_shared_role_is_perfect_and_constant_histories_are_degenerate() {
        let shared = vec![vec![0, 1, 2, 3, 3, 2, 1, 0, 1, 1, 2, 0]; 30];
        let found = fit(&shared, &units(), 4, 1);
        assert_eq!((found.raw, found.clusters), (Some(1.0), 1));
        assert_eq!(found.interval, Some([1.0, 1.0]));
        let constant = fit(&vec![vec![2; 12]; 30], &units(), 4, 1);
        assert_eq!(constant.score, None);
    }

    #[test]
    fn persistence_alone_is_told_from_structure() {
        let mut gaps = Vec::new();
        let mut markov = Vec::new();
        for seed in 0..24 {
            let mut rng = derive(seed, "sticky", 0);
            let sticky: Vec<Vec<u16>> = (0..30)
                .map(|_| {
                    let mut token = rng.gen_range(0..4);
                    (0..12)
                        .map(|_| {
                            if rng.gen_bool(0.2) {
                                token = rng.gen_range(0..4);
                            }
                            token
                        })
                        .collect()
                })
                .collect();
            let found = fit(&sticky, &units(), 4, seed);
            if let (Some(raw), Some(against)) = (found.raw, found.against_markov) {
                gaps.push(raw - against);
                markov.push(against);
            }
        }
        assert!(mean(&markov).abs() < 0.12, "{markov:?}");
        assert!(mean(&gaps) > 0.05, "{gaps:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_fit() {
        let sequences = planted(0.3, 2);
        assert_eq!(
            fit(&sequences, &units(), 4, 7),
            fit(&sequences, &units(), 4, 7)
        );
    }
}
