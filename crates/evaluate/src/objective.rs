//! What baselines are calibrated for.

use karma_cluster::{Scenario, emulator::EpisodeRecord};

/// What one episode of a baseline came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) success_pct: f64,
    pub(crate) pod_hours: f64,
    pub(crate) average_pods: f64,
}

impl Outcome {
    pub(crate) fn of(record: &EpisodeRecord) -> Self {
        Self {
            success_pct: if record.arrived == 0 {
                100.0
            } else {
                100.0 * record.success()
            },
            pod_hours: record.pod_s / 3600.0,
            average_pods: record.average_pods(),
        }
    }

    pub(crate) fn mean(outcomes: &[Self]) -> Self {
        let count = outcomes.len() as f64;
        let mean = |of: fn(&Self) -> f64| outcomes.iter().map(of).sum::<f64>() / count;
        Self {
            success_pct: mean(|o| o.success_pct),
            pod_hours: mean(|o| o.pod_hours),
            average_pods: mean(|o| o.average_pods),
        }
    }
}

/// Success in percent minus the price of pods that the reward of the scenario sets:
/// `success % − 100 · reward.cost · average pods ÷ sum of replica bounds`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Objective {
    cost: f64,
    most_pods: f64,
    /// Grid points for HPA.
    pub(crate) hpa_points: usize,
}

impl Objective {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self {
            cost: scenario.reward.cost,
            most_pods: scenario
                .services
                .iter()
                .map(|s| f64::from(s.replicas.max))
                .sum(),
            hpa_points: scenario.evaluate.grid as usize,
        }
    }

    pub(crate) fn value(&self, outcome: Outcome) -> f64 {
        outcome.success_pct - 100.0 * self.cost * outcome.average_pods / self.most_pods
    }

    pub(crate) fn describe(&self) -> String {
        format!(
            "success % − {} × average pods ÷ {}",
            100.0 * self.cost,
            self.most_pods
        )
    }
}
