//! The guard, rule by rule.

mod model;

use karma_cluster::Controller;
use karma_transfer::{Decider, DeciderFault, GuardSettings, Guarded, Mode, Reason, Rule, State};

use crate::fake::{Answer, SERVICES, Script, Scripted, WINDOW_S, observation, scenario};

fn settings() -> GuardSettings {
    GuardSettings {
        probation_windows: 2,
        flap_budget: 3,
        flap_window_s: 150.0,
        ..GuardSettings::new(&scenario())
    }
}

fn guarded(script: &[Script], mode: Mode) -> Guarded<Scripted> {
    Guarded::with_settings(Scripted::new(script), &scenario(), mode, settings())
}

/// Plays `script`; a window that cannot be read is told to the guard as such.
fn play(guarded: &mut Guarded<Scripted>, script: &[Script]) {
    let mut desired = [4, 4, 2];
    for (window, now) in script.iter().enumerate() {
        let decision = if now.unreadable {
            guarded.blind(window as u32, window as f64 * WINDOW_S, &desired)
        } else {
            guarded.step(&observation(window, now, desired), &desired)
        };
        desired.copy_from_slice(&decision.desired);
    }
}

fn states(guarded: &Guarded<Scripted>) -> String {
    guarded
        .decisions()
        .iter()
        .map(|decision| match decision.state {
            State::Fallback => 'f',
            State::Probation => 'p',
            State::Active => 'a',
            State::Observe => 'o',
            State::Paused => '-',
        })
        .collect()
}

/// Reasons of every window.
fn reasons(script: &[Script]) -> Vec<Reason> {
    let mut guarded = guarded(script, Mode::Active);
    play(&mut guarded, script);
    guarded.decisions().iter().map(|d| d.reason).collect()
}

#[test]
fn each_fault_has_its_reason_and_falls_back_in_its_own_window() {
    let calm = Script::calm;
    let cases: [(Script, Reason); 9] = [
        (
            Script {
                policy: Answer::Fails(DeciderFault::Dead),
                ..calm()
            },
            Reason::PolicyDead,
        ),
        (
            Script {
                policy: Answer::Fails(DeciderFault::Timeout),
                ..calm()
            },
            Reason::PolicyTimeout,
        ),
        (
            Script {
                policy: Answer::Fails(DeciderFault::Missing),
                ..calm()
            },
            Reason::PolicyMissing,
        ),
        (
            Script {
                policy: Answer::Numbers(vec![f32::NAN; SERVICES]),
                ..calm()
            },
            Reason::PolicyNotFinite,
        ),
        (
            Script {
                policy: Answer::Numbers(vec![1.0]),
                ..calm()
            },
            Reason::PolicyMalformed,
        ),
        (
            Script {
                policy: Answer::Panics,
                ..calm()
            },
            Reason::PolicyDead,
        ),
        (
            Script {
                missing: [false, true, false],
                ..calm()
            },
            Reason::MetricsMissing,
        ),
        (
            Script {
                stale: [true, false, false],
                ..calm()
            },
            Reason::MetricsStale,
        ),
        (
            Script {
                unreadable: true,
                ..calm()
            },
            Reason::ApiError,
        ),
    ];
    for (fault, reason) in cases {
        let mut script = vec![calm(); 12];
        script[5] = fault;
        let got = reasons(&script);
        assert_eq!(got[4], Reason::Healthy);
        assert_eq!(got[5], reason);
        if !matches!(script[5].policy, Answer::Panics) {
            assert_eq!(
                got[6..9],
                [Reason::Probation, Reason::Probation, Reason::Healthy]
            );
        } else {
            assert!(got[5..].iter().all(|r| *r == Reason::PolicyDead));
        }
    }
}

#[test]
fn a_broken_service_holds_and_the_others_follow_the_fallback() {
    let idle = Script {
        usage: [0.0; SERVICES],
        ..Script::calm()
    };
    let mut script = vec![idle; 60];
    for window in &mut script {
        window.policy = Answer::Fails(DeciderFault::Missing);
    }
    // Without a policy everything holds for as long as that is so.
    let mut without = guarded(&script, Mode::Active);
    play(&mut without, &script);
    assert!(without.decisions().iter().all(|d| d.desired == [4, 4, 2]));

    for window in &mut script {
        window.policy = Answer::Changes([0; SERVICES]);
        window.missing = [false, true, false];
    }
    let mut partial = guarded(&script, Mode::Active);
    play(&mut partial, &script);
    let last = partial.decisions().last().expect("decisions were made");
    assert_eq!(last.desired, [1, 4, 1]);
    assert!(
        partial
            .decisions()
            .iter()
            .all(|d| d.state == State::Fallback)
    );
}

