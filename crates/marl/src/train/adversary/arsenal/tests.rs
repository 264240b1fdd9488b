use std::path::Path;

use karma_cluster::{scenario, yaml};
use proptest::prelude::*;

use super::*;

/// The built-in pipeline: floods to four times the load, pod kills, a stress of 0.3, no payload.
fn arsenal(budget_s: f64) -> Arsenal {
    let text = scenario::template("pipeline").unwrap();
    let scenario: Scenario = yaml::read(&text, Path::new("pipeline")).unwrap();
    let settings = AdversarySettings {
        budget: karma_cluster::units::Seconds(budget_s),
        ..AdversarySettings::default()
    };
    Arsenal::new(&scenario, &settings)
}

const IDLE: [u8; 6] = [KEEP, 0, 0, 0, 0, 0];

fn apply(arsenal: &Arsenal, attack: &mut Attack, choices: [u8; 6]) -> [Assault; 4] {
    let mut out = [Assault::default(); 4];
    arsenal.apply(attack, &choices, &mut out);
    out
}

#[test]
fn weapons_are_those_of_the_contexts() {
    let arsenal = arsenal(300.0);
    assert_eq!((arsenal.flood, arsenal.payload), (3.0, 1.0));
    assert!(arsenal.kills);
    assert_eq!(arsenal.stress, 0.3);
    // 20 windows of 15 s at full strength.
    assert_eq!(arsenal.budget, 80.0);
}

#[test]
fn a_flood_rises_and_falls_by_its_changes_and_is_paid_by_the_window() {
    let arsenal = arsenal(300.0);
    let mut attack = arsenal.begin();
    let floods: Vec<f32> = [4, 4, 4, KEEP, 1, 0, 0]
        .map(|change| {
            let mut choices = IDLE;
            choices[0] = change;
            apply(&arsenal, &mut attack, choices)[0].flood
        })
        .to_vec();
    assert_eq!(floods, [1.5, 3.0, 3.0, 3.0, 2.25, 0.75, 0.0]);
    // Levels 2, 4, 4, 4, 3, 1, 0.
    assert_eq!(attack.left, 80.0 - 18.0);
}

#[test]
fn an_empty_purse_ends_everything() {
    // One window at full strength: four levels.
    let arsenal = arsenal(15.0);
    let mut attack = arsenal.begin();
    let done = apply(&arsenal, &mut attack, [4, 0, KILL, STRESS, KILL, 0]);
    // The flood of level 2 and one kill are paid; stress and the second kill are not.
    assert_eq!(done[0].flood, 1.5);
    assert_eq!(done.map(|d| d.kills), [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(done.map(|d| d.cpu_stress), [0.0; 4]);
    assert_eq!(attack.left, 0.0);
    // A flood that nobody pays for stops by itself.
    let done = apply(&arsenal, &mut attack, IDLE);
    assert_eq!(done, [Assault::default(); 4]);
    let mut mask = [0; 6];
    arsenal.mask(&attack, &mut mask);
    assert_eq!(mask, [1 << KEEP, 1, 1, 1, 1, 1]);
}

#[test]
fn heavier_requests_cost_what_they_weigh() {
    let arsenal = Arsenal {
        payload: 3.0,
        ..arsenal(300.0)
    };
    let mut attack = arsenal.begin();
    let mut choices = IDLE;
    (choices[0], choices[1]) = (4, 1);
    let done = apply(&arsenal, &mut attack, choices);
    assert_eq!((done[0].flood, done[0].payload), (1.5, 2.0));
    assert_eq!(attack.left, 80.0 - 4.0);
}

#[test]
fn a_scenario_without_attacks_arms_nobody() {
    let text = scenario::template("pipeline").unwrap();
    let scenario: Scenario = yaml::read(&text, Path::new("pipeline")).unwrap();
    let calm = super::super::calm(&scenario);
    let arsenal = Arsenal::new(&calm, &AdversarySettings::default());
    assert!(arsenal.is_empty());
    let mut mask = [0; 6];
    arsenal.mask(&arsenal.begin(), &mut mask);
    assert_eq!(mask, [1 << KEEP, 1, 1, 1, 1, 1]);
}

proptest! {
    /// Whatever is chosen within the masks: the budget is never overdrawn, nothing is stronger than
    /// the contexts, and doing nothing is always allowed.
    #[test]
    fn the_budget_holds(
        budget_s in 0.0_f64..400.0,
        payload in 1.0_f32..4.0,
        rounds in prop::collection::vec(prop::array::uniform6(0_u8..5), 1..60),
    ) {
        let arsenal = Arsenal { payload, ..arsenal(budget_s) };
        let mut attack = arsenal.begin();
        let mut spent = 0.0;
        for choices in rounds {
            let mut mask = [0; 6];
            arsenal.mask(&attack, &mut mask);
            let mut allowed = IDLE;
            for head in 0..6 {
                prop_assert!(mask[head] >> IDLE[head] & 1 == 1);
                if mask[head] >> choices[head] & 1 == 1 {
                    allowed[head] = choices[head];
                }
            }
            let done = apply(&arsenal, &mut attack, allowed);
            let floods = done.map(|d| d.flood / 3.0 * f32::from(LEVELS) * d.payload);
            spent += floods.iter().sum::<f32>();
            spent += done.map(|d| d.kills * KILL_PRICE).iter().sum::<f32>();
            spent += done.map(|d| d.cpu_stress / 0.3 * STRESS_PRICE).iter().sum::<f32>();
            prop_assert!(attack.left >= -1e-3);
            prop_assert!((spent + attack.left - arsenal.budget).abs() < 1e-2);
            prop_assert!(done.iter().all(|d| d.flood <= 3.0 && d.payload <= payload + 1e-6));
        }
    }
}
