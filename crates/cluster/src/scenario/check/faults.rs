//! Attacks, faults and disturbance windows.

use super::{Finding, Scenario, known};
use crate::{
    emulator::PAYLOADS,
    scenario::{Context, Effect, Fault, Window},
    units::Seconds,
};

pub(super) fn check(
    scenario: &Scenario,
    path: &str,
    faults: &[Fault],
    findings: &mut Vec<Finding>,
) {
    for (i, fault) in faults.iter().enumerate() {
        let path = format!("{path}[{i}]");
        check_span(scenario, &path, fault.at, fault.duration, findings);
        check_target(scenario, &format!("{path}.effect"), &fault.effect, findings);
        let instant = fault.duration.seconds() <= 0.0;
        match &fault.effect {
            Effect::PodKill { every: None, .. } => {}
            Effect::PodKill { every: Some(_), .. } if instant => {
                let message = "every needs a duration to repeat in";
                let path = format!("{path}.effect.pod-kill.every");
                findings.push(Finding::new(
                    &path,
                    message,
                    "add duration, or remove every",
                ));
            }
            _ if instant => {
                let message = "without a duration this has no effect";
                findings.push(
                    Finding::new(&path, message, "add duration: 5m")
                        .about(format!("{path}.duration"))
                        .about(format!("{path}.effect")),
                );
            }
            _ => {}
        }
    }
}

pub(super) fn check_disturbance(
    scenario: &Scenario,
    path: &str,
    window: Option<Window>,
    findings: &mut Vec<Finding>,
) {
    if let Some(window) = window {
        check_span(scenario, path, window.at, window.duration, findings);
        if window.duration.seconds() <= 0.0 {
            let path = format!("{path}.duration");
            let hint = "availability and recovery are measured over it";
            findings.push(Finding::new(&path, "the disturbance lasts no time", hint));
        }
    }
}

/// That the emulator can tell the attacks of a context from each other.
pub(super) fn check_payloads(
    scenario: &Scenario,
    path: &str,
    context: &Context,
    findings: &mut Vec<Finding>,
) {
    let mut payloads: Vec<f64> = scenario
        .faults
        .iter()
        .chain(&context.faults)
        .filter_map(|fault| fault.effect.payload())
        .collect();
    payloads.sort_by(f64::total_cmp);
    payloads.dedup();
    if payloads.len() > PAYLOADS {
        let message = format!(
            "attacks of {} payloads in one context; at most {PAYLOADS} are told apart",
            payloads.len()
        );
        let hint = "give similar attacks the same payload";
        findings.push(Finding::new(path, message, hint).about("faults"));
    }
}

/// That a span lies within the episode.
fn check_span(
    scenario: &Scenario,
    path: &str,
    at: Seconds,
    duration: Seconds,
    findings: &mut Vec<Finding>,
) {
    let episode = scenario.duration;
    let end = Seconds(at.seconds() + duration.seconds());
    let message = if at >= episode {
        format!("starts at {at}, after the episode of {episode}")
    } else if end > episode {
        format!("ends at {end}, after the episode of {episode}")
    } else {
        return;
    };
    let finding = Finding::new(
        &format!("{path}.at"),
        message,
        "move it, or lengthen the episode",
    );
    findings.push(finding.about(format!("{path}.duration")).about("duration"));
}

/// That the service an effect aims at exists, and is an entry where it must be one.
fn check_target(scenario: &Scenario, path: &str, effect: &Effect, findings: &mut Vec<Finding>) {
    let (kind, key, service) = match effect {
        Effect::DdosFlood { entry, .. } => ("ddos-flood", "entry", entry.as_ref()),
        Effect::YoYo { entry, .. } => ("yo-yo", "entry", entry.as_ref()),
        Effect::SlowConnections { entry, .. } => ("slow-connections", "entry", entry.as_ref()),
        Effect::PodKill { service, .. } => ("pod-kill", "service", Some(service)),
        Effect::PodFailure { service, .. } => ("pod-failure", "service", Some(service)),
        Effect::StressCpu { service, .. } => ("stress-cpu", "service", Some(service)),
        Effect::StressMemory { service, .. } => ("stress-memory", "service", Some(service)),
        Effect::NetworkDelay { service, .. } => ("network-delay", "service", Some(service)),
        Effect::NetworkLoss { service, .. } => ("network-loss", "service", Some(service)),
        Effect::MetricOutage { service } => ("metric-outage", "service", service.as_ref()),
        Effect::ApiErrors { .. } => return,
    };
    let Some(service) = service else { return };
    let path = format!("{path}.{kind}.{key}");
    if !known(scenario, &path, service, findings) || key == "service" {
        return;
    }
    let entry = |i: usize| scenario.services[i].entry;
    if !scenario.service_index(service).is_some_and(entry) {
        let entries = scenario.entries();
        let entries = entries.iter().map(|i| scenario.services[*i].name.as_str());
        let hint = format!("entries here: {}", crate::yaml::listed(entries));
        findings.push(Finding::new(
            &path,
            format!("{service} is not an entry"),
            hint,
        ));
    }
}
