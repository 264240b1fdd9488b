//! Settings of the training.

use super::{Finding, Scenario};
use crate::scenario::{AdversarySettings, Algorithm, Effect, Sharing};

/// Most samples in one iteration of training, all of which are in memory together.
const MOST_SAMPLES: u64 = 4_000_000;

pub(super) fn check(scenario: &Scenario, findings: &mut Vec<Finding>) {
    let train = &scenario.train;
    if train.algorithm == Algorithm::Ppo && train.sharing != Sharing::All {
        let message = "ppo trains one actor that decides for all agents: there is nothing to share";
        let hint = "leave sharing away, or take another algorithm (mappo, ippo, a2c)";
        findings.push(Finding::new("train.sharing", message, hint).about("train.algorithm"));
    }
    let samples = u64::from(train.games) * u64::from(train.steps);
    if samples > MOST_SAMPLES {
        let message = format!(
            "{} games of {} steps are {samples} samples, more than {MOST_SAMPLES}",
            train.games, train.steps
        );
        let hint = "play fewer games or steps in one iteration";
        findings.push(Finding::new("train.games", message, hint).about("train.steps"));
    }
    if u64::from(train.minibatches) > samples {
        let message = format!("{} minibatches of {samples} samples", train.minibatches);
        let hint = "at most games times steps";
        findings.push(
            Finding::new("train.minibatches", message, hint)
                .about("train.games")
                .about("train.steps"),
        );
    }
    if let Some(adversary) = &train.adversary {
        check_adversary(scenario, adversary, findings);
    }
}

/// That attackers have something to attack with, and somebody to attack.
fn check_adversary(
    scenario: &Scenario,
    adversary: &AdversarySettings,
    findings: &mut Vec<Finding>,
) {
    const PATH: &str = "train.adversary";
    if scenario.train.algorithm == Algorithm::Ppo {
        let message =
            "attackers learn against a team of agents, and ppo trains one for all of them";
        let hint = "leave adversary away, or take another algorithm (mappo, ippo, a2c)";
        findings.push(Finding::new(PATH, message, hint).about("train.algorithm"));
    }
    let contexts = scenario.in_every_context();
    let mut faults = contexts.iter().flat_map(|(_, context)| &context.faults);
    let is_armed = faults.any(|fault| match fault.effect {
        Effect::DdosFlood { factor, .. } | Effect::YoYo { factor, .. } => factor > 1.0,
        Effect::StressCpu { load, .. } => load > 0.0,
        Effect::PodKill { .. } => true,
        _ => false,
    });
    if !is_armed {
        let message =
            "attackers have the weapons of the contexts, and no context has one of theirs";
        let hint = "give a context a ddos-flood, yo-yo, pod-kill or stress-cpu";
        findings.push(Finding::new(PATH, message, hint).about("contexts"));
    }
    if adversary.budget > scenario.duration {
        let message = format!(
            "{} at full strength is longer than the episode of {}",
            adversary.budget, scenario.duration
        );
        let hint = "at most the episode";
        findings.push(Finding::new(&format!("{PATH}.budget"), message, hint).about("duration"));
    }
    if scenario.train.games < 2 {
        let message = "1 game cannot be shared with attackers";
        let hint = "play at least 2";
        findings.push(Finding::new("train.games", message, hint).about(PATH));
    }
}
