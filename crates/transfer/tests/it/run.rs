//! The loop against clusters that fail.

use karma_transfer::{
    Guarded, Injected, InjectedKind, Mode, Reason, Source, State, run_controller, violations,
};
use proptest::prelude::*;

use crate::fake::{Fake, SERVICES, Script, Scripted, scenario};

fn run(
    script: Vec<Script>,
    mode: Mode,
    injected: &[Injected],
) -> (Fake, Vec<karma_transfer::Decision>) {
    let mut guarded = Guarded::new(Scripted::new(&script), &scenario(), mode);
    let mut cluster = Fake::new(script);
    let decisions = run_controller(&mut cluster, &mut guarded, injected);
    (cluster, decisions)
}

fn flaky() -> impl Strategy<Value = Vec<Script>> {
    let window = (
        prop::array::uniform3(0.0_f64..2.0),
        prop::array::uniform3(-4_i32..=4),
        prop::bool::weighted(0.05),
        prop::array::uniform3(prop::bool::weighted(0.05)),
    )
        .prop_map(|(usage, changes, unreadable, unwritable)| Script {
            usage,
            unreadable,
            unwritable,
            ..Script::changes(changes)
        });
    prop::collection::vec(window, 1..80)
}

fn faults() -> impl Strategy<Value = Vec<Injected>> {
    let kind = prop::sample::select(vec![
        InjectedKind::PolicyKilled,
        InjectedKind::PolicyTimeout,
        InjectedKind::PolicyNotFinite,
        InjectedKind::MetricOutage { service: None },
        InjectedKind::MetricOutage { service: Some(1) },
        InjectedKind::ApiDown,
    ]);
    let fault = (0_u32..80, 1_u32..20, kind).prop_map(|(at, length, kind)| Injected {
        at_s: f64::from(at) * 15.0,
        duration_s: f64::from(length) * 15.0,
        kind,
    });
    prop::collection::vec(fault, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_fails_every_window_is_decided_and_every_invariant_holds(script in flaky(), injected in faults()) {
        let windows = script.len();
        let (cluster, decisions) = run(script, Mode::Active, &injected);
        prop_assert_eq!(decisions.len(), windows);
        let settings = karma_transfer::GuardSettings::new(&scenario());
        let found = violations(&decisions, &scenario(), &settings, &injected);
        prop_assert!(found.is_empty(), "{:?}", found);
        for (service, replicas) in &cluster.writes {
            let range = scenario().services[*service].replicas;
            prop_assert!((range.min..=range.max).contains(replicas));
        }
        for (window, decision) in decisions.iter().enumerate() {
            prop_assert_eq!(decision.window as usize, window);
            let outage = |i: &Injected| i.on(decision.time_s) && matches!(i.kind, InjectedKind::MetricOutage { .. });
            if injected.iter().any(outage) {
                prop_assert_eq!(decision.state, State::Fallback);
                prop_assert_ne!(decision.source, Source::Policy);
            }
        }
    }

    #[test]
    fn observe_and_paused_never_write(script in flaky(), injected in faults(), paused in any::<bool>()) {
        let mode = if paused { Mode::Paused } else { Mode::Observe };
        let (cluster, _) = run(script, mode, &injected);
        prop_assert!(cluster.writes.is_empty());
    }
}

#[test]
fn a_failed_write_is_told_to_the_guard_and_comes_again() {
    let mut script = vec![Script::changes([1, 0, 0]); 12];
    script[6].unwritable = [true; SERVICES];
    let (cluster, decisions) = run(script, Mode::Active, &[]);
    assert_eq!(decisions[6].state, State::Active);
    assert_eq!(decisions[6].desired[0], decisions[7].current[0] + 1);
    assert_eq!(decisions[7].reason, Reason::ApiError);
    assert_eq!(decisions[7].faults[0].service, Some(0));
    assert_eq!(cluster.desired[0], decisions[11].desired[0]);
}

#[test]
fn a_cluster_that_cannot_be_read_from_the_start_is_left_alone() {
    let mut script = vec![Script::changes([-1; SERVICES]); 10];
    for window in &mut script {
        window.unreadable = true;
    }
    let (cluster, decisions) = run(script, Mode::Active, &[]);
    assert!(cluster.writes.is_empty());
    assert!(
        decisions
            .iter()
            .all(|d| d.reason == Reason::ApiError && d.desired == [4, 4, 2])
    );
}