#[test]
fn drift_and_gaps_fall_back_and_an_operator_can_pause() {
    let script = vec![Script::calm(); 12];
    let mut guarded = guarded(&script, Mode::Active);
    play(&mut guarded, &script[..5]);
    assert_eq!(states(&guarded), "fppaa");
    let at = |guarded: &mut Guarded<Scripted>, window: usize| {
        let now = observation(window, &script[window], [4, 4, 2]);
        guarded.step(&now, &[4, 4, 2]).reason
    };
    guarded.guard_mut().set_drift(true);
    assert_eq!(at(&mut guarded, 5), Reason::Drift);
    assert_eq!(at(&mut guarded, 6), Reason::Drift);
    guarded.guard_mut().set_drift(false);
    assert_eq!(at(&mut guarded, 7), Reason::Probation);
    assert_eq!(at(&mut guarded, 10), Reason::ObservationGap);
    guarded.guard_mut().set_mode(Mode::Paused);
    assert_eq!(at(&mut guarded, 11), Reason::Paused);
    assert_eq!(
        guarded.decisions().last().and_then(|d| d.fallback.clone()),
        None
    );
}

#[test]
fn users_who_wait_for_long_bring_the_fallback_only_if_it_would_do_more() {
    let late = |usage: f64| {
        let window = Script {
            late: true,
            usage: [usage; SERVICES],
            ..Script::calm()
        };
        let mut script = vec![window; 40];
        script[..3].fill(Script::calm());
        script
    };
    // The fallback asks for more than the policy.
    let got = reasons(&late(1.6));
    let first = got.iter().position(|r| *r == Reason::SloBreach);
    // Active from window 3, breached for 300 s at window 23.
    assert_eq!(first, Some(23));
    // It would not do more: no one could keep the promise.
    assert!(!reasons(&late(0.8)).contains(&Reason::SloBreach));
    // A breach that ends in time is suffered.
    let mut script = late(1.6);
    script[15].late = false;
    assert_eq!(
        reasons(&script)
            .iter()
            .position(|r| *r == Reason::SloBreach),
        Some(36)
    );
}

#[test]
fn wishes_are_cut_to_rate_budget_and_bounds_with_the_rule_written_down() {
    let mut script = vec![Script::calm(); 16];
    script[4] = Script::changes([7, -7, 3]);
    for (window, change) in [(5, -1), (6, 1), (7, -1), (8, 1), (9, -1), (10, 3)] {
        script[window] = Script::changes([change, 0, 0]);
    }
    let mut guarded = guarded(&script, Mode::Active);
    play(&mut guarded, &script);
    let at = |window: usize| &guarded.decisions()[window];
    assert_eq!(at(4).desired, [7, 2, 5]);
    let rules: Vec<_> = at(4)
        .refused
        .iter()
        .map(|r| (r.service, r.rule, r.wanted, r.allowed))
        .collect();
    assert_eq!(
        rules,
        [
            (0, Rule::Rate, 11, 7),
            (1, Rule::Rate, -3, 1),
            (1, Rule::Bounds, 1, 2)
        ]
    );
    let counts: Vec<u32> = (5..11).map(|w| at(w).desired[0]).collect();
    // Three turns are the budget; the next turn down is refused, a turn up never.
    assert_eq!(counts, [6, 7, 6, 7, 7, 10]);
    assert_eq!(at(9).refused[0].rule, Rule::FlapBudget);
}

#[test]
fn nothing_falls_on_metrics_that_begin_to_age() {
    let mut script = vec![Script::changes([-1, 1, 0]); 12];
    script[..4].fill(Script::calm());
    let mut guarded = guarded(&script, Mode::Active);
    let mut desired = [4, 4, 2];
    for (window, now) in script.iter().enumerate() {
        let mut observation = observation(window, now, desired);
        if window == 6 {
            // Two scrapes lost: 11 s is the edge, 16 s would be stale.
            observation.metrics_age_s = vec![11.5; SERVICES];
        }
        let decision = guarded.step(&observation, &desired).desired.clone();
        desired.copy_from_slice(&decision);
    }
    let at = |window: usize| &guarded.decisions()[window];
    assert_eq!(at(5).desired[..2], [2, 6]);
    assert_eq!(
        (at(6).state, &at(6).desired[..2]),
        (State::Active, &[2, 7][..])
    );
    assert_eq!(at(6).refused[0].rule, Rule::AgingMetrics);
    assert_eq!(at(7).desired[..2], [1, 8]);
}

#[test]
fn a_reset_guard_starts_over() {
    let script = vec![Script::calm(); 6];
    let mut guarded = guarded(&script, Mode::Active);
    play(&mut guarded, &script);
    assert_eq!(states(&guarded), "fppaaa");
    guarded.reset(&scenario(), 2);
    assert!(guarded.decisions().is_empty());
    play(&mut guarded, &script);
    assert_eq!(states(&guarded), "fppaaa");
    assert_eq!(Controller::name(&guarded), "scripted");
}

#[test]
fn a_model_that_is_not_there_leaves_the_fallback_in_charge() {
    let mut guarded: Guarded<Option<Scripted>> = Guarded::new(None, &scenario(), Mode::Active);
    let calm = Script::calm();
    for window in 0..8 {
        let decision = guarded.step(&observation(window, &calm, [4, 4, 2]), &[4, 4, 2]);
        assert_eq!(decision.state, State::Fallback);
        assert_eq!(decision.reason, Reason::PolicyMissing);
    }
    assert_eq!(guarded.decider().name(), "no policy");
}
