//! Goals that a team pursues: states that its successful episodes pass through.

use karma_cluster::seed;
use karma_marl::Trajectories;
use linfa::{DatasetBase, prelude::*};
use linfa_clustering::{KMeans, KMeansInit};
use ndarray::Array2;
use rand_xoshiro::{Xoshiro256Plus, rand_core::SeedableRng};
use serde::Serialize;

use crate::{
    clustering::{Condensed, LEAST_SILHOUETTE},
    error::AnalysisError,
};

/// Numbers of clusters tried.
const CLUSTERS: std::ops::RangeInclusive<usize> = 2..=6;

/// Most states that are clustered, and most whose silhouettes are computed.
const MOST_STATES: usize = 4000;
const MOST_SILHOUETTES: usize = 240;

/// A state counts as a goal when at least this share of the successful episodes visits it.
const VISITED: f64 = 0.9;

/// A kind of state that the team passes through.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Goal {
    /// In words: labels that hold in it more than elsewhere.
    pub description: String,
    /// Share of successful episodes that visit it.
    pub visited_by_successful: f64,
    /// Share of the other episodes that visit it.
    pub visited_by_others: f64,
    /// Share of the windows of successful episodes spent in it.
    pub time_of_successful: f64,
    /// Share of the windows of the other episodes spent in it.
    pub time_of_others: f64,
    /// Mean team reward in it.
    pub reward: f64,
    /// Whether at least 90 % of the successful episodes visit it and stay in it at least as long as
    /// the others do.
    pub is_goal: bool,
    /// Labels that hold in it, with the share of its windows, the most telling first.
    pub labels: Vec<(String, f64)>,
}

/// States of a team, clustered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct States {
    /// State of each window of each episode.
    pub(crate) of_episode: Vec<Vec<u16>>,
    /// Number of states.
    pub(crate) count: usize,
    /// Mean silhouette of a sample.
    pub(crate) silhouette: f64,
}

/// Clusters all observations by K-means; the number of clusters has the best silhouette.
pub(crate) fn states(trajectories: &Trajectories, seed: u64) -> Result<States, AnalysisError> {
    let all: Vec<&[f32]> = trajectories
        .episodes
        .iter()
        .flat_map(|e| &e.windows)
        .map(|w| w.observation.as_slice())
        .collect();
    let stride = all.len().div_ceil(MOST_STATES).max(1);
    let sample: Vec<&[f32]> = all.iter().step_by(stride).copied().collect();
    let dataset = DatasetBase::from(matrix(&sample, trajectories.width));
    let mut best: Option<(f64, KMeans<f64, _>)> = None;
    for clusters in CLUSTERS.filter(|k| *k < distinct(&sample)) {
        let rng = Xoshiro256Plus::seed_from_u64(seed::derive_seed(seed, "states", clusters as u64));
        let model = KMeans::params_with_rng(clusters, rng)
            .init_method(KMeansInit::KMeansPlusPlus)
            .n_runs(3)
            .max_n_iterations(60)
            .tolerance(1e-3)
            .fit(&dataset)
            .map_err(|e| AnalysisError::States(e.to_string()))?;
        let silhouette = silhouette(&sample, model.predict(&dataset).as_slice().unwrap_or(&[]));
        if best.as_ref().is_none_or(|(s, _)| silhouette > s + 1e-9) {
            best = Some((silhouette, model));
        }
    }
    let assigned = match &best {
        Some((silhouette, model)) if *silhouette >= LEAST_SILHOUETTE => {
            let everything = DatasetBase::from(matrix(&all, trajectories.width));
            model.predict(&everything).to_vec()
        }
        _ => vec![0; all.len()],
    };
    let mut assigned = renumbered(&assigned).into_iter();
    let of_episode: Vec<Vec<u16>> = trajectories
        .episodes
        .iter()
        .map(|e| assigned.by_ref().take(e.windows.len()).collect())
        .collect();
    let count = of_episode
        .iter()
        .flatten()
        .max()
        .map_or(1, |m| usize::from(*m) + 1);
    Ok(States {
        of_episode,
        count,
        silhouette: best.map_or(0.0, |(s, _)| s),
    })
}

fn matrix(rows: &[&[f32]], width: usize) -> Array2<f64> {
    Array2::from_shape_fn((rows.len(), width), |(row, column)| {
        f64::from(rows[row][column])
    })
}

/// How many different rows there are, counted up to more than is asked for.
fn distinct(rows: &[&[f32]]) -> usize {
    let mut found: Vec<&[f32]> = Vec::new();
    for row in rows {
        if found.len() > 8 {
            break;
        }
        if !found.contains(row) {
            found.push(row);
        }
    }
    found.len()
}

