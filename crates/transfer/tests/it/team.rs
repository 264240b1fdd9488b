//! A real team whose weights go bad, on the emulator.

use std::ops::Range;

use karma_cluster::{
    Observation, Scenario,
    action::{CHOICES, HOLD},
    emulator::Emulator,
};
use karma_marl::{Guides, Policy, Team};
use karma_transfer::{
    Decider, DeciderFault, Decision, GuardSettings, Guarded, Mode, Reason, Source, State,
    TeamDecider, run_controller, violations,
};

use crate::fake::scenario;

/// Many replicas and little load: team and fallback both want fewer.
fn idle() -> Scenario {
    let mut idle = scenario();
    for (service, initial) in idle.services.iter_mut().zip([12, 8, 6]) {
        service.replicas.initial = Some(initial);
    }
    idle.team.agents.truncate(1);
    idle
}

/// An untrained team of one agent whose network is `spoil`ed.
fn team(scenario: &Scenario, spoil: impl Fn(&mut [f32], &mut [f32])) -> TeamDecider {
    let mut policy = Policy::untrained(scenario, 8, 1);
    let head = policy.actors[0].layers() - 1;
    let (mut weights, mut biases) = policy.actors[0].layer(head);
    spoil(&mut weights, &mut biases);
    policy.actors[0].set_layer(head, &weights, &biases);
    TeamDecider::new(Team::new(policy, Guides::none(scenario), scenario))
}

/// A team that takes one replica of every service away in every window.
fn shrinking(scenario: &Scenario) -> TeamDecider {
    team(scenario, |_, biases| {
        let fewer = usize::from(HOLD) - 1;
        biases
            .iter_mut()
            .skip(fewer)
            .step_by(CHOICES)
            .for_each(|bias| *bias = 10.0);
    })
}

/// A team with its weights as they are, and not numbers in some windows.
struct Spoiled {
    well: TeamDecider,
    ill: TeamDecider,
    windows: Range<u32>,
}

impl Decider for Spoiled {
    fn name(&self) -> &str {
        self.well.name()
    }

    fn reset(&mut self, scenario: &Scenario, seed: u64) {
        self.well.reset(scenario, seed);
        self.ill.reset(scenario, seed);
    }

    fn propose(
        &mut self,
        observation: &Observation,
        desired: &[u32],
    ) -> Result<Vec<f32>, DeciderFault> {
        if self.windows.contains(&observation.window) {
            self.ill.propose(observation, desired)
        } else {
            self.well.propose(observation, desired)
        }
    }
}

/// Decisions of a run in whose `windows` the weights are not numbers; every invariant holds.
fn play(windows: Range<u32>) -> Vec<Decision> {
    let scenario = idle();
    let spoiled = Spoiled {
        well: shrinking(&scenario),
        ill: team(&scenario, |weights, _| weights.fill(f32::NAN)),
        windows,
    };
    let mut guarded = Guarded::new(spoiled, &scenario, Mode::Active);
    let mut cluster = Emulator::new(&scenario, 1);
    let decisions = run_controller(&mut cluster, &mut guarded, &[]);
    let found = violations(&decisions, &scenario, &GuardSettings::new(&scenario), &[]);
    assert!(found.is_empty(), "{found:?}");
    decisions
}

fn falls(decision: &Decision) -> bool {
    let mut pairs = decision.desired.iter().zip(&decision.current);
    pairs.any(|(desired, current)| desired < current)
}

#[test]
fn a_team_whose_weights_are_no_numbers_falls_back_and_nothing_falls_meanwhile() {
    let ill = 6..18;
    let decisions = play(ill.clone());
    let (healthy, spoiled) = (play(0..0), ill.start as usize..ill.end as usize);
    // With sound weights the team acts, and shrinks the cluster in the very window.
    assert_eq!(decisions[..spoiled.start], healthy[..spoiled.start]);
    let at = &healthy[spoiled.start];
    assert_eq!((at.state, at.source), (State::Active, Source::Policy));
    assert!(falls(at), "{at:?}");
    for decision in &decisions[spoiled.clone()] {
        assert_eq!(decision.state, State::Fallback, "{decision:?}");
        assert_eq!(decision.source, Source::Fallback, "{decision:?}");
        assert_eq!(decision.reason, Reason::PolicyNotFinite, "{decision:?}");
        assert!(!falls(decision), "{decision:?}");
    }
    // With its weights back the team passes probation and acts again.
    let after = &decisions[spoiled.end..];
    assert_eq!(after[0].state, State::Probation);
    let back = after.iter().find(|d| d.state == State::Active);
    assert!(back.is_some_and(|d| d.source == Source::Policy && falls(d)));
}

#[test]
fn a_team_that_never_gave_a_number_leaves_the_cluster_to_the_fallback() {
    let decisions = play(0..u32::MAX);
    for decision in &decisions {
        assert_eq!(decision.state, State::Fallback);
        assert_eq!(decision.reason, Reason::PolicyNotFinite);
        assert!(!falls(decision), "{decision:?}");
        assert_eq!(decision.proposed, None);
    }
    assert_eq!(
        decisions.last().map(|d| &d.desired[..]),
        Some(&[12, 8, 6][..])
    );
}
