use karma_moise::{Guidance, Guides, State};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::house::{DOWN, HOLD, UP, check, numbers, team, vocabulary};

struct Play {
    guides: Guides,
    state: State<1>,
    guidance: Guidance,
}

impl Play {
    fn new(organization: Value, roles: &[&str]) -> Self {
        let guides = check(organization)
            .unwrap()
            .compile(&vocabulary(), &team(roles))
            .unwrap();
        Self {
            state: guides.state(),
            guides,
            guidance: Guidance::default(),
        }
    }

    fn see(&mut self, rooms: [[f32; 2]; 3]) -> &[u8] {
        let numbers = numbers(rooms, 12.0);
        self.guides
            .numbers(&mut self.state)
            .copy_from_slice(&numbers);
        self.guides.observe(&mut self.state);
        self.guides.guidance(&self.state, 0, &mut self.guidance);
        &self.guidance.masks
    }

    fn reward(&self, choices: &[u8]) -> Vec<f32> {
        let mut rewards = vec![0.0; self.guides.agents()];
        self.guides.reward(&self.state, choices, &mut rewards);
        rewards
    }
}

const COLD: [f32; 2] = [10.0, 0.0];
const WARM: [f32; 2] = [25.0, 0.0];

fn rules(rules: Value) -> Value {
    json!({"roles": {"host": {}, "guest": {}, "butler": {"inherits": ["host"]}}, "rules": rules})
}

#[test]
fn a_rule_is_written_once_for_all_subjects() {
    let mut play = Play::new(
        rules(json!([
            {"id": "heat", "role": "host", "each": "s", "when": "heat(s) < 18", "then": {"allow": ["up(s)", "hold(s)"]}},
            {"id": "else", "role": "host", "each": "s", "when": "!(heat(s) < 18)", "then": {"allow": ["hold(s)"]}},
        ])),
        &["host", "guest", "butler"],
    );
    let masks = play.see([COLD, WARM, COLD]).to_vec();
    assert_eq!(masks[..3], [UP | HOLD, HOLD, UP | HOLD]);
    assert_eq!(masks[3..6], [0b111; 3], "the guest is free");
    assert_eq!(
        masks[6..],
        masks[..3],
        "the butler inherits the host's rules"
    );
    assert_eq!(play.guidance.fired, [true, false, true]);
}

#[test]
fn conditions_reach_over_sets_relations_and_facts() {
    let mut play = Play::new(
        rules(json!([
            {"id": "near", "role": "host", "each": "s", "when": "beside(s).exists(t, heat(t) < 18)", "then": {"allow": ["up(s)"]}},
            {"id": "door", "role": "guest", "each": "s", "when": "door(s) && doors.all(t, heat(t) < 18)", "then": {"forbid": ["down(beside(s))"]}},
        ])),
        &["host", "guest"],
    );
    let masks = play.see([COLD, WARM, WARM]);
    assert_eq!(masks, [0b111, UP, 0b111, 0b111, HOLD | UP, 0b111]);
}

#[test]
fn rules_intersect_and_a_conflict_is_skipped_and_counted() {
    // The checker sees that both may fire at once; at 20 exactly they do not, so it is run-time that
    // decides here: three rules of which no two contradict.
    let mut play = Play::new(
        rules(json!([
            {"id": "a", "role": "host", "when": "hour > 1", "then": {"allow": ["up(hall)", "hold(hall)"]}},
            {"id": "b", "role": "host", "when": "hour > 2", "then": {"allow": ["down(hall)", "hold(hall)"]}},
            {"id": "c", "role": "host", "when": "hour > 3", "then": {"forbid": ["hold(hall)"]}},
        ])),
        &["host"],
    );
    assert_eq!(play.see([COLD; 3])[0], HOLD);
    assert_eq!(play.guidance.conflicts, 1);
}

#[test]
fn time_windows_open_and_close() {
    let mut play = Play::new(
        rules(json!([
            {"id": "w", "role": "host", "during": {"from": 1, "to": 3}, "then": {"allow": ["hold(any)"]}},
        ])),
        &["host"],
    );
    let seen: Vec<u8> = (0..4).map(|_| play.see([COLD; 3])[0]).collect();
    assert_eq!(seen, [0b111, HOLD, HOLD, 0b111]);
    play.guides.reset(&mut play.state, 0);
    assert_eq!(play.see([COLD; 3])[0], 0b111);
}

