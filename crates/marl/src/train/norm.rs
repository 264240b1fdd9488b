//! Value normalisation: the scale of returns, tracked while they change.

use serde::{Deserialize, Serialize};

/// Weight that the past keeps per iteration.
const KEEP: f64 = 0.95;

/// Exponentially weighted mean and square of returns, debiased so that the first update counts
/// fully (on-policy's `ValueNorm`, with statistics per iteration instead of per minibatch).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ValueNorm {
    mean: f64,
    square: f64,
    weight: f64,
}

impl ValueNorm {
    /// Whether nothing was taken in yet.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.weight == 0.0
    }

    /// Takes in one rollout's returns.
    pub fn update<'a>(&mut self, returns: impl Iterator<Item = &'a f32> + Clone) {
        let count = returns.clone().count().max(1) as f64;
        let mean = returns.clone().map(|r| f64::from(*r)).sum::<f64>() / count;
        let square = returns.map(|r| f64::from(*r).powi(2)).sum::<f64>() / count;
        self.mean = KEEP * self.mean + (1.0 - KEEP) * mean;
        self.square = KEEP * self.square + (1.0 - KEEP) * square;
        self.weight = KEEP * self.weight + (1.0 - KEEP);
    }

    /// Debiased mean and deviation; 0 and 1 before the first update.
    fn moments(&self) -> (f64, f64) {
        if self.weight == 0.0 {
            return (0.0, 1.0);
        }
        let mean = self.mean / self.weight;
        // Clamped from below as on-policy does, but lower: rewards here lie within [0, 1].
        let variance = (self.square / self.weight - mean * mean).max(1e-4);
        (mean, variance.sqrt())
    }

    /// From real returns to what the critic speaks in.
    #[must_use]
    pub fn normalize(&self, value: f32) -> f32 {
        let (mean, deviation) = self.moments();
        ((f64::from(value) - mean) / deviation) as f32
    }

    /// The inverse of [`Self::normalize`].
    #[must_use]
    pub fn denormalize(&self, value: f32) -> f32 {
        let (mean, deviation) = self.moments();
        (f64::from(value) * deviation + mean) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_update_counts_fully_and_values_make_the_round_trip() {
        let mut norm = ValueNorm::default();
        assert!((norm.normalize(3.0) - 3.0).abs() < 1e-6);
        norm.update([1.0, 3.0].iter());
        assert!(norm.normalize(2.0).abs() < 1e-6);
        assert!((norm.normalize(3.0) - 1.0).abs() < 1e-6);
        for value in [-4.0, 0.0, 7.5] {
            assert!((norm.denormalize(norm.normalize(value)) - value).abs() < 1e-5);
        }
    }

    #[test]
    fn constant_returns_do_not_divide_by_zero() {
        let mut norm = ValueNorm::default();
        norm.update([2.0; 8].iter());
        assert!(norm.normalize(2.1).is_finite());
    }
}
