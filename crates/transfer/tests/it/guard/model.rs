//! The guard against a small model of what it is to do, over random sequences of faults.

use karma_cluster::{Controller, hpa::HpaController};
use karma_transfer::{DeciderFault, Mode, Source, State, violations};
use proptest::prelude::*;

use super::{guarded, play, settings};
use crate::fake::{Answer, SERVICES, Script, WINDOW_S, observation, scenario};

fn answers() -> impl Strategy<Value = Answer> {
    let changes = prop::array::uniform3(-5_i32..=5).prop_map(Answer::Changes);
    let fault = prop::sample::select(vec![
        Answer::Fails(DeciderFault::Dead),
        Answer::Fails(DeciderFault::Timeout),
        Answer::Fails(DeciderFault::NotFinite),
        Answer::Fails(DeciderFault::Missing),
        Answer::Numbers(vec![4.0, f32::NAN, 2.0]),
        Answer::Numbers(vec![f32::INFINITY, 4.0, 2.0]),
        Answer::Numbers(vec![4.0, 4.0]),
        Answer::Numbers(vec![1e30, -1e30, 2.4]),
    ]);
    prop_oneof![12 => changes, 1 => fault]
}

fn rare() -> impl Strategy<Value = [bool; SERVICES]> {
    prop::array::uniform3(prop::bool::weighted(0.02))
}

fn scripts() -> impl Strategy<Value = Vec<Script>> {
    let window = (
        prop::array::uniform3(0.0_f64..2.0),
        rare(),
        rare(),
        prop::bool::weighted(0.03),
        answers(),
    )
        .prop_map(|(usage, missing, stale, unreadable, policy)| Script {
            usage,
            missing,
            stale,
            unreadable,
            policy,
            ..Script::calm()
        });
    prop::collection::vec(window, 1..80)
}

/// What is wrong in a window, as the model sees it: for all, or for one service.
fn wrong(script: &Script) -> (bool, [bool; SERVICES]) {
    let policy = match &script.policy {
        Answer::Changes(_) => false,
        Answer::Numbers(numbers) => {
            numbers.len() != SERVICES || numbers.iter().any(|n| !n.is_finite())
        }
        Answer::Fails(_) | Answer::Panics => true,
    };
    let of = std::array::from_fn(|s| script.missing[s] || script.stale[s]);
    (policy || script.unreadable, of)
}

/// A model of another shape: from the history of faults, without a state machine.
struct Model {
    hpa: HpaController,
    last_wrong: Option<usize>,
    falls: u32,
    active: bool,
    /// Per service: direction of the last change, instants of turns.
    turns: [(i64, Vec<f64>); SERVICES],
}

impl Model {
    fn new() -> Self {
        Self {
            hpa: HpaController::as_shipped(&scenario()),
            last_wrong: None,
            falls: 0,
            active: false,
            turns: std::array::from_fn(|_| (0, Vec::new())),
        }
    }

    /// State and desired replicas of `window`.
    fn step(
        &mut self,
        window: usize,
        script: &Script,
        current: [u32; SERVICES],
    ) -> (State, [u32; SERVICES]) {
        let (all, of) = wrong(script);
        let now_s = window as f64 * WINDOW_S;
        let held: [bool; SERVICES] = std::array::from_fn(|s| all || of[s]);
        let fault = held.iter().any(|held| *held);
        let was_active = self.active;
        let state = if fault {
            self.falls += u32::from(was_active);
            self.last_wrong = Some(window);
            State::Fallback
        } else {
            let since = window - self.last_wrong.unwrap_or(0);
            let needed = 2 << self.falls.saturating_sub(1).min(3);
            match since {
                0 => State::Fallback,
                since if since <= needed => State::Probation,
                _ => State::Active,
            }
        };
        self.active = state == State::Active;
        for service in 0..SERVICES {
            if held[service] || (fault && was_active) {
                self.hpa.seed_service(service, now_s, current[service]);
            }
        }
        if script.unreadable {
            return (state, current);
        }
        let mut desired = current;
        self.hpa
            .decide(&observation(window, script, current), &mut desired);
        for service in 0..SERVICES {
            if self.active {
                desired[service] = self.policy(service, script, current, now_s);
            } else if held[service] {
                desired[service] = desired[service].max(current[service]);
            }
            self.turn(service, now_s, current[service], desired[service]);
        }
        (state, desired)
    }

    fn policy(
        &mut self,
        service: usize,
        script: &Script,
        current: [u32; SERVICES],
        now_s: f64,
    ) -> u32 {
        let range = scenario().services[service].replicas;
        let now = i64::from(current[service]);
        let wish = match &script.policy {
            Answer::Changes(changes) => now + i64::from(changes[service]),
            Answer::Numbers(numbers) => numbers[service].round() as i64,
            Answer::Fails(_) | Answer::Panics => now,
        };
        let wish = wish.clamp(now - 3, now + 3);
        let (last, turns) = &self.turns[service];
        let recent = turns.iter().filter(|at| now_s - **at < 150.0).count();
        let turning = *last > 0;
        let wish = if wish < now && turning && recent >= 3 {
            now
        } else {
            wish
        };
        wish.clamp(i64::from(range.min), i64::from(range.max)) as u32
    }

    fn turn(&mut self, service: usize, now_s: f64, from: u32, to: u32) {
        let change = (i64::from(to) - i64::from(from)).signum();
        let (last, turns) = &mut self.turns[service];
        if change * *last < 0 {
            turns.push(now_s);
        }
        if change != 0 {
            *last = change;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_guard_does_what_the_model_does_and_breaks_no_invariant(script in scripts()) {
        let mut guarded = guarded(&script, Mode::Active);
        play(&mut guarded, &script);
        let mut model = Model::new();
        let mut current = [4, 4, 2];
        for (window, decision) in guarded.decisions().iter().enumerate() {
            let (state, desired) = model.step(window, &script[window], current);
            prop_assert_eq!(decision.state, state, "state in window {}", window);
            prop_assert_eq!(&decision.desired[..], &desired[..], "desired in window {}", window);
            current = desired;
        }
        let found = violations(guarded.decisions(), &scenario(), &settings(), &[]);
        prop_assert!(found.is_empty(), "{:?}", found);
        let asked = script.iter().enumerate().filter(|(_, s)| !s.unreadable).map(|(w, _)| w as u32);
        prop_assert_eq!(&guarded.decider().asked, &asked.collect::<Vec<_>>(), "asked in shadow too");
    }

    #[test]
    fn nothing_is_changed_in_observe_and_paused(script in scripts(), paused in any::<bool>()) {
        let mode = if paused { Mode::Paused } else { Mode::Observe };
        let mut guarded = guarded(&script, mode);
        play(&mut guarded, &script);
        for decision in guarded.decisions() {
            prop_assert_eq!(&decision.desired[..], &[4, 4, 2][..]);
            prop_assert_eq!(decision.source, Source::Hold);
        }
        prop_assert!(violations(guarded.decisions(), &scenario(), &settings(), &[]).is_empty());
        prop_assert_eq!(guarded.decider().asked.is_empty(), paused || script.iter().all(|s| s.unreadable));
    }

    #[test]
    fn decisions_survive_being_written(script in scripts()) {
        let mut guarded = guarded(&script, Mode::Active);
        play(&mut guarded, &script);
        for decision in guarded.decisions() {
            let text = serde_json::to_string(decision).map_err(|e| TestCaseError::fail(e.to_string()))?;
            let read: karma_transfer::Decision =
                serde_json::from_str(&text).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(&read, decision);
        }
    }
}
