//! Games side by side: each as if it were alone.

use karma_moise::{Guidance, Guides, State};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::house::{check, team, vocabulary};

const GAMES: usize = 16;
const ROLES: [&str; 3] = ["host", "guest", "butler"];
const CONDITIONS: [&str; 7] = [
    "heat(s) > 10",
    "heat(s) <= 20 || people(s) > 2",
    "delta(heat(s), 2) >= 0",
    "heat(s) > mean(heat(s), 4) && hour > 3",
    "any.exists(t, heat(t) > 30)",
    "goal(warm) || !goal(party)",
    "door(s) ? people(s) < 3 : delta(people(s), 1) > 0",
];

/// Condition, what follows, choices, room, role, and the step from which it binds.
type Written = (usize, usize, u8, usize, usize, u32);

fn any_rule() -> impl Strategy<Value = Written> {
    (
        0_usize..7,
        0_usize..6,
        1_u8..7,
        0_usize..3,
        0_usize..3,
        0_u32..6,
    )
}

fn rule(name: usize, (condition, then, choices, room, role, from): Written) -> Value {
    let room = ["hall", "kitchen", "attic"][room];
    let named: Vec<String> = ["down", "hold", "up"]
        .iter()
        .enumerate()
        .filter(|(bit, _)| (choices >> bit) & 1 == 1)
        .map(|(_, name)| format!("{name}({room})"))
        .collect();
    let kind = ["allow", "forbid", "allow", "forbid", "prefer", "avoid"][then];
    let mut rule = json!({
        "id": format!("r{name}"), "role": ROLES[role],
        "when": CONDITIONS[condition].replace("(s)", &format!("({room})")), "then": {kind: named},
    });
    // The checker finds hard rules that contradict each other, so most are soft.
    if then > 1 {
        rule["hardness"] = 0.into();
        rule["penalty"] = json!(-0.01 * f64::from(choices));
    }
    if from > 2 {
        rule["during"] = json!({"from": from - 2, "to": from + 3});
    }
    rule
}

fn organization(rules: &[Written], operator: usize, payout: usize, maintained: bool) -> Value {
    let operator = ["sequence", "choice", "parallel"][operator];
    let payout = ["once", "on_completion", "every_step"][payout];
    let kind = if maintained {
        "maintenance"
    } else {
        "achievement"
    };
    let rules = rules
        .iter()
        .enumerate()
        .map(|(name, written)| rule(name, *written));
    let mission = |goal: &str| json!({"goals": [{"goal": goal, "weight": 0.3}]});
    json!({
        "roles": {"host": {}, "guest": {}, "butler": {"inherits": ["host"]}},
        "reward": {"bound": 2.0, "epsilon": 0.1},
        "rules": rules.collect::<Vec<_>>(),
        "labels": {"cold": {"each": "s", "when": "heat(s) < 18"}, "partying": {"when": "goal(party)"}},
        "goals": {
            "warm": {"when": "heat(hall) > 20", "payout": payout, "kind": kind},
            "full": {"when": "people(hall) > 3", "kind": kind},
            "party": {"value": "0.7", "payout": payout},
            "cosy": {"payout": "dense", "value": "delta(heat(hall), 3) / mean(people(attic), 3)"},
        },
        "plans": [{"goal": "party", "operator": operator, "goals": ["warm", "full"]}],
        "missions": {"a": mission("party"), "b": mission("cosy"), "c": mission("warm")},
        "norms": [
            {"id": "a", "kind": "permission", "role": "host", "mission": "a"},
            {"id": "b", "kind": "obligation", "role": "guest", "mission": "b", "during": {"from": 1, "to": 9}},
            {"id": "c", "kind": "obligation", "role": "host", "mission": "c"},
        ],
    })
}

fn any_number() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => 0.0_f32..40.0,
        3 => (0_u8..6).prop_map(f32::from),
        1 => Just(f32::NAN),
    ]
}

/// Sixteen games together, and the same alone.
struct Plays {
    guides: Guides,
    together: State<GAMES>,
    alone: Vec<State<1>>,
}

impl Plays {
    /// Plays a step of both kinds.
    fn step(&mut self, numbers: &[[f32; GAMES]], ended: u16) {
        for (game, alone) in self.alone.iter_mut().enumerate() {
            if (ended >> game) & 1 == 1 {
                self.guides.reset(&mut self.together, game);
                self.guides.reset(alone, 0);
            }
            let of_game: Vec<[f32; 1]> = numbers.iter().map(|lanes| [lanes[game]]).collect();
            self.guides.numbers(alone).copy_from_slice(&of_game);
            self.guides.observe(alone);
        }
        let of_games = self.guides.numbers(&mut self.together);
        of_games.copy_from_slice(numbers);
        self.guides.observe(&mut self.together);
    }

    /// Compares what is said of the first `games` and what their choices pay.
    fn compare(&self, games: usize, choices: &[u8]) -> Result<(), TestCaseError> {
        let heads = ROLES.len() * 3;
        let mut masks = vec![0; games * heads];
        self.guides.masks(&self.together, &mut masks);
        let mut rewards = vec![0.5; games * ROLES.len()];
        let choices = &choices[..games * heads];
        self.guides.reward(&self.together, choices, &mut rewards);
        let (mut said, mut expected) = (Guidance::default(), Guidance::default());
        for (game, alone) in self.alone[..games].iter().enumerate() {
            self.guides.guidance(&self.together, game, &mut said);
            self.guides.guidance(alone, 0, &mut expected);
            prop_assert_eq!(&said, &expected);
            prop_assert_eq!(&masks[game * heads..][..heads], &expected.masks);
            let mut paid = [0.5; ROLES.len()];
            let choices = &choices[game * heads..][..heads];
            self.guides.reward(alone, choices, &mut paid);
            let of_game = &rewards[game * ROLES.len()..][..ROLES.len()];
            prop_assert_eq!(
                of_game.iter().map(|r| r.to_bits()).collect::<Vec<_>>(),
                paid.map(f32::to_bits)
            );
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_guides_say_of_a_game_does_not_depend_on_those_beside_it(
        rules in prop::collection::vec(any_rule(), 1..10),
        (operator, payout, maintained) in (0_usize..3, 0_usize..3, any::<bool>()),
        games in 1..=GAMES,
        steps in prop::collection::vec(
            (
                prop::array::uniform7(prop::array::uniform16(any_number())),
                prop::array::uniform3(any::<u16>()),
                prop::collection::vec(0_u8..3, GAMES * 9),
            ),
            1..14,
        ),
    ) {
        let organization = check(organization(&rules, operator, payout, maintained)).unwrap();
        // Contradictions are found at compile time; what compiles is run.
        if let Ok(guides) = organization.compile(&vocabulary(), &team(&ROLES)) {
            let (together, alone) = (guides.state(), vec![guides.state(); GAMES]);
            let mut plays = Plays { guides, together, alone };
            for (numbers, [a, b, c], choices) in steps {
                // One game in eight begins anew.
                plays.step(&numbers, a & b & c);
                plays.compare(games, &choices)?;
                // A file in the midst changes nothing.
                if a % 4 == 0 {
                    let text = serde_json::to_string(&plays.together).unwrap();
                    plays.together = serde_json::from_str(&text).unwrap();
                }
            }
        }
    }
}

#[test]
fn a_file_of_other_games_is_refused() {
    let organization = check(organization(&[], 0, 0, false)).unwrap();
    let guides = organization.compile(&vocabulary(), &team(&ROLES)).unwrap();
    let text = serde_json::to_string(&guides.state::<1>()).unwrap();
    assert!(serde_json::from_str::<State<GAMES>>(&text).is_err());
}
