//! Rules that Kubernetes' own cases do not pin, over random inputs.

use std::collections::BTreeMap;

use karma_cluster::{
    PodPhase,
    hpa::{
        Behavior, Constants, Container, ContainerKind, ContainerUsage, Direction, Gates, HpaInput,
        HpaSpec, HpaState, Metric, MetricTarget, Pod, PodResources, Policy, PolicyKind, Proposal,
        Reading, ReadyCondition, Recommendation, Rules, Sample, Scale, ScaleEvent, Select,
        Selector, Write, change_in_period, group_pods, limit_by_rate, limit_in_direction,
        limit_without_behavior, propose, reconcile, stabilize, stabilize_with_behavior,
        store_event,
    },
};
use proptest::prelude::*;

const REQUEST_MILLI: i64 = 1000;

fn pod(index: usize, start_s_ago: f64) -> Pod {
    Pod {
        name: format!("pod-{index}"),
        phase: PodPhase::Running,
        deleted: false,
        start_s_ago: Some(start_s_ago),
        ready: Some(ReadyCondition {
            ready: true,
            changed_s_ago: start_s_ago,
        }),
        resources: PodResources {
            containers: vec![Container {
                name: "main".to_owned(),
                kind: ContainerKind::Main,
                request_milli: Some(REQUEST_MILLI),
            }],
            pod_level_milli: None,
        },
    }
}

fn sample(index: usize, milli: i64) -> Sample {
    Sample {
        pod: format!("pod-{index}"),
        usage: vec![ContainerUsage {
            name: "main".to_owned(),
            milli,
        }],
        sample_s_ago: 0.0,
        window_s: 30.0,
    }
}

const OLD_S: f64 = 10_000.0;

fn with_tolerance(down: f64, up: f64, target_pct: i32) -> HpaSpec {
    let mut behavior = Behavior::default();
    behavior.scale_down.tolerance = Some(down);
    behavior.scale_up.tolerance = Some(up);
    HpaSpec {
        behavior: Some(behavior),
        gates: Gates {
            configurable_tolerance: true,
            ..Gates::default()
        },
        ..HpaSpec::cpu_utilization(1, i32::MAX, target_pct)
    }
}

/// `ready` old pods using `usage_milli` each, `young` pods that just started and `missing` ones.
fn calculate(
    spec: &HpaSpec,
    current: i32,
    usage_milli: i64,
    (ready, young, missing): (usize, usize, usize),
) -> Option<Proposal> {
    let pods: Vec<Pod> = (0..ready + young + missing)
        .map(|index| {
            let is_young = (ready..ready + young).contains(&index);
            pod(index, if is_young { 0.0 } else { OLD_S })
        })
        .collect();
    let samples = (0..ready + young).map(|i| sample(i, usage_milli)).collect();
    propose(
        spec,
        &spec.metrics[0],
        current,
        current,
        &pods,
        &Reading::Pods(samples),
    )
    .ok()
}

fn ceil_div(a: i64, b: i64) -> i64 {
    (a + b - 1) / b
}

/// The two passes over utilizations, in integers: an oracle of its own shape, without tolerance.
fn two_passes(
    current: i64,
    usage: i64,
    target: i64,
    (ready, young, missing): (i64, i64, i64),
) -> i64 {
    let first = usage * 100 / REQUEST_MILLI;
    let (counted, total) = if first > target {
        (ready + young + missing, ready * usage)
    } else if first < target {
        let stand_in = REQUEST_MILLI * target.max(100) / 100;
        (ready + missing, ready * usage + missing * stand_in)
    } else {
        return current;
    };
    let second = total * 100 / (counted * REQUEST_MILLI);
    let proposed = ceil_div(second * counted, target);
    let second_pass = missing > 0 || (young > 0 && first > target);
    if !second_pass {
        return proposed;
    }
    let turned = (first - target).signum() * (second - target).signum() < 0;
    let against =
        (second < target && proposed > current) || (second > target && proposed < current);
    if second == target || turned || against {
        current
    } else {
        proposed
    }
}

