//! The guard against a small model of what it is to do, over random sequences of faults.

use karma_cluster::{Controller, hpa::HpaController};
use karma_transfer::{
    Decider, DeciderFault, GuardSettings, Guarded, Mode, Reason, Rule, Source, State, violations,
};
use proptest::prelude::*;

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
