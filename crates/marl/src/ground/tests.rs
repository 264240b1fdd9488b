mod feasibility;

use std::path::Path;

use karma_cluster::{
    Scenario, ServiceMetrics,
    action::{ALPHA, HOLD, index},
    scenario, yaml,
};
use karma_moise::{Organization, RawOrganization};
use proptest::prelude::*;

use super::{Guidance, Guides, History};

const KARMA: &str = include_str!("../../../../scenarios/organizations/karma.yaml");
const PIPELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/pipeline.yaml");

fn pipeline() -> Scenario {
    scenario::load(Path::new(PIPELINE)).unwrap().scenario
}

fn organization() -> Organization {
    let raw: RawOrganization = yaml::read(KARMA, Path::new("karma.yaml")).unwrap();
    Organization::check(raw).unwrap()
}

fn guides() -> Guides {
    Guides::new(&organization(), &pipeline()).unwrap()
}

/// The pipeline serving `rate` at every service with these ready pods and no trouble.
fn serving(rate: f32, ready: [f32; 4]) -> Vec<ServiceMetrics> {
    let per_replica = [100.0, 80.0, 150.0, 300.0];
    let cpu = [500.0, 400.0, 600.0, 700.0];
    (0..4)
        .map(|s| {
            let share = (rate / per_replica[s] / ready[s]).min(1.0);
            ServiceMetrics {
                replicas_desired: ready[s],
                replicas_ready: ready[s],
                replicas_failed: 0.0,
                replicas_pending: 0.0,
                queued: 0.0,
                cpu_millicores: share * ready[s] * cpu[s],
                memory_mib: 100.0,
                in_rate_rps: rate,
                out_rate_rps: rate,
                latency_p50_ms: 20.0,
                latency_p95_ms: 60.0,
                latency_p99_ms: 100.0,
                errors_ps: 0.0,
                restarts: 0.0,
            }
        })
        .collect()
}

const NOMINAL: [f32; 4] = [3.0, 3.0, 2.0, 1.0];

/// Agents in the order of the default team.
const BOTTLENECK: usize = 0;
const DDOS: usize = 1;
const FAILURE: usize = 2;
const RESOURCE: usize = 3;

struct Play {
    guides: Guides,
    history: History,
    guidance: Guidance,
}

impl Play {
    fn new() -> Self {
        let guides = guides();
        Self {
            history: guides.history(),
            guides,
            guidance: Guidance::default(),
        }
    }

    fn see(&mut self, now: &[ServiceMetrics]) {
        self.guides.observe(&mut self.history, now);
        self.guides.guidance(&self.history, 0, &mut self.guidance);
    }

    fn allows(&self, agent: usize, service: usize, change: i32) -> bool {
        (self.guidance.masks[agent * 4 + service] >> index(change)) & 1 == 1
    }

    fn holds(&self, label: &str) -> bool {
        let names = self.guides.label_names();
        let at = names.iter().position(|n| n == label);
        self.guidance.labels[at.unwrap()]
    }
}

#[test]
fn in_calm_nobody_but_the_bottleneck_and_resource_managers_may_act() {
    let mut play = Play::new();
    for _ in 0..25 {
        play.see(&serving(200.0, NOMINAL));
    }
    assert!(!play.holds("surge") && !play.holds("trouble"));
    for service in 0..4 {
        for change in [-1, 1] {
            assert!(!play.allows(DDOS, service, change));
            assert!(!play.allows(FAILURE, service, change));
        }
        for agent in 0..4 {
            assert!(play.allows(agent, service, 0));
        }
    }
    assert!(play.guidance.fired.iter().all(|fired| *fired));
}