/// Numbers clusters by first appearance, whatever K-means called them.
fn renumbered(assigned: &[usize]) -> Vec<u16> {
    let mut order: Vec<usize> = Vec::new();
    assigned
        .iter()
        .map(|cluster| {
            let known = order.iter().position(|c| c == cluster);
            known.unwrap_or_else(|| {
                order.push(*cluster);
                order.len() - 1
            }) as u16
        })
        .collect()
}

/// Mean silhouette of evenly spaced states.
fn silhouette(rows: &[&[f32]], assigned: &[usize]) -> f64 {
    let stride = rows.len().div_ceil(MOST_SILHOUETTES).max(1);
    let rows: Vec<&[f32]> = rows.iter().step_by(stride).copied().collect();
    let assigned: Vec<u16> = assigned.iter().step_by(stride).map(|c| *c as u16).collect();
    let distances = Condensed::new(rows.len(), |i, j| {
        let squares = rows[i].iter().zip(rows[j]).map(|(x, y)| (x - y) * (x - y));
        f64::from(squares.sum::<f32>()).sqrt()
    });
    let labels: Vec<usize> =
        renumbered(&assigned.iter().map(|c| usize::from(*c)).collect::<Vec<_>>())
            .into_iter()
            .map(usize::from)
            .collect();
    let clusters = labels.iter().max().map_or(1, |m| m + 1);
    if clusters < 2 {
        return 0.0;
    }
    crate::clustering::mean_silhouette(&distances, &labels, clusters)
}

/// Describes each state, the most visited by successful episodes first.
pub(crate) fn describe(
    trajectories: &Trajectories,
    states: &States,
    successful: &[bool],
) -> Vec<Goal> {
    let mut goals: Vec<Goal> = (0..states.count)
        .map(|state| goal(trajectories, states, state as u16, successful))
        .collect();
    goals.sort_by(|a, b| b.time_of_successful.total_cmp(&a.time_of_successful));
    goals
}

fn goal(trajectories: &Trajectories, states: &States, state: u16, successful: &[bool]) -> Goal {
    // Index 1 counts successful episodes, 0 the others.
    let (mut visits, mut episodes, mut time, mut windows) =
        ([0.0; 2], [0.0; 2], [0.0; 2], [0.0; 2]);
    let labels = trajectories.labels.len();
    let (mut inside, mut everywhere) = (vec![0.0; labels], vec![0.0; labels]);
    let mut reward = 0.0;
    for (index, episode) in trajectories.episodes.iter().enumerate() {
        let which = usize::from(successful[index]);
        let of_episode = &states.of_episode[index];
        let here = of_episode.iter().filter(|s| **s == state).count();
        episodes[which] += 1.0;
        visits[which] += if here > 0 { 1.0 } else { 0.0 };
        time[which] += here as f64;
        windows[which] += of_episode.len() as f64;
        for (window, s) in episode.windows.iter().zip(of_episode) {
            for (label, holds) in window.labels.iter().enumerate() {
                let holds = f64::from(u8::from(*holds));
                everywhere[label] += holds;
                inside[label] += if *s == state { holds } else { 0.0 };
            }
            reward += if *s == state {
                f64::from(window.reward)
            } else {
                0.0
            };
        }
    }
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let (here, total) = (time[0] + time[1], windows[0] + windows[1]);
    let mut telling: Vec<(usize, f64, f64)> = (0..labels)
        .map(|l| {
            let within = share(inside[l], here);
            let elsewhere = share(everywhere[l] - inside[l], total - here);
            (l, within, within - elsewhere)
        })
        .filter(|(_, within, difference)| *within >= 0.5 && *difference >= 0.2)
        .collect();
    telling.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
    telling.truncate(5);
    let named: Vec<(String, f64)> = telling
        .iter()
        .map(|(l, within, _)| (trajectories.labels[*l].clone(), *within))
        .collect();
    let words: Vec<&str> = named.iter().map(|(l, _)| l.as_str()).collect();
    let description = if words.is_empty() {
        format!(
            "the usual state ({:.0} % of windows)",
            100.0 * share(here, total)
        )
    } else {
        words.join(", ")
    };
    let (time_of_successful, time_of_others) =
        (share(time[1], windows[1]), share(time[0], windows[0]));
    let visited_by_successful = share(visits[1], episodes[1]);
    Goal {
        description,
        visited_by_successful,
        visited_by_others: share(visits[0], episodes[0]),
        time_of_successful,
        time_of_others,
        reward: share(reward, here),
        is_goal: visited_by_successful >= VISITED && time_of_successful >= time_of_others,
        labels: named,
    }
}