proptest! {
    #[test]
    fn unready_pods_count_zero_up_and_not_at_all_down(
        usage in 1_i64..4000, target in 1_i32..300, current in 1_i32..30,
        ready in 1_usize..10, young in 0_usize..6, missing in 0_usize..6,
    ) {
        // Products of ratio and count differ from exact division only in the last bit; a target
        // that is a power of two makes the ratio exact.
        let target = 1 << (target.ilog2());
        let spec = with_tolerance(0.0, 0.0, target);
        let got = calculate(&spec, current, usage, (ready, young, missing)).map(|p| i64::from(p.replicas));
        let expected = two_passes(
            i64::from(current), usage, i64::from(target), (ready as i64, young as i64, missing as i64),
        );
        prop_assert_eq!(got, Some(expected));
    }

    #[test]
    fn unready_and_missing_pods_never_raise_a_scale_up_past_the_measured_usage(
        usage in 1_i64..4000, target in 1_i32..100, ready in 1_usize..10, young in 0_usize..6, missing in 0_usize..6,
    ) {
        // As above: 29 / 7 · 14 is 58 and a last bit, of which the controller makes 59 replicas.
        let target = 1 << (target.ilog2());
        let spec = HpaSpec::cpu_utilization(1, i32::MAX, target);
        let current = (ready + young + missing) as i32;
        let got = calculate(&spec, current, usage, (ready, young, missing)).map(|p| i64::from(p.replicas));
        if usage * 100 / REQUEST_MILLI > i64::from(target) {
            let measured = ceil_div(ready as i64 * usage * 100, REQUEST_MILLI * i64::from(target));
            prop_assert!(got <= Some(measured.max(i64::from(current))));
            prop_assert!(got >= Some(i64::from(current)));
        }
    }

    #[test]
    fn both_edges_belong_to_the_tolerance(steps in 1_i32..32, ready in 1_usize..10, current in 1_i32..30) {
        // Sixty-fourths and a target of 64 % make every ratio here exact.
        let tolerance = f64::from(steps) / 64.0;
        let spec = with_tolerance(tolerance, tolerance, 64);
        let at = |pct: i32| calculate(&spec, current, i64::from(pct) * 10, (ready, 0, 0)).map(|p| p.replicas);
        let ceil = |pct: i32| Some(ceil_div(i64::from(pct) * ready as i64, 64) as i32);
        prop_assert_eq!(at(64 + steps), Some(current));
        prop_assert_eq!(at(64 - steps), Some(current));
        prop_assert_eq!(at(64 + steps + 1), ceil(64 + steps + 1));
        prop_assert_eq!(at(64 - steps - 1), ceil(64 - steps - 1));
    }

    #[test]
    fn percent_up_rounds_up_and_percent_down_truncates(base in 0_i32..10_000, quarters in 0_i32..=8) {
        let rules = |direction| Rules {
            policies: vec![Policy { kind: PolicyKind::Percent, value: 25 * quarters, period_s: 60.0 }],
            ..Rules::default_for(direction)
        };
        let up = limit_in_direction(base, Direction::Up, &rules(Direction::Up), &[], &[], 0.0);
        prop_assert_eq!(i64::from(up), ceil_div(i64::from(base) * i64::from(4 + quarters), 4));
        let down = limit_in_direction(base, Direction::Down, &rules(Direction::Down), &[], &[], 0.0);
        // Toward zero, also below it.
        prop_assert_eq!(down, base * (4 - quarters) / 4);
    }

    #[test]
    fn an_event_as_old_as_its_period_is_past(ages in prop::collection::vec(0_i32..200, 0..12), period in 1_i32..200) {
        let events: Vec<ScaleEvent> = ages
            .iter()
            .map(|age| ScaleEvent { change: 1, at_s: -f64::from(*age), outdated: false })
            .collect();
        let young = ages.iter().filter(|age| **age < period).count();
        prop_assert_eq!(change_in_period(&events, f64::from(period), 0.0), young as i32);

        let rules = Rules {
            policies: vec![Policy { kind: PolicyKind::Pods, value: 1, period_s: f64::from(period) }],
            ..Rules::default_for(Direction::Up)
        };
        let mut stored = events.clone();
        store_event(&mut stored, 7, Some(&rules), 0.0);
        let older = ages.iter().filter(|age| **age > period).count();
        let outdated = stored.iter().filter(|event| event.outdated).count();
        prop_assert_eq!(outdated, older.saturating_sub(1));
        prop_assert_eq!(stored.len(), if older > 0 { events.len() } else { events.len() + 1 });
        prop_assert_eq!(stored.iter().filter(|event| event.change == 7).count(), 1);
    }

    #[test]
    fn a_recommendation_as_old_as_the_window_counts_only_without_behavior(
        log in prop::collection::vec((0_i32..40, 0_i32..400), 0..12), proposed in 0_i32..40, current in 0_i32..40,
        up in 0_i32..400, down in 0_i32..400,
    ) {
        let logged: Vec<Recommendation> = log
            .iter()
            .map(|(replicas, age)| Recommendation { replicas: *replicas, at_s: -f64::from(*age) })
            .collect();
        let mut plain = logged.clone();
        let highest = log.iter().filter(|(_, age)| *age <= down).map(|(r, _)| *r).max();
        prop_assert_eq!(
            stabilize(&mut plain, f64::from(down), proposed, 0.0),
            highest.map_or(proposed, |h| h.max(proposed))
        );
        let mut with = logged.clone();
        let highest = log.iter().filter(|(_, age)| *age < down).map(|(r, _)| *r).fold(proposed, i32::max);
        let lowest = log.iter().filter(|(_, age)| *age < up).map(|(r, _)| *r).fold(proposed, i32::min);
        prop_assert_eq!(
            stabilize_with_behavior(&mut with, current, proposed, f64::from(up), f64::from(down), 0.0),
            current.clamp(lowest, highest)
        );
        let past = |age: i32| age > up.max(down);
        let expected_length = logged.len() + usize::from(!log.iter().any(|(_, age)| past(*age)));
        prop_assert_eq!(with.len(), expected_length);
    }

    #[test]
    fn initialization_ends_at_its_exact_age(age in 0_i32..600, period in 1_i32..600) {
        let constants = Constants { cpu_initialization_period_s: f64::from(period), ..Constants::default() };
        // The sample is younger than one window since readiness: distrusted while initializing.
        let mut young = pod(0, f64::from(age));
        young.ready = Some(ReadyCondition { ready: true, changed_s_ago: 10.0 });
        let groups = group_pods(&[young], &[sample(0, 1)], true, &constants);
        prop_assert_eq!(groups.ready, usize::from(age >= period));
    }

    #[test]
    fn without_behavior_one_sync_reaches_the_factor_and_no_more(
        current in 0_i32..1000, desired in 0_i32..100_000, factor in 1_i32..10, minimum in 0_i32..20,
    ) {
        let constants = Constants {
            legacy_scale_up_limit_factor: f64::from(factor),
            legacy_scale_up_limit_minimum: f64::from(minimum),
            ..Constants::default()
        };
        let got = limit_without_behavior(current, desired, 0, i32::MAX, &constants);
        prop_assert_eq!(got.replicas, desired.min((factor * current).max(minimum)));
    }

    #[test]
    fn a_rate_limit_never_moves_past_current(
        current in 1_i32..100, desired in 1_i32..100, value in 0_i32..50, percent in 0_i32..200,
        ups in prop::collection::vec((1_i32..60, 0_i32..120), 0..6),
        downs in prop::collection::vec((1_i32..60, 0_i32..120), 0..6),
        select in prop::sample::select(vec![Select::Max, Select::Min, Select::Disabled]),
    ) {
        let events = |log: &[(i32, i32)]| -> Vec<ScaleEvent> {
            log.iter()
                .map(|(change, age)| ScaleEvent { change: *change, at_s: -f64::from(*age), outdated: false })
                .collect()
        };
        let rules = Rules {
            select,
            policies: vec![
                Policy { kind: PolicyKind::Pods, value, period_s: 60.0 },
                Policy { kind: PolicyKind::Percent, value: percent, period_s: 30.0 },
            ],
            stabilization_s: Some(0.0),
            tolerance: None,
        };
        let behavior = Behavior { scale_up: rules.clone(), scale_down: rules };
        let got = limit_by_rate(current, desired, (1, 100), &behavior, &events(&ups), &events(&downs), 0.0).replicas;
        prop_assert!((current.min(desired)..=current.max(desired)).contains(&got));
        if select == Select::Disabled {
            prop_assert_eq!(got, current);
        }
    }
}

