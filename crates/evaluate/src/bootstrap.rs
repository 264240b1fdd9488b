//! Intervals of means over a handful of seeds.

use karma_cluster::seed::derive;
use rand::Rng;

use crate::summary::Estimate;

/// Resamples behind every interval.
pub(crate) const RESAMPLES: usize = 10_000;

/// Two-sided 97.5 % quantiles of Student's t for 1, 2, … degrees of freedom.
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

/// Resamples of `n` paired seeds: every metric and every difference of a context is resampled with
/// the same picks.
///
/// The interval is Hesterberg's expanded percentile interval ("What Teachers Should Know about the
/// Bootstrap", 2015, §4.2): a plain percentile interval of five values is far too narrow (it covers
/// about 82 % instead of 95 %), so that its tails are taken where Student's t would put them.
pub(crate) struct Bootstrap {
    n: usize,
    /// `RESAMPLES × n` indices.
    picks: Vec<u32>,
    /// Resamples cut off at each end.
    tail: usize,
}

impl Bootstrap {
    /// Draws the resamples.
    pub(crate) fn new(seed: u64, n: usize) -> Self {
        let mut stream = derive(seed, "evaluate bootstrap", n as u64);
        let picks = if n < 2 {
            Vec::new()
        } else {
            (0..RESAMPLES * n)
                .map(|_| stream.gen_range(0..n as u32))
                .collect()
        };
        Self {
            n,
            picks,
            tail: (tail_probability(n) * RESAMPLES as f64).floor() as usize,
        }
    }

    /// Mean and interval of `values`, one per seed. A single value has no interval, none no estimate.
    pub(crate) fn estimate(&self, values: &[f64]) -> Option<Estimate> {
        assert_eq!(values.len(), self.n, "one value per seed");
        if values.is_empty() {
            return None;
        }
        let count = self.n as f64;
        let mean = values.iter().sum::<f64>() / count;
        if self.n < 2 {
            return Some(Estimate {
                mean,
                low: None,
                high: None,
            });
        }
        let mut means: Vec<f64> = self
            .picks
            .chunks_exact(self.n)
            .map(|picks| picks.iter().map(|i| values[*i as usize]).sum::<f64>() / count)
            .collect();
        let mut rank = |index| *means.select_nth_unstable_by(index, f64::total_cmp).1;
        Some(Estimate {
            mean,
            low: Some(rank(self.tail)),
            high: Some(rank(RESAMPLES - 1 - self.tail)),
        })
    }
}

/// Mean and 95 % interval of `values`, one per seed of an experiment; none of no values. `seed` draws
/// the resamples.
#[must_use]
pub fn estimate(values: &[f64], seed: u64) -> Option<Estimate> {
    Bootstrap::new(seed, values.len()).estimate(values)
}

/// Share of the resamples beyond each end: Φ(−√(n/(n−1)) · t).
fn tail_probability(n: usize) -> f64 {
    if n < 2 {
        return 0.0;
    }
    let t = STUDENT.get(n - 2).copied().unwrap_or(1.96);
    let n = n as f64;
    lower_tail((n / (n - 1.0)).sqrt() * t)
}

/// P(Z < −z) of a standard normal, z ≥ 0 (Abramowitz and Stegun 26.2.17, error below 1e-7).
fn lower_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let polynomial = t
        * (0.319_381_530
            + t * (-0.356_563_782
                + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    polynomial * (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt()
}

#[cfg(test)]
mod tests {
    use karma_cluster::seed::Stream;

    use super::*;

    /// A standard normal by the sum of twelve uniforms.
    fn normal(stream: &mut Stream) -> f64 {
        (0..12).map(|_| stream.r#gen::<f64>()).sum::<f64>() - 6.0
    }

    #[test]
    fn intervals_cover_the_true_mean_about_as_often_as_they_say() {
        for n in [5, 10] {
            let bootstrap = Bootstrap::new(1, n);
            let mut stream = derive(2, "coverage", n as u64);
            let trials = 600;
            let covered = (0..trials)
                .filter(|_| {
                    let values: Vec<f64> = (0..n).map(|_| normal(&mut stream)).collect();
                    bootstrap.estimate(&values).is_some_and(|e| {
                        e.low.is_some_and(|low| low <= 0.0)
                            && e.high.is_some_and(|high| high >= 0.0)
                    })
                })
                .count();
            let share = covered as f64 / f64::from(trials);
            assert!((0.90..=0.98).contains(&share), "{n} seeds cover {share}");
        }
    }

    #[test]
    fn equal_values_have_an_interval_of_no_width() {
        let estimate = Bootstrap::new(1, 5).estimate(&[2.0; 5]);
        assert_eq!(
            estimate,
            Some(Estimate {
                mean: 2.0,
                low: Some(2.0),
                high: Some(2.0)
            })
        );
    }

    #[test]
    fn two_seeds_show_their_range_and_one_shows_no_interval() {
        let two = Bootstrap::new(1, 2).estimate(&[1.0, 3.0]);
        assert_eq!(
            two.map(|e| (e.mean, e.low, e.high)),
            Some((2.0, Some(1.0), Some(3.0)))
        );
        let one = Bootstrap::new(1, 1).estimate(&[1.0]);
        assert_eq!(
            one.map(|e| (e.mean, e.low, e.high)),
            Some((1.0, None, None))
        );
        assert_eq!(Bootstrap::new(1, 0).estimate(&[]), None);
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let values = [1.0, 5.0, 2.0, 8.0, 3.0];
        assert_eq!(
            Bootstrap::new(7, 5).estimate(&values),
            Bootstrap::new(7, 5).estimate(&values)
        );
    }

    #[test]
    fn the_normal_tail_is_right_where_tables_say() {
        for (z, tail) in [(0.0, 0.5), (1.96, 0.024_998), (3.0, 0.001_349_9)] {
            assert!((lower_tail(z) - tail).abs() < 1e-6, "z {z}");
        }
    }
}
