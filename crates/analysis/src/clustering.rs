//! Average linkage on condensed distances, cut where the mean silhouette is best.

use kodama::{Method, linkage};
use rayon::prelude::*;
use serde::Serialize;

/// The best cut is taken for noise below this mean silhouette; everything is then one cluster.
pub(crate) const LEAST_SILHOUETTE: f64 = 0.1;

/// Most clusters that are tried.
const MOST_CLUSTERS: usize = 12;

/// Distances of all pairs i < j, row by row: (0,1), (0,2), …
#[derive(Clone, Debug, PartialEq)]
pub struct Condensed {
    n: usize,
    distances: Vec<f64>,
}

impl Condensed {
    /// Computes all distances, in parallel over rows.
    pub fn new(n: usize, distance: impl Fn(usize, usize) -> f64 + Sync) -> Self {
        let rows: Vec<Vec<f64>> = (0..n)
            .into_par_iter()
            .map(|i| (i + 1..n).map(|j| distance(i, j)).collect())
            .collect();
        Self {
            n,
            distances: rows.concat(),
        }
    }

    /// The same on one thread with one piece of preparation per row.
    pub(crate) fn by_rows<R>(
        n: usize,
        prepare: impl Fn(usize) -> R,
        distance: impl Fn(&R, usize) -> f64,
    ) -> Self {
        let mut distances = Vec::with_capacity(n * n.saturating_sub(1) / 2);
        for i in 0..n {
            let row = prepare(i);
            distances.extend((i + 1..n).map(|j| distance(&row, j)));
        }
        Self { n, distances }
    }

    /// Number of items.
    #[must_use]
    pub fn items(&self) -> usize {
        self.n
    }

    /// Distance of two items.
    ///
    /// # Panics
    /// If an item does not exist.
    #[must_use]
    pub fn get(&self, i: usize, j: usize) -> f64 {
        assert!(i < self.n && j < self.n);
        match i.cmp(&j) {
            std::cmp::Ordering::Less => self.distances[i * self.n - i * (i + 1) / 2 + j - i - 1],
            std::cmp::Ordering::Equal => 0.0,
            std::cmp::Ordering::Greater => self.get(j, i),
        }
    }

    /// Mean over all pairs; 0 without pairs.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.distances.is_empty() {
            return 0.0;
        }
        self.distances.iter().sum::<f64>() / self.distances.len() as f64
    }
}

/// One step of the dendrogram. Numbers below the number of items are items; number `items + k` is
/// what step k merged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Merge {
    /// One part.
    pub a: usize,
    /// The other part.
    pub b: usize,
    /// Mean distance between the parts.
    pub height: f64,
    /// Items in both.
    pub size: usize,
}

/// A dendrogram and its cut.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Clustering {
    /// Cluster of each item, numbered by first appearance.
    pub labels: Vec<usize>,
    /// Number of clusters.
    pub clusters: usize,
    /// Mean silhouette of the best cut, taken or not.
    pub silhouette: f64,
    /// The dendrogram, lowest merge first.
    pub merges: Vec<Merge>,
}

impl Clustering {
    /// Clusters by average linkage and cuts at the number of clusters with the best mean
    /// silhouette; one cluster if the best is below 0.1.
    #[must_use]
    pub fn new(distances: &Condensed) -> Self {
        let n = distances.n;
        if n < 2 {
            return Self {
                labels: vec![0; n],
                clusters: n,
                silhouette: 0.0,
                merges: Vec::new(),
            };
        }
        let mut scratch = distances.distances.clone();
        let dendrogram = linkage(&mut scratch, n, Method::Average);
        let merges: Vec<Merge> = dendrogram
            .steps()
            .iter()
            .map(|step| Merge {
                a: step.cluster1,
                b: step.cluster2,
                height: step.dissimilarity,
                size: step.size,
            })
            .collect();
        let mut best = (f64::NEG_INFINITY, 1);
        for clusters in 2..=MOST_CLUSTERS.min(n - 1) {
            let silhouette = mean_silhouette(distances, &cut(&merges, n, clusters), clusters);
            if silhouette > best.0 + 1e-12 {
                best = (silhouette, clusters);
            }
        }
        let (silhouette, mut clusters) = best;
        if silhouette < LEAST_SILHOUETTE {
            clusters = 1;
        }
        Self {
            labels: cut(&merges, n, clusters),
            clusters,
            silhouette: silhouette.max(-1.0),
            merges,
        }
    }
}

