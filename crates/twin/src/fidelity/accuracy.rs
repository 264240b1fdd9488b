//! Twin accuracy: do policies earn in the twin what they earn in the cluster?

use karma_cluster::{
    ActionSpace, Cluster, Controller, Interrupted, Observation, Scenario, Watch, Watched,
    action::ALPHA,
    emulator::Emulator,
    hpa::{HpaController, HpaSpec},
    reward::RewardModel,
    seed, workload,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    error::{Result, TwinError},
    model::Twin,
    rollout::TwinCluster,
};

/// Times that a call to a failing API server is tried again within a window.
const TRIES: usize = 8;

/// Twin accuracy: how well returns in the twin tell returns in the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TwinAccuracy {
    /// Return that counts as 1 after rescaling.
    pub ceiling: f64,
    /// One row per policy.
    pub policies: Vec<PolicyReturns>,
    /// Mean of the rows' accuracies, without the worst policy, which is 0 by definition.
    pub mean: f64,
    /// The worst row's accuracy.
    pub worst: f64,
}

/// One policy played in both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyReturns {
    /// Name of the policy.
    pub name: String,
    /// Mean return in the cluster.
    pub cluster: f64,
    /// Mean return in the twin.
    pub twin: f64,
    /// min(c/t, t/c) of the rescaled returns.
    pub accuracy: f64,
}

/// Twin accuracy of `policies` (name, return in the cluster, return in the twin), rescaled so that
/// the worst policy in the cluster is 0 and `ceiling` is 1.
///
/// The policy that is 0 has no ratio of its own: it only sets the scale.
///
/// ```
/// let returns = [("least", 0.4, 0.4), ("HPA", 0.7, 0.6)].map(|(n, c, t)| (n.to_owned(), c, t));
/// // Rescaled to 0…1 the HPA earns 1/2 in the cluster and 1/3 in the twin.
/// let accuracy = karma_twin::fidelity::accuracy(&returns, 1.0);
/// assert!((accuracy.mean - 2.0 / 3.0).abs() < 1e-12);
/// ```
#[must_use]
pub fn accuracy(policies: &[(String, f64, f64)], ceiling: f64) -> TwinAccuracy {
    let floor = policies.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
    let span = (ceiling - floor).max(f64::MIN_POSITIVE);
    let rescale = |value: f64| ((value - floor) / span).max(0.0);
    let rows: Vec<PolicyReturns> = policies
        .iter()
        .map(|(name, cluster, twin)| {
            let (c, t) = (rescale(*cluster), rescale(*twin));
            PolicyReturns {
                name: name.clone(),
                cluster: *cluster,
                twin: *twin,
                accuracy: if c.max(t) > 0.0 {
                    c.min(t) / c.max(t)
                } else {
                    1.0
                },
            }
        })
        .collect();
    let scored: Vec<f64> = rows
        .iter()
        .filter(|r| r.cluster > floor)
        .map(|r| r.accuracy)
        .collect();
    TwinAccuracy {
        ceiling,
        mean: scored.iter().sum::<f64>() / scored.len().max(1) as f64,
        worst: scored.iter().copied().fold(1.0, f64::min),
        policies: rows,
    }
}

/// Plays `controller` for one episode of `scenario` (one context) and gives the mean reward of a
/// window.
pub fn mean_return(
    cluster: &mut dyn Cluster,
    controller: &mut dyn Controller,
    scenario: &Scenario,
    seed: u64,
) -> f64 {
    let reward = RewardModel::new(scenario);
    controller.reset(scenario, seed);
    let (mut sum, mut windows) = (0.0, 0_u32);
    let mut desired = vec![0; scenario.services.len()];
    let mut goes_on = true;
    loop {
        let seen = (0..TRIES).find_map(|_| cluster.observe().ok());
        if let Some(seen) = &seen {
            if seen.window > 0 {
                sum += f64::from(reward.of(&seen.services).total);
                windows += 1;
            }
            for (desired, service) in desired.iter_mut().zip(&seen.services) {
                *desired = service.replicas_desired as u32;
            }
        }
        if !goes_on {
            return sum / f64::from(windows.max(1));
        }
        if let Some(seen) = &seen {
            controller.decide(seen, &mut desired);
            for (service, desired) in desired.iter().enumerate() {
                if *desired as f32 != seen.services[service].replicas_desired {
                    // A failed write leaves the replicas as they are.
                    let _ = cluster.scale(service, *desired);
                }
            }
        }
        goes_on = cluster.advance();
    }
}

