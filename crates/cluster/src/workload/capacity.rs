//! What a scenario can carry, through its call graph.

use crate::scenario::{Scenario, Service};

/// Requests at every service per request that enters the cluster.
///
/// Traffic is split evenly over the entries, and each call happens with its probability. Services
/// on a call cycle, which `check` refuses, count their first visits only.
#[must_use]
pub fn visits(scenario: &Scenario) -> Vec<f64> {
    let mut visits = vec![0.0; scenario.services.len()];
    let entries = scenario.entries();
    for &entry in &entries {
        let depth = scenario.services.len();
        visit(
            scenario,
            entry,
            1.0 / entries.len() as f64,
            depth,
            &mut visits,
        );
    }
    visits
}

fn visit(scenario: &Scenario, service: usize, share: f64, depth: usize, visits: &mut [f64]) {
    if depth == 0 {
        return;
    }
    visits[service] += share;
    for call in &scenario.services[service].calls {
        if let Some(callee) = scenario.service_index(&call.to) {
            visit(
                scenario,
                callee,
                share * call.probability,
                depth - 1,
                visits,
            );
        }
    }
}

/// Requests per second that the cluster can serve with every service at its largest replica count.
/// Nodes are not considered; without any visited service the answer is infinite.
#[must_use]
pub fn capacity(scenario: &Scenario) -> f64 {
    let most = |service: &Service| f64::from(service.replicas.max) * service.rate_per_replica;
    scenario
        .services
        .iter()
        .zip(visits(scenario))
        .filter(|(_, visits)| *visits > 0.0)
        .map(|(service, visits)| most(service) / visits)
        .fold(f64::INFINITY, f64::min)
}

/// The rate that `clients` of a closed loop reach without queueing, at most [`capacity`].
pub(super) fn closed_rate(scenario: &Scenario, clients: f64, think_s: f64) -> f64 {
    let work_s: f64 = scenario
        .services
        .iter()
        .zip(visits(scenario))
        .map(|(s, visits)| visits * f64::from(s.concurrency) / s.rate_per_replica)
        .sum();
    (clients / (think_s + work_s)).min(capacity(scenario))
}
