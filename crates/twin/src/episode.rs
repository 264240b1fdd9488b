//! What comes to a game from outside, window by window: arrivals, disturbances, failing API calls.

use karma_cluster::{
    Scenario,
    scenario::{Effect, Shape},
    seed::{self, Stream},
    workload,
};
use rand::Rng;

use crate::{
    given::{self, Given},
    plan::{self, Nodes},
};

/// One episode's worth of everything exogenous.
#[derive(Clone, Debug)]
pub(crate) struct Episode {
    pub(crate) services: usize,
    pub(crate) windows: usize,
    /// Arrivals as scrapes will show them, `windows × services`; NaN where nothing arrives.
    pub(crate) arrivals: Vec<f32>,
    /// What is done to the services, `windows × services`; empty for nothing at all.
    given: Vec<Given>,
    calm: Vec<Given>,
    /// Share of API calls that fail, by window.
    pub(crate) api_errors: Vec<f32>,
    pub(crate) nodes: Nodes,
    /// Clients and think time (s) of a closed loop.
    pub(crate) closed: Option<(f32, f32)>,
}

impl Episode {
    /// The episode that `scenario` (one context) gives for `seed`: the emulator's own arrivals.
    pub(crate) fn new(scenario: &Scenario, seed: u64) -> Self {
        let legitimate = workload::rates(scenario, seed);
        let attack = workload::attack_rates(scenario, &legitimate);
        let services = scenario.services.len();
        let windows = scenario.windows() as usize;
        let given = given::givens(scenario, &legitimate);
        let calm = vec![Given::default(); services];
        let eventful = given.iter().any(|g| *g != calm[0]);
        let mut stream = seed::derive(seed, "scrape phase", 0);
        let entries = scenario.entries();
        let attacked = attacked_entry(scenario).or(entries.first().copied());
        let mut arrivals = vec![f32::NAN; services * windows];
        for &entry in &entries {
            let share = 1.0 / entries.len() as f64;
            let rates: Vec<f64> = legitimate
                .iter()
                .zip(&attack)
                .map(|(l, a)| l * share + if attacked == Some(entry) { *a } else { 0.0 })
                .collect();
            let late_s = scrape_age(scenario, &mut stream);
            let window_s = scenario.control.window.seconds();
            for window in 0..windows {
                let end = (window + 1) as f64 * window_s - late_s;
                let start = (end - window_s).max(0.0);
                arrivals[window * services + entry] = mean(&rates, start, end) as f32;
            }
        }
        let closed = match &scenario.workload.shape {
            Shape::Closed {
                clients,
                think_time,
            } => Some((*clients as f32, think_time.seconds() as f32)),
            _ => None,
        };
        Self {
            services,
            windows,
            arrivals,
            given: if eventful { given } else { Vec::new() },
            calm,
            api_errors: given::api_errors(scenario),
            nodes: plan::nodes(scenario),
            closed,
        }
    }

    /// What is done to the services during `window`.
    pub(crate) fn given(&self, window: usize) -> &[Given] {
        let span = window * self.services..(window + 1) * self.services;
        self.given.get(span).unwrap_or(&self.calm)
    }

    /// Arrivals of `window`.
    pub(crate) fn arrivals(&self, window: usize) -> &[f32] {
        &self.arrivals[window * self.services..(window + 1) * self.services]
    }
}

/// Age that a service's newest visible scrape has at the end of every window of an episode.
fn scrape_age(scenario: &Scenario, stream: &mut Stream) -> f64 {
    let control = &scenario.control;
    let phase = stream.r#gen::<f64>() * control.scrape_interval.seconds();
    (control.scrape_lag.seconds() + phase).min(0.9 * control.window.seconds())
}

/// The entry that floods are aimed at.
fn attacked_entry(scenario: &Scenario) -> Option<usize> {
    scenario
        .faults
        .iter()
        .find_map(|fault| match &fault.effect {
            Effect::DdosFlood { entry, .. } | Effect::YoYo { entry, .. } => entry
                .as_deref()
                .and_then(|name| scenario.service_index(name)),
            _ => None,
        })
}

/// Mean of per-second `rates` between two instants; 0 where there are none.
fn mean(rates: &[f64], start: f64, end: f64) -> f64 {
    let mut sum = 0.0;
    let mut second = start.floor() as usize;
    while (second as f64) < end {
        let (from, to) = (start.max(second as f64), end.min(second as f64 + 1.0));
        sum += rates.get(second).or(rates.last()).copied().unwrap_or(0.0) * (to - from);
        second += 1;
    }
    sum / (end - start).max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_weigh_parts_of_seconds() {
        let rates = [10.0, 20.0, 40.0];
        assert!((mean(&rates, 0.5, 2.5) - (5.0 + 20.0 + 20.0) / 2.0).abs() < 1e-12);
        assert!((mean(&rates, 1.0, 2.0) - 20.0).abs() < 1e-12);
    }
}