/// Makes a fresh controller for a scenario of one context.
pub type Factory<'a> = (
    String,
    Box<dyn Fn(&Scenario) -> Box<dyn Controller> + Sync + 'a>,
);

/// Mean returns of every policy over the contexts of `scenario` in cluster and twin: the same
/// arrivals and faults in both, `seeds` episodes per context.
///
/// # Errors
/// [`TwinError::Interrupted`] when `watch` asks to stop.
pub fn play_in_both(
    twin: &Twin,
    scenario: &Scenario,
    policies: &[Factory<'_>],
    seeds: u64,
    seed: u64,
    watch: &dyn Watch,
) -> Result<Vec<(String, f64, f64)>> {
    let contexts = scenario.in_every_context();
    let episodes: Vec<(usize, usize, u64)> = (0..policies.len())
        .flat_map(|p| (0..contexts.len()).map(move |c| (p, c)))
        .flat_map(|(p, c)| (0..seeds).map(move |s| (p, c, s)))
        .collect();
    let done = AtomicU64::new(0);
    let returns: Vec<Option<(f64, f64)>> = episodes
        .par_iter()
        .map(|&(policy, context, episode)| {
            if watch.stopped() {
                return None;
            }
            let (_, scenario) = &contexts[context];
            let number = context as u64 * seeds + episode;
            let seed = seed::derive_seed(seed, "twin accuracy", number);
            let make = &policies[policy].1;
            let mut emulator = Emulator::new(scenario, seed);
            let mut watched = Watched::new(&mut emulator, watch);
            let real = mean_return(&mut watched, &mut *make(scenario), scenario, seed);
            watched.finished().ok()?;
            let mut game = TwinCluster::new(twin, scenario, seed);
            let dreamt = mean_return(&mut game, &mut *make(scenario), scenario, seed);
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            let name = &policies[policy].0;
            watch.progress("twin accuracy", done, episodes.len() as u64, name);
            Some((real, dreamt))
        })
        .collect();
    let returns: Vec<(f64, f64)> = returns
        .into_iter()
        .collect::<Option<_>>()
        .ok_or(TwinError::Interrupted(Interrupted))?;
    Ok(policies
        .iter()
        .enumerate()
        .map(|(policy, (name, _))| {
            let of_policy = || {
                episodes
                    .iter()
                    .zip(&returns)
                    .filter(|(episode, _)| episode.0 == policy)
                    .map(|(_, returns)| returns)
            };
            let count = of_policy().count().max(1) as f64;
            (
                name.clone(),
                of_policy().map(|r| r.0).sum::<f64>() / count,
                of_policy().map(|r| r.1).sum::<f64>() / count,
            )
        })
        .collect())
}

/// Holds the same replicas throughout.
#[derive(Clone, Debug)]
pub struct Constant {
    name: String,
    replicas: Vec<u32>,
}

impl Constant {
    /// Always `replicas`, one per service.
    #[must_use]
    pub fn new(name: &str, replicas: Vec<u32>) -> Self {
        Self {
            name: name.to_owned(),
            replicas,
        }
    }
}

impl Controller for Constant {
    fn name(&self) -> &str {
        &self.name
    }

    fn reset(&mut self, _: &Scenario, _: u64) {}

    fn decide(&mut self, _: &Observation, desired: &mut [u32]) {
        desired.copy_from_slice(&self.replicas);
    }
}

/// Sizes every service for the load now at the entries, with some margin.
#[derive(Clone, Debug)]
struct Proportional {
    need: Vec<f64>,
    space: ActionSpace,
    entries: Vec<usize>,
}

impl Proportional {
    fn new(scenario: &Scenario, margin: f64) -> Self {
        Self {
            need: need(scenario).iter().map(|n| n * margin).collect(),
            space: ActionSpace::new(scenario),
            entries: scenario.entries(),
        }
    }
}

impl Controller for Proportional {
    fn name(&self) -> &'static str {
        "proportional"
    }

    fn reset(&mut self, _: &Scenario, _: u64) {}

    fn decide(&mut self, seen: &Observation, desired: &mut [u32]) {
        let rate: f64 = self
            .entries
            .iter()
            .map(|entry| f64::from(seen.services[*entry].in_rate_rps))
            .sum();
        if rate.is_nan() {
            return;
        }
        for (service, desired) in desired.iter_mut().enumerate() {
            let goal = (self.need[service] * rate).ceil() as i64;
            let step = (goal - i64::from(*desired)).clamp(-i64::from(ALPHA), i64::from(ALPHA));
            *desired = self.space.bound(service, i64::from(*desired) + step);
        }
    }
}

