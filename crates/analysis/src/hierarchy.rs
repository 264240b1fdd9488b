//! What roles have in common: inheritance from the dendrogram.
//!
//! A node's common sequence is the longest common sub-sequence of its children's, so a super-role's
//! is always a sub-sequence of its sub-roles': specialization adds, it never takes away.

use std::{cmp::Ordering, collections::BTreeMap};

use karma_marl::Trajectories;
use serde::Serialize;

use crate::{
    clustering::Clustering,
    histories::{ActionLabel, History, action_tokens},
    roles::Role,
};

/// Something that several roles have in common.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AbstractRole {
    /// Name.
    pub name: String,
    /// What it is, in words.
    pub summary: String,
    /// The abstract role above it.
    pub inherits: Option<String>,
    /// Mean distance between its two parts.
    pub height: f64,
    /// Share of a mean history that all of its histories have in common, in order.
    pub common_share: f64,
    /// Actions in what they have in common, with how often.
    pub common: Vec<(String, usize)>,
}

/// Adds to `roles` what their histories have in common and which abstract role they inherit from;
/// returns the abstract roles, the root first.
pub(crate) fn add(
    trajectories: &Trajectories,
    histories: &[History],
    clustering: &Clustering,
    roles: &mut [Role],
) -> Vec<AbstractRole> {
    let tokens = action_tokens(histories, trajectories.services.len());
    let words: Vec<String> = tokens
        .alphabet
        .iter()
        .map(|label| in_words(label, &trajectories.services))
        .collect();
    let nodes = Nodes::new(&tokens.sequences, clustering);
    let n = histories.len();
    // The last clusters − 1 merges join clusters; the nodes they join are roles or abstract roles.
    let first_abstract = nodes.common.len() - clustering.clusters.saturating_sub(1);
    let name = |node: usize| format!("common_{}", nodes.common.len() - node);
    for role in roles.iter_mut() {
        let Some(node) = nodes.of_cluster(clustering, role.cluster, first_abstract) else {
            continue;
        };
        role.inherits = nodes.parent[node].map(name);
        role.common_share = nodes.share(node);
        role.common = counted(&nodes.common[node], &words);
    }
    (first_abstract..nodes.common.len())
        .rev()
        .map(|node| {
            let common = counted(&nodes.common[node], &words);
            let share = nodes.share(node);
            AbstractRole {
                name: name(node),
                summary: format!(
                    "{:.0} % of a history in common: {}",
                    100.0 * share,
                    sentence(&common)
                ),
                inherits: nodes.parent[node].map(name),
                height: clustering.merges[node - n].height,
                common_share: share,
                common,
            }
        })
        .collect()
}

/// Items and merges of a dendrogram with their common sequences.
struct Nodes {
    common: Vec<Vec<u16>>,
    /// Summed lengths and number of the histories below each node.
    below: Vec<(usize, usize)>,
    parent: Vec<Option<usize>>,
}

impl Nodes {
    fn new(sequences: &[Vec<u16>], clustering: &Clustering) -> Self {
        let total = sequences.len() + clustering.merges.len();
        let mut nodes = Self {
            common: sequences.to_vec(),
            below: sequences.iter().map(|s| (s.len(), 1)).collect(),
            parent: vec![None; total],
        };
        for merge in &clustering.merges {
            let node = nodes.common.len();
            let shared = longest_common(&nodes.common[merge.a], &nodes.common[merge.b]);
            let (a, b) = (nodes.below[merge.a], nodes.below[merge.b]);
            nodes.common.push(shared);
            nodes.below.push((a.0 + b.0, a.1 + b.1));
            nodes.parent[merge.a] = Some(node);
            nodes.parent[merge.b] = Some(node);
        }
        nodes
    }

    fn share(&self, node: usize) -> f64 {
        let (lengths, histories) = self.below[node];
        if lengths == 0 {
            return 0.0;
        }
        (self.common[node].len() * histories) as f64 / lengths as f64
    }

    /// The highest node that holds a cluster and nothing else.
    fn of_cluster(
        &self,
        clustering: &Clustering,
        cluster: usize,
        first_abstract: usize,
    ) -> Option<usize> {
        let mut node = clustering.labels.iter().position(|l| *l == cluster)?;
        while let Some(parent) = self.parent[node].filter(|p| *p < first_abstract) {
            node = parent;
        }
        Some(node)
    }
}