#[test]
fn penalties_cost_and_preferences_pay_and_neither_masks() {
    let mut play = Play::new(
        rules(json!([
            {"id": "a", "role": "host", "when": "hour > 1", "then": {"allow": ["hold(hall)"]}, "hardness": 0, "penalty": -0.01},
            {"id": "b", "role": "host", "then": {"prefer": ["up(attic)"]}, "penalty": -0.002},
            {"id": "c", "role": "host", "then": {"avoid": ["down(attic)"]}, "penalty": -0.003},
        ])),
        &["host"],
    );
    assert_eq!(play.see([COLD; 3]), [0b111; 3]);
    assert_eq!(play.reward(&[1, 1, 1]), [0.0]);
    assert_eq!(play.reward(&[0, 1, 1]), [-0.01]);
    assert_eq!(play.reward(&[1, 1, 2]), [0.002]);
    assert_eq!(play.reward(&[1, 1, 0]), [-0.003]);
    assert!((play.reward(&[0, 1, 2])[0] + 0.008).abs() < 1e-7);
}

fn goal(goal: Value, kind: &str) -> Value {
    json!({
        "roles": {"host": {}},
        "reward": {"bound": 1e3, "epsilon": 0.1},
        "goals": {"g": goal},
        "missions": {"m": {"goals": [{"goal": "g", "weight": 0.5}]}},
        "norms": [{"id": "n", "kind": kind, "role": "host", "mission": "m", "during": {"to": 5}}],
    })
}

/// What the goal pays when the hall is warm at these steps.
fn paid(organization: Value, warm: &[bool]) -> Vec<f32> {
    let mut play = Play::new(organization, &["host"]);
    warm.iter()
        .map(|warm| {
            play.see([if *warm { WARM } else { COLD }; 3]);
            play.reward(&[1; 3])[0]
        })
        .collect()
}

#[test]
fn goals_pay_once_on_completion_every_step_or_densely() {
    let warm = [false, true, true, false, true];
    let with = |payout: &str| {
        goal(
            json!({"when": "heat(hall) > 20", "payout": payout, "value": "2"}),
            "obligation",
        )
    };
    assert_eq!(paid(with("once"), &warm), [0.0, 10.0, 0.0, 0.0, 0.0]);
    assert_eq!(
        paid(with("on_completion"), &warm),
        [0.0, 10.0, 0.0, 0.0, 10.0]
    );
    assert_eq!(
        paid(with("every_step"), &warm),
        [0.0, 10.0, 10.0, 0.0, 10.0]
    );
    let dense = json!({"payout": "dense", "value": "heat(hall) > 20 ? -3.0 : 0.5"});
    assert_eq!(
        paid(goal(dense, "obligation"), &warm),
        [2.5, -5.0, -5.0, 2.5, -5.0]
    );
}

#[test]
fn an_obligation_pays_eleven_times_a_permission_and_nothing_outside_its_window() {
    let with = |kind: &str| goal(json!({"when": "true", "payout": "every_step"}), kind);
    let (must, may) = (
        paid(with("obligation"), &[true; 6]),
        paid(with("permission"), &[true; 6]),
    );
    assert!((must[0] / may[0] - 11.0).abs() < 1e-5);
    assert!(must[4] > 0.0);
    assert_eq!(must[5], 0.0);
}

#[test]
fn the_sum_of_guides_is_bounded() {
    let mut organization = goal(
        json!({"when": "true", "payout": "every_step", "value": "50"}),
        "obligation",
    );
    organization["reward"]["bound"] = 0.1.into();
    let mut play = Play::new(organization, &["host", "host"]);
    play.see([COLD; 3]);
    assert_eq!(play.reward(&[1; 6]), [0.05, 0.05]);
}