/// Replicas of each service that serve one request per second from outside.
fn need(scenario: &Scenario) -> Vec<f64> {
    scenario
        .services
        .iter()
        .zip(workload::visits(scenario))
        .map(|(service, visits)| visits / service.rate_per_replica)
        .collect()
}

/// The policies that twin accuracy is measured on before any is trained: constant ones from the least
/// to the most, two HPAs, one that follows the load.
#[must_use]
pub fn untrained_policies(scenario: &Scenario) -> Vec<Factory<'static>> {
    let space = ActionSpace::new(scenario);
    let capacity = workload::capacity(scenario);
    let mut policies: Vec<Factory<'static>> = Vec::new();
    for (name, share) in [
        ("constant: least", 0.0),
        ("constant: a fifth", 0.2),
        ("constant: half", 0.4),
        ("constant: most", 1.0),
    ] {
        let replicas: Vec<u32> = need(scenario)
            .iter()
            .enumerate()
            .map(|(service, need)| space.bound(service, (need * capacity * share).ceil() as i64))
            .collect();
        policies.push((
            name.to_owned(),
            Box::new(move |_| Box::new(Constant::new(name, replicas.clone()))),
        ));
    }
    for target in [80, 50] {
        policies.push((
            format!("HPA at {target} %"),
            Box::new(move |scenario| {
                let spec = HpaSpec::cpu_utilization(1, i32::MAX, target);
                Box::new(HpaController::new(scenario, spec))
            }),
        ));
    }
    policies.push((
        "follows the load".to_owned(),
        Box::new(|scenario| Box::new(Proportional::new(scenario, 1.4))),
    ));
    policies
}

/// Twin accuracy of [`untrained_policies`] and `more`, `seeds` episodes per context. The ceiling is
/// the best return that any of them reaches in the cluster.
///
/// # Errors
/// [`TwinError::Interrupted`] when `watch` asks to stop.
pub fn measure_accuracy(
    twin: &Twin,
    scenario: &Scenario,
    more: Vec<Factory<'_>>,
    seeds: u64,
    seed: u64,
    watch: &dyn Watch,
) -> Result<TwinAccuracy> {
    let mut policies: Vec<Factory<'_>> = untrained_policies(scenario);
    policies.extend(more);
    let returns = play_in_both(twin, scenario, &policies, seeds, seed, watch)?;
    let ceiling = returns
        .iter()
        .map(|r| r.1)
        .fold(f64::NEG_INFINITY, f64::max);
    Ok(accuracy(&returns, ceiling))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_is_the_ratio_of_rescaled_returns() {
        let policies = [
            ("worst".to_owned(), 0.2, 0.3),
            ("good".to_owned(), 0.6, 0.52),
            ("best".to_owned(), 0.9, 1.0),
        ];
        let result = accuracy(&policies, 1.0);
        assert!((result.policies[1].accuracy - 0.8).abs() < 1e-12);
        assert!((result.policies[2].accuracy - 0.875).abs() < 1e-12);
        assert!((result.mean - 0.8375).abs() < 1e-12);
        assert!((result.worst - 0.8).abs() < 1e-12);
    }
}
