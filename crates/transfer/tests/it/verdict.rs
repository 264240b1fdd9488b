//! The gate, requirement by requirement.

use karma_cluster::Silent;
use karma_transfer::{
    Invariant, Mode, Validation, Verdict, VerdictInput, Violation, judge, validate,
};
use karma_twin::fidelity::{CONTROLLED, Fidelity, MetricFidelity, ModelErrors};

use crate::fake::{Eager, scenario};

fn fidelity(twin: f64) -> Fidelity {
    let errors = |twin| ModelErrors {
        twin,
        persistence: 1.0,
        linear: 1.0,
        queueing: 1.0,
        rows: 10,
    };
    Fidelity {
        metrics: CONTROLLED
            .iter()
            .map(|name| MetricFidelity {
                metric: (*name).to_owned(),
                space: "plain".to_owned(),
                one_step: errors(0.1),
                twenty_step: errors(twin),
                coverage_90: 0.9,
            })
            .collect(),
        ..Fidelity::default()
    }
}

fn validation() -> Validation {
    Validation {
        episodes: 10,
        team_success: 0.97,
        hpa_success: 0.95,
        masks_violated: 0,
        policy_share: 0.9,
    }
}

fn of(fidelity: &Fidelity, validation: &Validation, violations: &[Violation]) -> Verdict {
    judge(&VerdictInput {
        fidelity,
        validation,
        violations,
    })
}

#[test]
fn a_good_team_passes_and_is_told_why() {
    let verdict = of(&fidelity(0.5), &validation(), &[]);
    assert!(verdict.pass);
    assert_eq!(verdict.mode(), Mode::Active);
    assert_eq!(verdict.reasons.len(), 4);
    let equal = Validation {
        hpa_success: 0.97,
        ..validation()
    };
    assert!(of(&fidelity(0.5), &equal, &[]).pass);
}

#[test]
fn each_requirement_fails_the_gate_alone_and_leaves_the_team_observed() {
    let broken = Violation {
        invariant: Invariant::Bounds,
        window: 3,
        service: Some(0),
    };
    let worse = Validation {
        team_success: 0.94,
        ..validation()
    };
    let unknown = Validation {
        team_success: f64::NAN,
        ..validation()
    };
    let masked = Validation {
        masks_violated: 2,
        ..validation()
    };
    let mut partial = fidelity(0.5);
    partial.metrics.pop();
    for (fidelity, validation, violations, says) in [
        (fidelity(1.0), validation(), vec![], "persistence on queued"),
        (
            fidelity(f64::NAN),
            validation(),
            vec![],
            "persistence on queued",
        ),
        (partial, validation(), vec![], "errors_ps (not measured)"),
        (Fidelity::default(), validation(), vec![], "not measured"),
        (fidelity(0.5), worse, vec![], "94.00 %, below HPA's 95.00 %"),
        (fidelity(0.5), unknown, vec![], "below HPA's"),
        (fidelity(0.5), masked, vec![], "violated 2 times"),
        (
            fidelity(0.5),
            validation(),
            vec![broken],
            "SAFE-1 in window 3",
        ),
    ] {
        let verdict = of(&fidelity, &validation, &violations);
        assert!(!verdict.pass, "{says}");
        assert_eq!(verdict.mode(), Mode::Observe);
        assert_eq!(verdict.reasons.len(), 1, "{:?}", verdict.reasons);
        assert!(
            verdict.reasons[0].contains(says),
            "{} does not say {says}",
            verdict.reasons[0]
        );
    }
}

#[test]
fn validation_plays_both_on_the_same_arrivals_and_repeats() {
    let mut scenario = scenario();
    scenario.duration = karma_cluster::units::Seconds(300.0);
    let once = validate(&scenario, &|| Eager, 1, &Silent).expect("nobody stops it");
    let twice = validate(&scenario, &|| Eager, 1, &Silent).expect("nobody stops it");
    assert_eq!(once, twice);
    assert_eq!(once.episodes, 2);
    assert!(
        once.team_success > 0.9 && once.hpa_success > 0.9,
        "{once:?}"
    );
    assert!(once.policy_share > 0.5, "{once:?}");
}
