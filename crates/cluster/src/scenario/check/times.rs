//! How long a request takes where nobody waits for anybody: at each service, until it is answered, and
//! with a server held.

use super::{Finding, Scenario};
use crate::{
    scenario::{Call, CallMode, Discipline, Service},
    workload::visits_from,
};

/// Mean times of a request at one service without any queue, in seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    /// Its own work.
    own: f64,
    /// Until it is answered: its calls are part of that, synchronous or not.
    answered: f64,
    /// With its server held.
    held: f64,
    /// The services whose answers a held server waits for.
    waits_for: Vec<String>,
}

impl Times {
    /// Those of every service of `scenario`, which lists callers before callees.
    pub(super) fn of(scenario: &Scenario) -> Vec<Self> {
        let mut times = vec![Self::default(); scenario.services.len()];
        for (i, service) in scenario.services.iter().enumerate().rev() {
            let own = f64::from(service.concurrency) / service.rate_per_replica;
            let takes = |call: &Call| {
                let callee = scenario.service_index(&call.to);
                callee.map_or(0.0, |to| call.probability * times[to].answered)
            };
            let sum = |calls: &[Call]| calls.iter().map(takes).sum::<f64>();
            let holding = holding_calls(service);
            times[i] = Self {
                own,
                answered: own + sum(&service.calls),
                held: own + sum(holding),
                waits_for: holding.iter().map(|call| call.to.clone()).collect(),
            };
        }
        times
    }

    /// Requests per second that a pod of `concurrency` servers serves at most.
    pub(super) fn rate_of_pod(&self, concurrency: u32) -> f64 {
        f64::from(concurrency) / self.held
    }

    /// What holds the servers beyond their own work, in words; `None` where nothing does.
    pub(super) fn holders(&self) -> Option<String> {
        let calls = if self.waits_for.len() == 1 {
            "the call"
        } else {
            "calls"
        };
        (!self.waits_for.is_empty()).then(|| {
            format!(
                "{calls} to {} hold{} a server for {} of {}",
                self.waits_for.join(" and "),
                if self.waits_for.len() == 1 { "s" } else { "" },
                milliseconds(self.held - self.own),
                milliseconds(self.held)
            )
        })
    }
}

/// The calls that requests of `service` make with their server held: up to the last synchronous one.
/// Pods that share themselves have no servers to hold.
fn holding_calls(service: &Service) -> &[Call] {
    let last = service
        .calls
        .iter()
        .rposition(|call| call.mode == CallMode::Sync);
    match last {
        Some(last) if service.discipline == Discipline::Fifo => &service.calls[..=last],
        _ => &[],
    }
}

/// Every entry whose requests break the SLO on average although nobody waits.
pub(super) fn hopeless(scenario: &Scenario) -> Vec<Finding> {
    let (times, slo) = (Times::of(scenario), scenario.slo.latency.seconds());
    let mut found = Vec::new();
    for entry in scenario.entries() {
        let takes = times[entry].answered;
        if takes <= slo * (1.0 + 1e-9) {
            continue;
        }
        let shares = shares(scenario, entry, &times);
        let most = (0..shares.len()).max_by(|a, b| shares[*a].total_cmp(&shares[*b]));
        let most = most.unwrap_or(entry);
        let message = format!(
            "a request to {} takes at least {} on average without any queue, the SLO is {}; {} of it at {}",
            scenario.services[entry].name,
            milliseconds(takes),
            milliseconds(slo),
            milliseconds(shares[most]),
            scenario.services[most].name,
        );
        let hint = "lower its concurrency or raise its rate: the work of a request takes \
                    concurrency / rate_per_replica";
        let path = format!("services[{most}].rate_per_replica");
        found.push(Finding::new(&path, message, hint));
    }
    found
}

/// What each service adds to the time of a request to `entry`, in seconds.
fn shares(scenario: &Scenario, entry: usize, times: &[Times]) -> Vec<f64> {
    let visits = visits_from(scenario, &[entry]);
    let added = |(visits, times): (f64, &Times)| visits * times.own;
    visits.into_iter().zip(times).map(added).collect()
}

/// Seconds as milliseconds, with as many digits as say something.
fn milliseconds(seconds: f64) -> String {
    let rounded = (seconds * 10_000.0).round() / 10.0;
    format!("{rounded}ms")
}