/// One reconcile of the random histories below.
#[derive(Clone, Debug)]
struct Sync {
    usage: Option<i64>,
    external: Option<i64>,
    gap_s: u8,
}

fn syncs() -> impl Strategy<Value = Vec<Sync>> {
    let sync = (
        prop::option::weighted(0.8, 0_i64..3000),
        prop::option::weighted(0.8, 0_i64..20_000),
        1_u8..90,
    )
        .prop_map(|(usage, external, gap_s)| Sync {
            usage,
            external,
            gap_s,
        });
    prop::collection::vec(sync, 1..40)
}

fn two_metrics(behavior: bool) -> HpaSpec {
    let mut spec = HpaSpec::cpu_utilization(2, 12, 60);
    spec.metrics.push(Metric::External {
        target: MetricTarget::AverageValue { milli: 1000 },
    });
    spec.behavior = behavior.then(Behavior::default);
    spec
}

fn input(now_s: f64, replicas: i32, sync: &Sync) -> HpaInput {
    let count = replicas as usize;
    let failed = || karma_cluster::hpa::MetricError::Api;
    HpaInput {
        now_s,
        scale: Some(Scale {
            spec_replicas: replicas,
            status_replicas: replicas,
        }),
        selector: Selector::Clear,
        pods: (0..count).map(|i| pod(i, OLD_S)).collect(),
        readings: vec![
            sync.usage
                .map(|usage| Reading::Pods((0..count).map(|i| sample(i, usage)).collect()))
                .ok_or_else(failed),
            sync.external
                .map(|value| Reading::Series(vec![value]))
                .ok_or_else(failed),
        ],
        write: Write::Succeeds,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn histories_stay_in_bounds_shrink_on_whole_data_only_and_not_in_the_first_window(
        history in syncs(), behavior in any::<bool>(), start in 2_i32..=12,
    ) {
        let spec = two_metrics(behavior);
        let mut state = HpaState::default();
        let mut replicas = start;
        let mut now_s = 0.0;
        for sync in &history {
            let (next, outcome) = reconcile(&spec, state, &input(now_s, replicas, sync));
            state = next;
            let desired = outcome.desired.unwrap_or(replicas);
            prop_assert!((2..=12).contains(&desired));
            prop_assert_eq!(outcome.scaled, desired != replicas);
            if sync.usage.is_none() || sync.external.is_none() {
                prop_assert!(desired >= replicas, "shrank on partial data");
            }
            if now_s < 300.0 {
                prop_assert!(desired >= start, "shrank below its first count in the first window");
            }
            if desired > replicas {
                let least = if behavior { replicas + 4 } else { 4 };
                prop_assert!(desired <= least.max(2 * replicas));
            }
            replicas = desired;
            now_s += f64::from(sync.gap_s);
        }
    }

    #[test]
    fn the_same_input_gives_the_same_outcome_and_state_survives_being_stored(history in syncs()) {
        let spec = two_metrics(true);
        let mut state = HpaState::default();
        let mut replicas = 4;
        let mut now_s = 0.0;
        for sync in &history {
            let text = serde_json::to_string(&state).map_err(|e| TestCaseError::fail(e.to_string()))?;
            let stored: HpaState = serde_json::from_str(&text).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(&stored, &state);
            let input = input(now_s, replicas, sync);
            let first = reconcile(&spec, state.clone(), &input);
            prop_assert_eq!(&first, &reconcile(&spec, stored, &input));
            (state, replicas) = (first.0, first.1.desired.unwrap_or(replicas));
            now_s += f64::from(sync.gap_s);
        }
    }
}

#[test]
fn a_seeded_state_holds_its_count_for_one_window() {
    let spec = HpaSpec::cpu_utilization(1, 12, 80);
    let mut state = HpaState::seeded(9, 100.0);
    let idle = Sync {
        usage: Some(0),
        external: None,
        gap_s: 0,
    };
    let mut counts = BTreeMap::new();
    for now in [100.0, 399.0, 400.0, 401.0] {
        let mut input = input(now, 9, &idle);
        input.readings.truncate(1);
        let (next, outcome) = reconcile(&spec, state, &input);
        state = next;
        counts.insert(now as i32, outcome.desired);
    }
    // As old as the window still counts; older does not.
    assert_eq!(
        counts.into_iter().collect::<Vec<_>>(),
        [
            (100, Some(9)),
            (399, Some(9)),
            (400, Some(9)),
            (401, Some(1))
        ]
    );
}
