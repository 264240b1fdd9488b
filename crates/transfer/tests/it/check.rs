//! The checker finds guards that break their rules.

use karma_transfer::{
    Decision, Fault, GuardSettings, Guarded, Injected, InjectedKind, Invariant, Mode, Reason,
    Source, State, run_controller, violations,
};

use crate::fake::{Fake, SERVICES, Script, Scripted, scenario};

/// A sound run: idle pods, a policy that goes up and down, one window without metrics.
fn sound() -> Vec<Decision> {
    let mut script = vec![Script::calm(); 40];
    script[8] = Script::changes([2, 1, 1]);
    script[12] = Script::changes([-1, 0, -1]);
    script[20].missing = [true, false, false];
    let mut guarded = Guarded::new(Scripted::new(&script), &scenario(), Mode::Active);
    run_controller(&mut Fake::new(script), &mut guarded, &[])
}

fn found(decisions: &[Decision], injected: &[Injected]) -> Vec<Invariant> {
    let settings = GuardSettings::new(&scenario());
    let mut found: Vec<Invariant> = violations(decisions, &scenario(), &settings, injected)
        .into_iter()
        .map(|violation| violation.invariant)
        .collect();
    found.dedup();
    found
}

/// What is found when `change` is made to a sound run.
fn after(change: impl Fn(&mut Vec<Decision>)) -> Vec<Invariant> {
    let mut decisions = sound();
    change(&mut decisions);
    found(&decisions, &[])
}

#[test]
fn a_sound_run_has_no_violation() {
    assert_eq!(found(&sound(), &[]), []);
}

#[test]
fn every_broken_invariant_is_found_by_name() {
    // A number that nobody asked for, out of range.
    assert!(after(|d| d[10].desired[0] = 40).contains(&Invariant::Bounds));
    assert!(after(|d| d[20].desired[0] -= 1).contains(&Invariant::NoFallInFault));
    assert!(after(|d| d[3].state = State::Active).contains(&Invariant::Probation));
    assert!(
        after(|d| {
            d.remove(2);
        })
        .contains(&Invariant::Probation)
    );
    assert!(after(|d| d[0].state = State::Probation).contains(&Invariant::Probation));
    assert!(after(|d| d[10].desired[0] += 4).contains(&Invariant::Rate));
    assert!(after(|d| d[10].desired[0] += 1).contains(&Invariant::Reproducible));
    assert!(after(|d| d[22].desired[0] -= 1).contains(&Invariant::Stabilized));
    assert!(
        after(|d| {
            d[10].state = State::Observe;
            d[10].source = Source::Hold;
            d[10].desired[0] += 1;
        })
        .contains(&Invariant::HandsOff)
    );
    let restless = after(|d| {
        for (window, decision) in d.iter_mut().enumerate().skip(6).take(13) {
            let up = window % 2 == 0;
            decision.current = vec![4; SERVICES];
            decision.desired = vec![if up { 5 } else { 3 }; SERVICES];
        }
    });
    assert!(restless.contains(&Invariant::FlapBudget));
    let shown: Vec<String> = restless.iter().map(ToString::to_string).collect();
    assert!(shown.contains(&"SAFE-6".to_owned()));
}

#[test]
fn a_guard_that_follows_a_broken_policy_is_found() {
    let injected = |kind| Injected {
        at_s: 150.0,
        duration_s: 30.0,
        kind,
    };
    for kind in [
        InjectedKind::PolicyKilled,
        InjectedKind::PolicyNotFinite,
        InjectedKind::PolicyTimeout,
    ] {
        assert_eq!(
            found(&sound(), &[injected(kind)]),
            [Invariant::BrokenDoesNotDecide]
        );
    }
    let mut decisions = sound();
    decisions[10].faults.push(Fault::of_all(Reason::Drift));
    assert_eq!(found(&decisions, &[]), []);
    decisions[12].faults.push(Fault::of_all(Reason::Drift));
    assert_eq!(found(&decisions, &[]), [Invariant::NoFallInFault]);
}
