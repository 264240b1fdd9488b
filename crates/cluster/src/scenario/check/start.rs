//! Whether an episode starts with enough replicas, and has room for them.

use super::{Finding, Scenario, load, times::Times};
use crate::workload::{visits, volume};

/// Every service whose replicas at the start cannot serve the load at the start: nobody is to blame
/// for what an episode loses until more are ready. Of the contexts the one with the highest load is
/// told.
pub(super) fn overloads(scenario: &Scenario) -> Vec<Finding> {
    let contexts = scenario.in_every_context();
    let loads = contexts
        .iter()
        .filter_map(|(name, played)| Some((name, volume::load_at_start(played)?)));
    let Some((context, load)) = loads.max_by(|a, b| a.1.total_cmp(&b.1)) else {
        return Vec::new();
    };
    let of_context = of_context(scenario, context);
    let mut found = Vec::new();
    let services = scenario.services.iter().zip(Times::of(scenario));
    for ((i, (service, times)), visits) in services.enumerate().zip(visits(scenario)) {
        let (range, rate) = (&service.replicas, times.rate_of_pod(service.concurrency));
        let (count, arriving) = (range.at_start(), load * visits);
        let served = f64::from(count) * rate;
        // What is equal but for rounding is not told.
        if arriving <= served * (1.0 + 1e-9) {
            continue;
        }
        let holders = times.holders();
        let because = holders.as_ref().map(|held| format!(": {held}"));
        let message = format!(
            "{} starts overloaded{of_context}: {} requests/s arrive, {count} replica{} serve{} {}{}",
            service.name,
            short(arriving),
            if count == 1 { "" } else { "s" },
            if count == 1 { "s" } else { "" },
            short(served),
            because.unwrap_or_default(),
        );
        let enough = (arriving / rate).ceil();
        let mut hint = if enough <= f64::from(range.max) {
            format!("start with {enough}: replicas: {{initial: {enough}}}")
        } else {
            format!(
                "even max, {}, is too few for this load: {enough} would do",
                range.max
            )
        };
        if holders.is_some() {
            hint += ", or let its servers go with mode: async";
        }
        found.push(Finding::new(
            &format!("services[{i}].replicas"),
            message,
            hint,
        ));
    }
    found
}

/// Where the machines do not hold all replicas that an episode starts with: some stay pending. Of the
/// contexts the first is told.
pub(super) fn crowded(scenario: &Scenario) -> Option<Finding> {
    let contexts = scenario.in_every_context();
    contexts.iter().find_map(|(context, played)| {
        let asked = load::requested(played, &played.nodes, |range| range.at_start());
        let (needed, there, unit) = asked
            .into_iter()
            .find(|(needed, there, _)| *needed > there * (1.0 + 1e-9))?;
        let of_context = of_context(scenario, context);
        let message = format!(
            "the replicas at the start request {needed}{unit}, there is {there}{unit}{of_context}: \
             some stay pending"
        );
        let hint = "add machines, or start with fewer replicas";
        Some(Finding::new("nodes", message, hint))
    })
}

/// Where something was found, for scenarios that have contexts.
fn of_context(scenario: &Scenario, context: &str) -> String {
    if scenario.contexts.is_empty() {
        String::new()
    } else {
        format!(" in context {context}")
    }
}

/// A rate with as many digits as say something.
fn short(rate: f64) -> String {
    let rounded = (rate * 10.0).round() / 10.0;
    rounded.to_string()
}
