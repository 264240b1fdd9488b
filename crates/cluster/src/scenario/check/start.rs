//! Whether an episode starts with enough replicas.

use super::{Finding, Scenario};
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
    let of_context = if scenario.contexts.is_empty() {
        String::new()
    } else {
        format!(" in context {context}")
    };
    let mut found = Vec::new();
    for ((i, service), visits) in scenario.services.iter().enumerate().zip(visits(scenario)) {
        let (range, rate) = (&service.replicas, service.rate_per_replica);
        let (count, arriving) = (range.at_start(), load * visits);
        let served = f64::from(count) * rate;
        // What is equal but for rounding is not told.
        if arriving <= served * (1.0 + 1e-9) {
            continue;
        }
        let message = format!(
            "{} starts overloaded{of_context}: {} requests/s arrive, {count} replica{} serve{} {}",
            service.name,
            short(arriving),
            if count == 1 { "" } else { "s" },
            if count == 1 { "s" } else { "" },
            short(served),
        );
        let enough = (arriving / rate).ceil();
        let hint = if enough <= f64::from(range.max) {
            format!("start with {enough}: replicas: {{initial: {enough}}}")
        } else {
            format!(
                "even max, {}, is too few for this load: {enough} would do",
                range.max
            )
        };
        found.push(Finding::new(
            &format!("services[{i}].replicas"),
            message,
            hint,
        ));
    }
    found
}

/// A rate with as many digits as say something.
fn short(rate: f64) -> String {
    let rounded = (rate * 10.0).round() / 10.0;
    rounded.to_string()
}
