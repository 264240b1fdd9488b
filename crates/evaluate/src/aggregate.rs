//! From episodes to means, intervals and paired differences.

use std::collections::BTreeMap;

use crate::{
    bootstrap::Bootstrap,
    metric::{EpisodeMetrics, Metric},
    summary::{Contender, ControllerSummary, Estimate},
};

/// One contender's episodes in one context, in the order of the seeds.
pub(crate) struct Played {
    pub(crate) contender: Contender,
    pub(crate) settings: String,
    pub(crate) episodes: Vec<EpisodeMetrics>,
}

/// Sums up one context.
pub(crate) fn sum_up(seed: u64, played: &[Played]) -> Vec<ControllerSummary> {
    let resampler = Resampler::new(seed, played);
    let of = |contender| played.iter().find(|p| p.contender == contender);
    let difference = |mine: &Played, other: Option<&Played>| match other {
        Some(other) if other.contender != mine.contender => resampler.estimates(|metric| {
            let pairs = mine.episodes.iter().zip(&other.episodes);
            pairs
                .filter_map(|(a, b)| Some(a.get(metric)? - b.get(metric)?))
                .collect()
        }),
        _ => BTreeMap::new(),
    };
    played
        .iter()
        .map(|mine| ControllerSummary {
            contender: mine.contender,
            title: mine.contender.title().to_owned(),
            settings: mine.settings.clone(),
            metrics: resampler
                .estimates(|metric| mine.episodes.iter().filter_map(|e| e.get(metric)).collect()),
            recovery_censored: mine.episodes.iter().filter(|e| e.recovery_censored).count() as u32,
            minus_hpa: difference(mine, of(Contender::HpaShipped)),
            minus_team: difference(mine, of(Contender::Team)),
        })
        .collect()
}

/// Resamples for every number of seeds that a metric may be known of.
struct Resampler {
    by_count: Vec<Bootstrap>,
}

impl Resampler {
    fn new(seed: u64, played: &[Played]) -> Self {
        let most = played.iter().map(|p| p.episodes.len()).max().unwrap_or(0);
        Self {
            by_count: (0..=most)
                .map(|count| Bootstrap::new(seed, count))
                .collect(),
        }
    }

    fn estimates(&self, values: impl Fn(Metric) -> Vec<f64>) -> BTreeMap<Metric, Estimate> {
        Metric::ALL
            .into_iter()
            .filter_map(|metric| {
                let values = values(metric);
                Some((metric, self.by_count[values.len()].estimate(&values)?))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(contender: Contender, success: &[f64]) -> Played {
        let episode = |success: &f64| {
            let mut metrics = EpisodeMetrics::default();
            metrics.set(Metric::SuccessPct, *success);
            metrics
        };
        Played {
            contender,
            settings: String::new(),
            episodes: success.iter().map(episode).collect(),
        }
    }

    #[test]
    fn differences_are_paired_by_seed() {
        // The seeds differ far more than the controllers: only pairs show the difference.
        let team = played(Contender::Team, &[51.0, 71.0, 91.0, 61.0, 81.0]);
        let hpa = played(Contender::HpaShipped, &[50.0, 70.0, 90.0, 60.0, 80.0]);
        let summaries = sum_up(1, &[team, hpa]);
        let success = |map: &BTreeMap<Metric, Estimate>| map.get(&Metric::SuccessPct).copied();
        let one = |mean: f64| {
            Some(Estimate {
                mean,
                low: Some(mean),
                high: Some(mean),
            })
        };
        assert_eq!(success(&summaries[0].minus_hpa), one(1.0));
        assert_eq!(success(&summaries[1].minus_team), one(-1.0));
        assert_eq!(success(&summaries[0].minus_team), None);
        assert_eq!(success(&summaries[0].metrics).map(|e| e.mean), Some(71.0));
        assert!(!summaries[0].metrics.contains_key(&Metric::RecoveryS));
    }
}
