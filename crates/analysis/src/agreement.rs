//! Agreement of behavior with the organization that was asked for.

use std::collections::BTreeMap;

use karma_marl::Trajectories;
use serde::Serialize;

/// Whether the unmasked policy would do what its role allows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alignment {
    /// Share of agent-windows in which a guide fired where the unmasked policy's most likely action
    /// is allowed, in percent; absent where no guide ever fired.
    pub percent: Option<f64>,
    /// The same per agent.
    pub per_agent: Vec<Option<f64>>,
    /// The same over single services instead of whole actions.
    pub per_service_choice: Option<f64>,
    /// Agent-windows in which a guide fired.
    pub agent_windows: u64,
}

/// Measures the alignment of a team.
pub(crate) fn alignment(trajectories: &Trajectories) -> Alignment {
    let agents = trajectories.agents.len();
    let (mut fired, mut aligned) = (vec![0_u64; agents], vec![0_u64; agents]);
    let (mut heads, mut aligned_heads) = (0_u64, 0_u64);
    for window in trajectories.episodes.iter().flat_map(|e| &e.windows) {
        for (agent, step) in window.agents.iter().enumerate() {
            if !step.fired {
                continue;
            }
            let allowed = step
                .unmasked
                .iter()
                .zip(&step.masks)
                .filter(|(choice, mask)| (**mask >> **choice) & 1 == 1)
                .count();
            fired[agent] += 1;
            aligned[agent] += u64::from(allowed == step.unmasked.len());
            heads += step.unmasked.len() as u64;
            aligned_heads += allowed as u64;
        }
    }
    let all: u64 = fired.iter().sum();
    Alignment {
        percent: percent(aligned.iter().sum(), all),
        per_agent: aligned
            .iter()
            .zip(&fired)
            .map(|(a, f)| percent(*a, *f))
            .collect(),
        per_service_choice: percent(aligned_heads, heads),
        agent_windows: all,
    }
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
}

/// Choices made outside their mask. Always 0, or the masks are broken.
pub(crate) fn violations(trajectories: &Trajectories) -> u64 {
    trajectories
        .episodes
        .iter()
        .flat_map(|e| &e.windows)
        .flat_map(|w| &w.agents)
        .flat_map(|step| step.choices.iter().zip(&step.masks))
        .filter(|(choice, mask)| (**mask >> **choice) & 1 == 0)
        .count() as u64
}

/// How often each pair of a cluster and a class occurs.
fn contingency(clusters: &[usize], classes: &[usize]) -> BTreeMap<(usize, usize), u64> {
    assert_eq!(clusters.len(), classes.len());
    let mut counts = BTreeMap::new();
    for pair in clusters.iter().copied().zip(classes.iter().copied()) {
        *counts.entry(pair).or_insert(0) += 1;
    }
    counts
}

/// Share of items that belong to the majority class of their cluster; `None` without items.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn purity(clusters: &[usize], classes: &[usize]) -> Option<f64> {
    let mut majority: BTreeMap<usize, u64> = BTreeMap::new();
    for ((cluster, _), count) in contingency(clusters, classes) {
        let most = majority.entry(cluster).or_default();
        *most = (*most).max(count);
    }
    let sum: u64 = majority.values().sum();
    (!clusters.is_empty()).then(|| sum as f64 / clusters.len() as f64)
}

/// Agreement of two partitions beyond chance: 1 for equal ones, about 0 for unrelated ones.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn adjusted_rand_index(clusters: &[usize], classes: &[usize]) -> f64 {
    let pairs = |n: u64| (n * n.saturating_sub(1) / 2) as f64;
    let counts = contingency(clusters, classes);
    let (mut rows, mut columns) = (BTreeMap::new(), BTreeMap::new());
    for ((cluster, class), count) in &counts {
        *rows.entry(*cluster).or_insert(0) += count;
        *columns.entry(*class).or_insert(0) += count;
    }
    let together: f64 = counts.values().map(|n| pairs(*n)).sum();
    let in_rows: f64 = rows.values().map(|n| pairs(*n)).sum();
    let in_columns: f64 = columns.values().map(|n| pairs(*n)).sum();
    let all = pairs(clusters.len() as u64);
    if all == 0.0 {
        return 1.0;
    }
    let expected = in_rows * in_columns / all;
    let most = f64::midpoint(in_rows, in_columns);
    if most == expected {
        1.0
    } else {
        (together - expected) / (most - expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purity_counts_majorities_and_ari_corrects_for_chance() {
        let roles = [0, 0, 1, 1, 2, 2];
        assert_eq!(purity(&[0, 0, 1, 1, 2, 2], &roles), Some(1.0));
        assert_eq!(purity(&[0; 6], &roles), Some(1.0 / 3.0));
        assert_eq!(purity(&[], &[]), None);
        assert_eq!(adjusted_rand_index(&[5, 5, 3, 3, 9, 9], &roles), 1.0);
        assert_eq!(adjusted_rand_index(&[0; 6], &roles), 0.0);
        assert!(adjusted_rand_index(&[0, 1, 0, 1, 0, 1], &roles) < 0.0);
    }
}
