//! Promise, control, team and reward.

use super::{Finding, Scenario, name, taken};
use crate::units::Seconds;

/// Longer episodes are taken for a slip: a run would not end.
pub(super) const LONGEST_EPISODE_S: f64 = 7.0 * 86_400.0;

/// More control windows in an episode are taken for a slip, too.
const MOST_WINDOWS: f64 = 100_000.0;

/// As are more scrapes of a service in an episode.
const MOST_SCRAPES: f64 = 1_000_000.0;

pub(super) fn check(scenario: &Scenario, findings: &mut Vec<Finding>) {
    check_time(scenario, findings);
    for (i, agent) in scenario.team.agents.iter().enumerate() {
        let path = format!("team.agents[{i}].name");
        name(&path, &agent.name, findings);
        let first = scenario
            .team
            .agents
            .iter()
            .position(|other| other.name == agent.name);
        if let Some(first) = first.filter(|first| *first < i) {
            taken(
                &path,
                &agent.name,
                &format!("team.agents[{first}]"),
                findings,
            );
        }
    }
    let reward = &scenario.reward;
    let weights =
        reward.success + reward.healthy + reward.latency + reward.entries + reward.throughput;
    if weights <= 0.0 {
        let hint = "give at least one of success, healthy, latency, entries, throughput a weight";
        findings.push(Finding::new("reward", "every weight is 0", hint));
    }
}

fn check_time(scenario: &Scenario, findings: &mut Vec<Finding>) {
    let (slo, control) = (&scenario.slo, &scenario.control);
    if slo.latency > slo.timeout {
        let message = format!(
            "the promise of {} is above the timeout of {}",
            slo.latency, slo.timeout
        );
        let hint = "users who gave up are not answered";
        findings.push(Finding::new("slo.latency", message, hint).about("slo.timeout"));
    }
    let whole = |long: f64, short: f64| {
        let ratio = long / short;
        ratio >= 0.999_999 && (ratio - ratio.round()).abs() < 1e-6
    };
    if !whole(control.window.seconds(), control.scrape_interval.seconds()) {
        let message = format!(
            "{} is not a whole number of scrape intervals of {}",
            control.window, control.scrape_interval
        );
        let hint = "a window must hold the same number of scrapes each time";
        let finding = Finding::new("control.window", message, hint);
        findings.push(finding.about("control.scrape_interval"));
    }
    if !whole(scenario.duration.seconds(), control.window.seconds()) {
        let message = format!(
            "{} is not a whole number of control windows of {}",
            scenario.duration, control.window
        );
        let finding = Finding::new("duration", message, "an episode ends with a window");
        findings.push(finding.about("control.window"));
    }
    if control.scrape_lag >= control.window {
        let message = format!(
            "{} is not below the window of {}",
            control.scrape_lag, control.window
        );
        let hint = "a decision would see nothing of its own window";
        findings.push(Finding::new("control.scrape_lag", message, hint).about("control.window"));
    }
    let in_an_episode = |interval: Seconds| scenario.duration.seconds() / interval.seconds();
    let counts = [
        (
            "control.window",
            control.window,
            "control windows",
            MOST_WINDOWS,
        ),
        (
            "control.scrape_interval",
            control.scrape_interval,
            "scrapes of each service",
            MOST_SCRAPES,
        ),
    ];
    for (path, interval, what, most) in counts {
        if in_an_episode(interval) > most {
            let message =
                format!("an episode would have more than {most} {what}, one every {interval}");
            let hint = "lengthen the interval, or shorten the episode";
            findings.push(Finding::new(path, message, hint).about("duration"));
        }
    }
    if scenario.duration.seconds() > LONGEST_EPISODE_S {
        let message = format!("{} is longer than 7 days", scenario.duration);
        findings.push(Finding::new("duration", message, "shorten the episode"));
    }
}