/// A longest common sub-sequence; of several the one that takes the earliest tokens of `a`.
fn longest_common(a: &[u16], b: &[u16]) -> Vec<u16> {
    let columns = b.len() + 1;
    // Length of the longest common sub-sequence of what is left of both.
    let mut left = vec![0_u32; (a.len() + 1) * columns];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            left[i * columns + j] = if a[i] == b[j] {
                left[(i + 1) * columns + j + 1] + 1
            } else {
                left[(i + 1) * columns + j].max(left[i * columns + j + 1])
            };
        }
    }
    let (mut i, mut j, mut common) = (0, 0, Vec::new());
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            common.push(a[i]);
            i += 1;
            j += 1;
        } else if left[i * columns + j + 1] >= left[(i + 1) * columns + j] {
            j += 1;
        } else {
            i += 1;
        }
    }
    common
}

/// Actions with their counts, the most frequent first.
fn counted(sequence: &[u16], words: &[String]) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    for token in sequence {
        *counts.entry(*token).or_default() += 1;
    }
    let mut counts: Vec<(u16, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    counts
        .into_iter()
        .map(|(token, count)| (words[usize::from(token)].clone(), count))
        .collect()
}

fn sentence(common: &[(String, usize)]) -> String {
    let first: Vec<String> = common
        .iter()
        .take(4)
        .map(|(action, count)| format!("{action} ({count})"))
        .collect();
    if first.is_empty() {
        "nothing".to_owned()
    } else {
        first.join(", ")
    }
}

/// `raises a b, lowers c`, or `holds`.
fn in_words(label: &ActionLabel, services: &[String]) -> String {
    let named = |verb: &str, direction: Ordering| {
        let names: Vec<&str> = label
            .iter()
            .zip(services)
            .filter(|(o, _)| **o == direction)
            .map(|(_, name)| name.as_str())
            .collect();
        (!names.is_empty()).then(|| format!("{verb} {}", names.join(" ")))
    };
    let parts = [
        named("raises", Ordering::Greater),
        named("lowers", Ordering::Less),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        "holds".to_owned()
    } else {
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use karma_cluster::seed::derive;
    use rand::Rng;

    use super::*;
    use crate::{clustering::Condensed, distance::lcs_distance};

    fn is_sub_sequence(part: &[u16], whole: &[u16]) -> bool {
        let mut rest = whole.iter();
        part.iter().all(|token| rest.any(|t| t == token))
    }

    #[test]
    fn a_super_role_s_sequence_is_in_every_sub_role_s_and_in_every_member() {
        let mut rng = derive(1, "sequences", 0);
        let sequences: Vec<Vec<u16>> = (0..12)
            .map(|_| {
                (0..rng.gen_range(5..30))
                    .map(|_| rng.gen_range(0..3))
                    .collect()
            })
            .collect();
        let distances = Condensed::new(12, |i, j| lcs_distance(&sequences[i], &sequences[j], 3));
        let clustering = Clustering::new(&distances);
        let nodes = Nodes::new(&sequences, &clustering);
        for (node, parent) in nodes.parent.iter().enumerate() {
            let mut above = *parent;
            while let Some(up) = above {
                assert!(is_sub_sequence(&nodes.common[up], &nodes.common[node]));
                above = nodes.parent[up];
            }
        }
    }

    #[test]
    fn the_longest_common_sub_sequence_is_as_long_as_it_can_be() {
        assert_eq!(longest_common(&[0, 1, 2, 3], &[0, 2, 3, 1]), [0, 2, 3]);
        assert_eq!(longest_common(&[0, 1], &[2]), [] as [u16; 0]);
        let mut rng = derive(2, "sequences", 0);
        for _ in 0..50 {
            let mut draw = || -> Vec<u16> { (0..20).map(|_| rng.gen_range(0..3)).collect() };
            let (a, b) = (draw(), draw());
            let common = longest_common(&a, &b);
            assert!(is_sub_sequence(&common, &a) && is_sub_sequence(&common, &b));
            assert_eq!(common.len(), crate::distance::lcs_length(&a, &b, 3));
        }
    }
}
