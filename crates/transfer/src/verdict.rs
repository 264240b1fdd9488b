//! Whether a team may act: the gate between training and a live cluster.

use karma_twin::fidelity::{CONTROLLED, Fidelity};
use serde::{Deserialize, Serialize};

use crate::{check::Violation, decide::Mode, validate::Validation};

/// The content of `verdict.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether the team may act.
    pub pass: bool,
    /// Why it may not, one sentence each; where it may, what speaks for it.
    pub reasons: Vec<String>,
    /// What was measured on validation episodes.
    pub validation: Validation,
}

impl Verdict {
    /// What the team may do: act, or be observed.
    #[must_use]
    pub fn mode(&self) -> Mode {
        if self.pass {
            Mode::Active
        } else {
            Mode::Observe
        }
    }
}

/// Everything that a verdict is made of.
#[derive(Clone, Copy, Debug)]
pub struct VerdictInput<'a> {
    /// How far the twin can be trusted.
    pub fidelity: &'a Fidelity,
    /// What validation episodes gave.
    pub validation: &'a Validation,
    /// Invariants that did not hold in demonstrations.
    pub violations: &'a [Violation],
}

/// One requirement: whether it holds, and a sentence either way.
struct Finding {
    holds: bool,
    text: String,
}

/// Passes iff the twin's 20-step error is below persistence on every controlled metric, no mask was
/// violated, validation success is at least HPA's, and no invariant was broken in a demonstration.
/// What was not measured does not pass.
#[must_use]
pub fn judge(input: &VerdictInput<'_>) -> Verdict {
    let findings = [
        fidelity(input.fidelity),
        masks(input.validation),
        success(input.validation),
        invariants(input.violations),
    ];
    let pass = findings.iter().all(|finding| finding.holds);
    Verdict {
        pass,
        reasons: findings
            .into_iter()
            .filter(|finding| pass || !finding.holds)
            .map(|finding| finding.text)
            .collect(),
        validation: *input.validation,
    }
}

fn fidelity(fidelity: &Fidelity) -> Finding {
    let lost: Vec<String> = CONTROLLED
        .iter()
        .filter_map(|name| {
            let Some(metric) = fidelity.metrics.iter().find(|m| m.metric == *name) else {
                return Some(format!("{name} (not measured)"));
            };
            let errors = &metric.twenty_step;
            // An error that is not a number is not below anything.
            let below = errors.twin < errors.persistence;
            (!below).then(|| {
                format!(
                    "{name} ({:.3} against {:.3})",
                    errors.twin, errors.persistence
                )
            })
        })
        .collect();
    if lost.is_empty() {
        Finding {
            holds: true,
            text:
                "The twin's error 20 windows ahead is below persistence on every controlled metric."
                    .to_owned(),
        }
    } else {
        Finding {
            holds: false,
            text: format!(
                "The twin's error 20 windows ahead is not below persistence on {}.",
                lost.join(", ")
            ),
        }
    }
}

fn masks(validation: &Validation) -> Finding {
    let violated = validation.masks_violated;
    Finding {
        holds: violated == 0,
        text: if violated == 0 {
            "No mask of the organization was violated.".to_owned()
        } else {
            format!("Masks of the organization were violated {violated} times.")
        },
    }
}

fn success(validation: &Validation) -> Finding {
    let (team, hpa) = (validation.team_success, validation.hpa_success);
    let holds = team >= hpa;
    let relation = if holds { "at least" } else { "below" };
    Finding {
        holds,
        text: format!(
            "Success on {} validation episodes is {:.2} %, {relation} HPA's {:.2} %.",
            validation.episodes,
            team * 100.0,
            hpa * 100.0
        ),
    }
}

fn invariants(violations: &[Violation]) -> Finding {
    Finding {
        holds: violations.is_empty(),
        text: violations.first().map_or_else(
            || "No invariant was broken in a demonstration.".to_owned(),
            |first| {
                format!(
                    "Invariants were broken {} times in demonstrations, first {first}.",
                    violations.len()
                )
            },
        ),
    }
}