#[test]
fn in_the_first_window_of_a_surge_the_whole_chain_may_rise_by_three() {
    let mut play = Play::new();
    for _ in 0..25 {
        play.see(&serving(200.0, NOMINAL));
    }
    // Half a window of a flood to four times the rate, of which nothing has reached d yet.
    let mut now = serving(200.0, NOMINAL);
    now[0].in_rate_rps = 500.0;
    now[0].out_rate_rps = 300.0;
    play.see(&now);
    assert!(play.holds("surge"));
    for service in 0..4 {
        assert!(play.allows(DDOS, service, ALPHA));
        for agent in 0..4 {
            assert!(!play.allows(agent, service, -1), "nobody lowers in a surge");
        }
    }
    assert_eq!(play.guidance.conflicts, 0);
}

#[test]
fn after_the_surge_the_chain_may_be_lowered_step_by_step() {
    let mut play = Play::new();
    for _ in 0..20 {
        play.see(&serving(800.0, [9.0, 11.0, 6.0, 3.0]));
    }
    for _ in 0..2 {
        play.see(&serving(200.0, [9.0, 11.0, 6.0, 3.0]));
    }
    assert!(play.holds("calm"));
    for service in 0..4 {
        assert!(play.allows(RESOURCE, service, -1));
        assert!(!play.allows(RESOURCE, service, -2));
        assert!(!play.allows(BOTTLENECK, service, -1));
    }
}

#[test]
fn a_queue_lets_its_service_and_the_one_before_rise_and_nothing_fall() {
    let mut play = Play::new();
    for _ in 0..25 {
        play.see(&serving(100.0, [3.0, 4.0, 3.0, 2.0]));
    }
    let mut now = serving(100.0, [3.0, 4.0, 3.0, 2.0]);
    now[2].queued = 150.0;
    play.see(&now);
    assert!(play.holds("queue_high(c)"));
    let may_rise = [false, true, true, false];
    for (service, may) in may_rise.into_iter().enumerate() {
        assert_eq!(play.allows(BOTTLENECK, service, 1), may, "{service}");
        assert!(!play.allows(RESOURCE, service, -1));
    }
}

#[test]
fn lost_pods_let_the_failure_manager_replace_them() {
    let mut play = Play::new();
    for _ in 0..25 {
        play.see(&serving(100.0, [3.0, 4.0, 3.0, 2.0]));
    }
    let mut now = serving(100.0, [3.0, 4.0, 3.0, 2.0]);
    now[1].replicas_ready = 2.0;
    now[1].replicas_pending = 2.0;
    play.see(&now);
    assert!(play.holds("failing(b)") && !play.holds("failing(c)"));
    assert!(play.allows(FAILURE, 1, 2) && !play.allows(FAILURE, 2, 1));
    // Nobody failed where the team itself asked for fewer.
    let mut fewer = serving(100.0, [3.0, 2.0, 3.0, 2.0]);
    fewer[1].replicas_desired = 2.0;
    let mut play = Play::new();
    play.see(&serving(100.0, [3.0, 4.0, 3.0, 2.0]));
    play.see(&fewer);
    assert!(!play.holds("failing(b)"));
}

#[test]
fn what_is_not_measured_lowers_nothing() {
    let mut play = Play::new();
    for _ in 0..25 {
        play.see(&serving(100.0, [9.0, 9.0, 9.0, 9.0]));
    }
    assert!(play.allows(RESOURCE, 0, -1));
    play.see(&[ServiceMetrics::MISSING; 4]);
    for mask in &play.guidance.masks {
        assert_eq!(*mask, 1 << HOLD);
    }
}

#[test]
fn all_bonuses_of_a_window_stay_below_a_tenth() {
    let mut play = Play::new();
    let mut now = serving(800.0, NOMINAL);
    for service in &mut now {
        service.queued = 1e6;
        service.errors_ps = 800.0;
        service.latency_p95_ms = 1e6;
        service.replicas_failed = 9.0;
    }
    play.see(&now);
    let mut rewards = [0.0; 4];
    play.guides.reward(&play.history, &[HOLD; 16], &mut rewards);
    let sum: f32 = rewards.iter().sum();
    assert!((-0.1..=-0.05).contains(&sum), "{rewards:?}");
    assert!(rewards[BOTTLENECK] < -0.02);
}