#[test]
fn plans_are_followed_and_goals_can_be_asked_for() {
    let mut play = Play::new(
        json!({
            "roles": {"host": {}},
            "goals": {
                "warm": {"when": "heat(hall) > 20"}, "full": {"when": "people(hall) > 3"}, "party": {"value": "1"},
            },
            "plans": [{"goal": "party", "operator": "sequence", "goals": ["warm", "full"]}],
            "missions": {"m": {"goals": [{"goal": "party"}]}},
            "norms": [{"id": "n", "kind": "permission", "role": "host", "mission": "m"}],
            "labels": {"ready": {"when": "goal(warm)"}, "partying": {"when": "goal(party)"}},
        }),
        &["host"],
    );
    let labels = |play: &Play| play.guidance.labels.clone();
    assert_eq!(play.guides.label_names(), ["partying", "ready"]);
    play.see([[10.0, 5.0]; 3]);
    assert_eq!(
        play.reward(&[1; 3]),
        [0.0],
        "full before warm does not count"
    );
    play.see([[25.0, 0.0]; 3]);
    play.see([[10.0, 0.0]; 3]);
    assert_eq!(labels(&play), [false, true], "achieved goals stay");
    play.see([[10.0, 5.0]; 3]);
    assert!(play.reward(&[1; 3])[0] > 0.0);
    play.see([[10.0, 0.0]; 3]);
    assert_eq!(labels(&play), [true, true]);
}

#[test]
fn unmeasured_numbers_fire_no_comparison_and_pay_nothing() {
    let mut play = Play::new(
        rules(json!([
            {"id": "a", "role": "host", "when": "heat(hall) > 1 || heat(hall) <= 1", "then": {"allow": ["hold(any)"]}},
        ])),
        &["host"],
    );
    assert_eq!(play.see([[f32::NAN, 0.0]; 3])[0], 0b111);
    assert_eq!(play.see([WARM; 3])[0], HOLD);
    let dense = goal(
        json!({"payout": "dense", "value": "heat(hall)"}),
        "obligation",
    );
    let mut play = Play::new(dense, &["host"]);
    play.see([[f32::NAN, 0.0]; 3]);
    assert_eq!(play.reward(&[1; 3]), [0.0]);
}

/// A random rule: which of the three conditions, what it allows or forbids, of which room.
fn any_rule() -> impl Strategy<Value = (usize, bool, u8, usize)> {
    (0_usize..4, any::<bool>(), 1_u8..7, 0_usize..3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hard_rules_are_never_violated_unless_counted_and_masks_never_empty(
        list in prop::collection::vec(any_rule(), 1..6),
        heats in prop::collection::vec(0.0_f32..40.0, 3),
    ) {
        let conditions = ["heat(s) > 10", "heat(s) <= 20", "delta(heat(s), 1) >= 0", "any.exists(t, heat(t) > 30)"];
        let rooms = ["hall", "kitchen", "attic"];
        let written: Vec<Value> = list.iter().enumerate().map(|(i, (condition, allow, choices, room))| {
            let named = ["down", "hold", "up"].iter().enumerate()
                .filter(|(bit, _)| (choices >> bit) & 1 == 1)
                .map(|(_, name)| format!("{name}({})", rooms[*room])).collect::<Vec<_>>();
            let when = conditions[*condition].replace("(s)", &format!("({})", rooms[*room]));
            let then = if *allow { json!({"allow": named}) } else { json!({"forbid": named}) };
            json!({"id": format!("r{i}"), "role": "host", "when": when, "then": then})
        }).collect();
        let organization = check(rules(written.into())).unwrap();
        // Contradictions are found at compile time; what compiles is run.
        if let Ok(guides) = organization.compile(&vocabulary(), &team(&["host"])) {
            let mut state = guides.state();
            let mut guidance = Guidance::default();
            let seen = [[heats[0], 0.0], [heats[1], 0.0], [heats[2], 0.0]];
            guides.numbers(&mut state).copy_from_slice(&numbers(seen, 0.0));
            guides.observe(&mut state);
            guides.guidance(&state, 0, &mut guidance);
            prop_assert!(guidance.masks.iter().all(|m| *m != 0 && *m < 8));
            for (condition, allow, choices, room) in list {
                let heat = heats[room];
                let fires = [heat > 10.0, heat <= 20.0, true, heats.iter().any(|h| *h > 30.0)][condition];
                let allowed = if allow { choices } else { 0b111 & !choices };
                let kept = guidance.masks[room] & !allowed == 0;
                prop_assert!(!fires || kept || guidance.conflicts > 0);
            }
        }
    }
}

#[test]
fn down_is_what_it_says() {
    let mut play = Play::new(
        rules(
            json!([{"id": "a", "role": "host", "then": {"allow": ["down(any)", "up_by(1, hall)"]}}]),
        ),
        &["host"],
    );
    assert_eq!(play.see([COLD; 3]), [DOWN | UP, DOWN, DOWN]);
}
