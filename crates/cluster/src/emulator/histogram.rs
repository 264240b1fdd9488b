//! Latency histograms whose buckets cost no logarithm.

use serde::{Deserialize, Serialize};

/// Sub-buckets per octave, as a power of two: the relative width of a bucket is at most 1/8.
const SUB_BITS: u32 = 3;
/// Latencies below this exponent (2⁻⁴ ms) share the first bucket.
const MIN_EXPONENT: i32 = -4;
/// Latencies from this exponent on (2¹⁸ ms, over four minutes) share the last bucket.
const MAX_EXPONENT: i32 = 18;
/// Number of buckets.
pub(super) const BUCKETS: usize = ((MAX_EXPONENT - MIN_EXPONENT) as usize) << SUB_BITS;
const OFFSET: u32 = ((MIN_EXPONENT + 127) as u32) << SUB_BITS;

/// Bucket of a latency: the exponent and the top bits of the mantissa of its float.
#[inline]
pub(super) fn bucket(latency_ms: f64) -> usize {
    let bits = (latency_ms as f32).to_bits() >> (23 - SUB_BITS);
    (bits.saturating_sub(OFFSET) as usize).min(BUCKETS - 1)
}

/// Lower edge of a bucket; the upper one is the lower of the next.
fn edge(bucket: usize) -> f64 {
    f64::from(f32::from_bits((bucket as u32 + OFFSET) << (23 - SUB_BITS)))
}

/// Quantile `q` of counts, linear inside the bucket as Prometheus does; NaN where empty.
pub(super) fn quantile(counts: impl Iterator<Item = u64> + Clone, q: f64) -> f64 {
    let total: u64 = counts.clone().sum();
    let rank = q.clamp(0.0, 1.0) * total as f64;
    let mut below = 0.0;
    for (bucket, count) in counts.enumerate() {
        let count = count as f64;
        if count > 0.0 && below + count >= rank {
            let (from, to) = (
                if bucket == 0 { 0.0 } else { edge(bucket) },
                edge(bucket + 1),
            );
            return from + (to - from) * ((rank - below) / count);
        }
        below += count;
    }
    f64::NAN
}

/// Latencies in logarithmic buckets at most an eighth wide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyHistogram {
    counts: Vec<u64>,
    sum_ms: f64,
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            sum_ms: 0.0,
        }
    }
}

impl LatencyHistogram {
    /// Counts one latency.
    #[inline]
    pub fn add(&mut self, latency_ms: f64) {
        self.add_many(latency_ms, 1);
    }

    /// Counts one latency `times` times.
    #[inline]
    pub fn add_many(&mut self, latency_ms: f64, times: u64) {
        self.counts[bucket(latency_ms)] += times;
        self.sum_ms += latency_ms * times as f64;
    }

    /// Adds everything that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum_ms += other.sum_ms;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.sum_ms = 0.0;
    }

    /// How many latencies were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Mean in milliseconds; NaN where nothing was counted.
    #[must_use]
    pub fn mean_ms(&self) -> f64 {
        self.sum_ms / self.count() as f64
    }

    /// The latency in milliseconds that a share `q` (in [0, 1]) does not exceed; NaN where nothing
    /// was counted.
    #[must_use]
    pub fn percentile(&self, q: f64) -> f64 {
        quantile(self.counts.iter().copied(), q)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_within_an_eighth_of_the_value_counted() {
        for exact in [0.1, 1.0, 3.7, 40.0, 512.0, 2000.0, 90_000.0] {
            let mut histogram = LatencyHistogram::default();
            histogram.add(exact);
            for q in [0.0, 0.5, 1.0] {
                let shown = histogram.percentile(q);
                assert!(
                    (shown / exact - 1.0).abs() <= 0.125,
                    "{exact} shown as {shown}"
                );
            }
        }
    }

    #[test]
    fn nothing_counted_has_no_percentile() {
        assert!(LatencyHistogram::default().percentile(0.5).is_nan());
    }
}