/// Clusters of the items after all but the last `clusters − 1` merges.
fn cut(merges: &[Merge], n: usize, clusters: usize) -> Vec<usize> {
    // Each item or merged part points to the part that swallowed it.
    let mut parent: Vec<usize> = (0..n + merges.len()).collect();
    for (step, merge) in merges.iter().take(n - clusters).enumerate() {
        parent[merge.a] = n + step;
        parent[merge.b] = n + step;
    }
    let mut numbers: Vec<usize> = Vec::new();
    (0..n)
        .map(|item| {
            let mut root = item;
            while parent[root] != root {
                root = parent[root];
            }
            let known = numbers.iter().position(|known| *known == root);
            known.unwrap_or_else(|| {
                numbers.push(root);
                numbers.len() - 1
            })
        })
        .collect()
}

/// Mean over the items of (b − a) / max(a, b): a is the mean distance to the own cluster, b that to
/// the nearest other one. Items alone in their cluster count 0.
pub(crate) fn mean_silhouette(distances: &Condensed, labels: &[usize], clusters: usize) -> f64 {
    let mut sizes = vec![0_usize; clusters];
    labels.iter().for_each(|label| sizes[*label] += 1);
    let mut total = 0.0;
    let mut sums = vec![0.0; clusters];
    for (i, own) in labels.iter().enumerate() {
        if sizes[*own] == 1 {
            continue;
        }
        sums.fill(0.0);
        for (j, label) in labels.iter().enumerate() {
            sums[*label] += distances.get(i, j);
        }
        let within = sums[*own] / (sizes[*own] - 1) as f64;
        let between = (0..clusters)
            .filter(|c| c != own)
            .map(|c| sums[c] / sizes[c] as f64)
            .fold(f64::INFINITY, f64::min);
        let larger = within.max(between);
        if larger > 0.0 {
            total += (between - within) / larger;
        }
    }
    total / labels.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_line(points: &[f64]) -> Condensed {
        Condensed::new(points.len(), |i, j| (points[i] - points[j]).abs())
    }

    #[test]
    fn two_obvious_groups_are_two_clusters() {
        let clustering = Clustering::new(&on_a_line(&[0.0, 0.1, 5.0, 5.1, 5.2]));
        assert_eq!(clustering.labels, [0, 0, 1, 1, 1]);
        assert!(clustering.silhouette > 0.9);
    }

    #[test]
    fn heights_are_those_computed_by_hand() {
        let merges = Clustering::new(&on_a_line(&[0.0, 1.0, 4.0])).merges;
        // First 0 and 1; then the mean of 4 − 0 and 4 − 1.
        assert_eq!(
            merges.iter().map(|m| m.height).collect::<Vec<_>>(),
            [1.0, 3.5]
        );
        assert_eq!(merges[1].size, 3);
    }

    #[test]
    fn equal_items_are_one_cluster() {
        let clustering = Clustering::new(&on_a_line(&[2.0; 6]));
        assert_eq!(clustering.clusters, 1);
        assert_eq!(Clustering::new(&on_a_line(&[])).clusters, 0);
        assert_eq!(Clustering::new(&on_a_line(&[1.0])).labels, [0]);
    }

    #[test]
    fn pairs_lie_where_they_are_looked_for() {
        let distances = Condensed::new(4, |i, j| (10 * i + j) as f64);
        assert_eq!(distances.get(1, 3), 13.0);
        assert_eq!(distances.get(3, 1), 13.0);
        assert_eq!(distances.get(2, 3), 23.0);
        assert_eq!(distances.get(2, 2), 0.0);
    }
}