#[test]
fn without_an_organization_everything_is_allowed_and_nothing_paid() {
    let scenario = pipeline();
    let guides = Guides::none(&scenario);
    let mut history: History = guides.history();
    let mut guidance = Guidance::default();
    guides.observe(&mut history, &serving(200.0, NOMINAL));
    guides.guidance(&history, 0, &mut guidance);
    assert_eq!(guidance.masks, [0x7f; 16]);
    assert_eq!(guidance.fired, [false; 4]);
    let mut rewards = [0.0; 4];
    guides.reward(&history, &[HOLD; 16], &mut rewards);
    assert_eq!(rewards, [0.0; 4]);
}

#[test]
fn a_history_survives_a_file() {
    let mut play = Play::new();
    play.see(&serving(200.0, NOMINAL));
    play.see(&[ServiceMetrics::MISSING; 4]);
    let text = serde_json::to_string(&play.history).unwrap();
    let mut back: History = serde_json::from_str(&text).unwrap();
    for rate in [300.0, 200.0] {
        play.see(&serving(rate, NOMINAL));
        let mut guidance = Guidance::default();
        play.guides.observe(&mut back, &serving(rate, NOMINAL));
        play.guides.guidance(&back, 0, &mut guidance);
        assert_eq!(guidance, play.guidance);
    }
}

fn any_metrics() -> impl Strategy<Value = ServiceMetrics> {
    let number = prop_oneof![
        6 => 0.0_f32..20.0,
        3 => 0.0_f32..2000.0,
        1 => Just(f32::NAN),
        1 => Just(f32::INFINITY),
    ];
    prop::array::uniform14(number).prop_map(ServiceMetrics::from_array)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn masks_are_never_empty_and_holding_is_always_allowed(
        windows in prop::collection::vec(prop::array::uniform4(any_metrics()), 1..40)
    ) {
        let mut play = Play::new();
        for now in &windows {
            play.see(now);
            prop_assert_eq!(play.guidance.conflicts, 0);
            for mask in &play.guidance.masks {
                prop_assert!(mask & (1 << HOLD) != 0 && *mask < 0x80);
            }
            let mut rewards = [0.0; 4];
            play.guides.reward(&play.history, &[HOLD; 16], &mut rewards);
            prop_assert!(rewards.iter().all(|r| r.abs() <= 0.0251));
        }
    }

    #[test]
    fn games_side_by_side_are_guided_as_each_would_be_alone(
        games in 1_usize..=16,
        windows in prop::collection::vec(
            (prop::collection::vec(any_metrics(), 64), prop::collection::vec(0_u8..7, 256), any::<u16>(), any::<u16>()),
            1..30,
        ),
    ) {
        let guides = guides();
        let mut together: History<16> = guides.history();
        let mut alone: Vec<History> = vec![guides.history(); games];
        let (mut guidance, mut expected) = (Guidance::default(), Guidance::default());
        for (now, choices, a, b) in windows {
            let (now, choices) = (&now[..games * 4], &choices[..games * 16]);
            guides.observe(&mut together, now);
            let (mut masks, mut rewards) = (vec![0; games * 16], vec![1.0; games * 4]);
            guides.masks(&together, &mut masks);
            guides.reward(&together, choices, &mut rewards);
            for (game, alone) in alone.iter_mut().enumerate() {
                guides.observe(alone, &now[game * 4..][..4]);
                guides.guidance(alone, 0, &mut expected);
                guides.guidance(&together, game, &mut guidance);
                prop_assert_eq!(&guidance, &expected);
                prop_assert_eq!(&masks[game * 16..][..16], &expected.masks);
                let mut paid = [1.0_f32; 4];
                guides.reward(alone, &choices[game * 16..][..16], &mut paid);
                let of_game = rewards[game * 4..][..4].iter().map(|reward| reward.to_bits());
                prop_assert_eq!(of_game.collect::<Vec<u32>>(), paid.map(f32::to_bits));
                // One game in four begins anew.
                if (a & b) >> game & 1 == 1 {
                    guides.reset(alone, 0);
                    guides.reset(&mut together, game);
                }
            }
        }
    }
}
