//! Operational resilience, the paper's five-term reward (KARMA, IEEE CLOUD 2025, §III), and its cost.
//!
//! `or(s) = w1·success + w2·(1 − failed pods) + w3·(1 − latency) + w4·entries available +
//! w5·throughput`, every term in [0, 1], taken on the window after the actions. Zero denominators,
//! which the paper leaves open: no request succeeds fully, no pod fails nowhere, no expected
//! traffic is all delivered.
//!
//! The paper has no cost term, so that a policy that always asks for the maximum wins. `cost` adds
//! `−cost · pods / max pods`; 0 gives the paper's reward.

use crate::{observation::ServiceMetrics, scenario::Scenario};

/// The reward of one window with its terms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reward {
    /// Successful over received requests, of the entries.
    pub success: f32,
    /// One minus failed over deployed pods.
    pub healthy: f32,
    /// One minus p95 latency over the SLO, of the worst entry, not below 0.
    pub latency: f32,
    /// Entries with at least one ready pod, over all entries.
    pub entries: f32,
    /// Answered over received traffic, least over the services, at most 1.
    pub throughput: f32,
    /// Pods over the sum of replica bounds.
    pub pods: f32,
    /// The weighted sum of the five terms: the paper's reward.
    pub resilience: f32,
    /// `resilience − cost · pods`: what agents are trained on.
    pub total: f32,
}

/// Computes rewards of one scenario.
#[derive(Clone, Debug)]
pub struct RewardModel {
    weights: [f32; 5],
    cost: f32,
    entries: Vec<usize>,
    max_pods: f32,
    slo_ms: f32,
}

impl RewardModel {
    /// Takes weights, SLO, entries and replica bounds from the scenario.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let reward = &scenario.reward;
        Self {
            weights: [
                reward.success,
                reward.healthy,
                reward.latency,
                reward.entries,
                reward.throughput,
            ]
            .map(|w| w as f32),
            cost: reward.cost as f32,
            entries: scenario.entries(),
            max_pods: scenario
                .services
                .iter()
                .map(|s| s.replicas.max as f32)
                .sum(),
            slo_ms: (scenario.slo.latency.seconds() * 1000.0) as f32,
        }
    }

    /// The reward of a window whose services show `services`. Metrics that were not measured
    /// contribute what their absence proves: nothing bad.
    #[must_use]
    pub fn of(&self, services: &[ServiceMetrics]) -> Reward {
        let known = |value: f32| if value.is_nan() { 0.0 } else { value };
        let (mut received, mut errors, mut worst_ms, mut available) = (0.0, 0.0, 0.0_f32, 0.0);
        for service in self.entries.iter().map(|&entry| &services[entry]) {
            received += known(service.in_rate_rps);
            errors += known(service.errors_ps);
            worst_ms = worst_ms.max(known(service.latency_p95_ms));
            available += f32::from(u8::from(service.replicas_ready >= 1.0));
        }
        let (mut pods, mut failed, mut throughput) = (0.0, 0.0, 1.0_f32);
        for service in services {
            failed += known(service.replicas_failed);
            pods += known(service.replicas_ready)
                + known(service.replicas_pending)
                + known(service.replicas_failed);
            if service.in_rate_rps > 0.0 {
                throughput = throughput.min(known(service.out_rate_rps) / service.in_rate_rps);
            }
        }
        let ratio = |part: f32, whole: f32| {
            if whole > 0.0 {
                (part / whole).clamp(0.0, 1.0)
            } else {
                0.0
            }
        };
        let success = 1.0 - ratio(errors, received);
        let healthy = 1.0 - ratio(failed, pods);
        let latency = 1.0 - ratio(worst_ms, self.slo_ms);
        let entries = available / (self.entries.len().max(1) as f32);
        let terms = [success, healthy, latency, entries, throughput];
        let resilience = self
            .weights
            .iter()
            .zip(terms)
            .map(|(w, t)| w * t)
            .sum::<f32>();
        let share = pods / self.max_pods;
        Reward {
            success,
            healthy,
            latency,
            entries,
            throughput,
            pods: share,
            resilience,
            total: resilience - self.cost * share,
        }
    }
}
