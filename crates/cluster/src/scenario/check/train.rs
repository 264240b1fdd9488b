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
    let minibatches = match train.algorithm {
        // It learns from a rollout as a whole, whatever the setting.
        Algorithm::A2c => 1,
        _ => u64::from(train.minibatches),
    };
    if let Some(recurrent) = train.recurrent {
        let sequence = u64::from(recurrent.sequence.max(1));
        check_sequences(scenario, sequence, minibatches, findings);
    }
    if minibatches > samples {
        let message = format!("{minibatches} minibatches of {samples} samples");
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

/// That rollouts have whole sequences, and minibatches some of them.
fn check_sequences(
    scenario: &Scenario,
    sequence: u64,
    minibatches: u64,
    findings: &mut Vec<Finding>,
) {
    let train = &scenario.train;
    let (games, steps) = (u64::from(train.games), u64::from(train.steps));
    let path = "train.recurrent.sequence";
    if !steps.is_multiple_of(sequence) {
        let message = format!("{steps} steps are no whole number of sequences of {sequence}");
        let hint = "take a divisor of train.steps";
        findings.push(Finding::new(path, message, hint).about("train.steps"));
        return;
    }
    let sequences = games * (steps / sequence);
    if minibatches > sequences && minibatches <= games * steps {
        let message = format!("{minibatches} minibatches of {sequences} sequences");
        let hint = "at most games times steps over the length of a sequence";
        findings.push(
            Finding::new("train.minibatches", message, hint)
                .about("train.games")
                .about("train.steps")
                .about(path),
        );
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
    let window = scenario.control.window;
    if adversary.budget.seconds() < 0.5 * window.seconds() {
        let message = format!(
            "{} pays for nothing: a killed pod costs half a control window of {window}",
            adversary.budget
        );
        let hint = "at least half a window";
        let finding = Finding::new(&format!("{PATH}.budget"), message, hint);
        findings.push(finding.about("control.window"));
    }
    let iterations = scenario.train.iterations;
    let most = (f64::from(iterations) * AdversarySettings::JOINING).floor();
    if f64::from(adversary.attackers) > most {
        let message = format!(
            "{} attackers cannot join one after another in the first 60 % of {iterations} iterations",
            adversary.attackers
        );
        let hint = format!("let at most {most} join, or train longer");
        let finding = Finding::new(&format!("{PATH}.attackers"), message, hint);
        findings.push(finding.about("train.iterations"));
    }
    if scenario.train.games < 2 {
        let message = "1 game cannot be shared with attackers";
        let hint = "play at least 2";
        findings.push(Finding::new("train.games", message, hint).about(PATH));
    }
}
