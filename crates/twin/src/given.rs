//! What is done to a cluster on purpose, window by window: the attacker's inputs of a transition.

use karma_cluster::{
    Scenario,
    scenario::{Effect, Fault},
    workload,
};
use serde::{Deserialize, Serialize};

/// What is done to one service during one window. All zeros (payload 1) for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Given {
    /// Pods deleted.
    pub kills: f32,
    /// Pods kept from serving, at the end of the window.
    pub failing: f32,
    /// Share of every pod's rate taken away, mean.
    pub cpu_stress: f32,
    /// Memory taken in every pod, MiB, mean.
    pub memory_mib: f32,
    /// Delay on every request to it, ms, mean.
    pub delay_ms: f32,
    /// Share of the requests to it that are lost, mean.
    pub loss: f32,
    /// Slow connections held open, mean.
    pub slow: f32,
    /// Work of a request over that of a legitimate one, mean over the requests.
    pub payload: f32,
    /// Share of the window without metrics.
    pub outage: f32,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            kills: 0.0,
            failing: 0.0,
            cpu_stress: 0.0,
            memory_mib: 0.0,
            delay_ms: 0.0,
            loss: 0.0,
            slow: 0.0,
            payload: 1.0,
            outage: 0.0,
        }
    }
}

impl Given {
    /// All numbers, in the order of the fields.
    pub(crate) fn to_array(self) -> [f32; 9] {
        [
            self.kills,
            self.failing,
            self.cpu_stress,
            self.memory_mib,
            self.delay_ms,
            self.loss,
            self.slow,
            self.payload,
            self.outage,
        ]
    }
}

/// What an episode of `scenario` (one context) does to its services: `windows × services`.
/// `legitimate` holds the legitimate requests per second for every second of the episode.
#[must_use]
pub fn givens(scenario: &Scenario, legitimate: &[f64]) -> Vec<Given> {
    let (services, windows) = (scenario.services.len(), scenario.windows() as usize);
    let mut givens = vec![Given::default(); services * windows];
    let attack = workload::attack_rates(scenario, legitimate);
    let window_s = scenario.control.window.seconds();
    for (window, row) in givens.chunks_exact_mut(services).enumerate() {
        let span = (window as f64 * window_s, (window + 1) as f64 * window_s);
        for fault in &scenario.faults {
            add(scenario, fault, span, row);
        }
        let payload = payload(scenario, span, legitimate, &attack);
        for given in row {
            given.payload = payload as f32;
        }
    }
    givens
}

/// Adds what `fault` does in `span` to the services in `row`.
fn add(scenario: &Scenario, fault: &Fault, span: (f64, f64), row: &mut [Given]) {
    let onset = fault.at.seconds();
    let end = onset + fault.duration.seconds();
    let share = ((end.min(span.1) - onset.max(span.0)) / (span.1 - span.0)).max(0.0);
    let at = |name: &str| scenario.service_index(name);
    match &fault.effect {
        Effect::PodKill {
            service,
            count,
            every,
        } => {
            let every = every.map_or(0.0, |e| e.seconds());
            if let Some(service) = at(service) {
                let struck = strikes(onset, end, every, span);
                row[service].kills += (struck * u64::from(*count)) as f32;
            }
        }
        Effect::PodFailure { service, count } => {
            // At the end of the window, for that is when pods are counted.
            if let Some(service) = at(service)
                && onset < span.1
                && end >= span.1
            {
                row[service].failing += *count as f32;
            }
        }
        Effect::StressCpu { service, load } => {
            if let Some(service) = at(service) {
                let stress = &mut row[service].cpu_stress;
                *stress = 1.0 - (1.0 - *stress) * (1.0 - (load * share) as f32);
            }
        }
        Effect::StressMemory { service, size } => {
            if let Some(service) = at(service) {
                row[service].memory_mib += (size.mebibytes() * share) as f32;
            }
        }
        Effect::NetworkDelay {
            service, latency, ..
        } => {
            if let Some(service) = at(service) {
                row[service].delay_ms += (latency.seconds() * 1000.0 * share) as f32;
            }
        }
        Effect::NetworkLoss { service, loss } => {
            if let Some(service) = at(service) {
                let lost = &mut row[service].loss;
                *lost = 1.0 - (1.0 - *lost) * (1.0 - (loss * share) as f32);
            }
        }
        Effect::SlowConnections { entry, rate, hold } => {
            let entry = entry.as_deref().and_then(at);
            if let Some(service) = entry.or(scenario.entries().first().copied()) {
                row[service].slow += (rate * hold.seconds() * share) as f32;
            }
        }
        Effect::MetricOutage { service } => {
            let named = service.as_deref().and_then(at);
            for (number, given) in row.iter_mut().enumerate() {
                if service.is_none() || named == Some(number) {
                    given.outage = (given.outage + share as f32).min(1.0);
                }
            }
        }
        Effect::DdosFlood { .. } | Effect::YoYo { .. } | Effect::ApiErrors { .. } => {}
    }
}

/// How often a fault that begins at `onset` and repeats `every` so often strikes within `span`.
fn strikes(onset: f64, end: f64, every: f64, span: (f64, f64)) -> u64 {
    if every <= 0.0 {
        return u64::from(onset >= span.0 && onset < span.1);
    }
    let mut at = onset;
    let mut count = 0;
    while at < span.1 && (at < end || at == onset) {
        count += u64::from(at >= span.0);
        at += every;
    }
    count
}

/// Mean work of a request in `span` over that of a legitimate one.
fn payload(scenario: &Scenario, span: (f64, f64), legitimate: &[f64], attack: &[f64]) -> f64 {
    let seconds = span.0 as usize..(span.1 as usize).min(legitimate.len());
    let (mut work, mut requests) = (0.0, 0.0);
    for second in seconds {
        let heavy = scenario
            .faults
            .iter()
            .find_map(|fault| match fault.effect {
                Effect::DdosFlood { payload, .. }
                    if (second as f64) >= fault.at.seconds()
                        && (second as f64) < fault.at.seconds() + fault.duration.seconds() =>
                {
                    Some(payload)
                }
                _ => None,
            })
            .unwrap_or(1.0);
        work += legitimate[second] + attack[second] * heavy;
        requests += legitimate[second] + attack[second];
    }
    if requests > 0.0 { work / requests } else { 1.0 }
}

/// Share of API calls that fail in every window.
#[must_use]
pub fn api_errors(scenario: &Scenario) -> Vec<f32> {
    let window_s = scenario.control.window.seconds();
    (0..scenario.windows())
        .map(|window| {
            // Replicas are set at the start of a window.
            let at = f64::from(window) * window_s;
            let mut works = 1.0;
            for fault in &scenario.faults {
                if let Effect::ApiErrors { probability } = fault.effect
                    && at >= fault.at.seconds()
                    && at < fault.at.seconds() + fault.duration.seconds()
                {
                    works *= 1.0 - probability;
                }
            }
            (1.0 - works) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_kills_fall_into_their_windows() {
        let struck = |from| strikes(20.0, 80.0, 25.0, (from, from + 15.0));
        assert_eq!(
            [0.0, 15.0, 30.0, 45.0, 60.0, 75.0].map(struck),
            [0, 1, 0, 1, 1, 0]
        );
        assert_eq!(strikes(20.0, 20.0, 0.0, (15.0, 30.0)), 1);
    }
}
