//! What a scenario can carry, through its call graph.

use crate::scenario::{Call, Scenario, Service};

/// Requests at every service per request that enters the cluster.
///
/// Traffic is split evenly over the entries, and each call happens with its probability. Services
/// on a call cycle, which `check` refuses, are not visited.
#[must_use]
pub fn visits(scenario: &Scenario) -> Vec<f64> {
    visits_from(scenario, &scenario.entries())
}

/// The same of requests to `entries` alone.
pub(crate) fn visits_from(scenario: &Scenario, entries: &[usize]) -> Vec<f64> {
    flow(scenario, entries, |call| call.probability)
}

/// The same with `times` calls for every request that a service gets.
pub(super) fn flow(
    scenario: &Scenario,
    entries: &[usize],
    times: impl Fn(&Call) -> f64,
) -> Vec<f64> {
    let count = scenario.services.len();
    let mut visits = vec![0.0; count];
    for &entry in entries {
        visits[entry] = 1.0 / entries.len() as f64;
    }
    let calls: Vec<Vec<(usize, f64)>> = scenario
        .services
        .iter()
        .map(|service| {
            let known = |call: &Call| Some((scenario.service_index(&call.to)?, times(call)));
            service.calls.iter().filter_map(known).collect()
        })
        .collect();
    let mut callers = vec![0_usize; count];
    for &(callee, _) in calls.iter().flatten() {
        callers[callee] += 1;
    }
    // A service is done when all of its callers are.
    let mut ready: Vec<usize> = (0..count).filter(|&i| callers[i] == 0).collect();
    while let Some(service) = ready.pop() {
        for &(callee, times) in &calls[service] {
            visits[callee] += visits[service] * times;
            callers[callee] -= 1;
            if callers[callee] == 0 {
                ready.push(callee);
            }
        }
    }
    visits
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
