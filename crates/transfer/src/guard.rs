//! The guard: between any decider and the cluster.

use karma_cluster::{ActionSpace, Observation, Scenario};
use serde::{Deserialize, Serialize};

use crate::{
    decide::{Machine, Mode, State},
    decider::DeciderFault,
    decision::{Decision, Fault, Reason, Source},
    fallback::Fallback,
    health::{SloWatch, metric_faults},
    limits::{Limits, Turns},
};

/// Settings of a guard.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuardSettings {
    /// Healthy windows that the policy decides in shadow before it acts.
    pub probation_windows: u32,
    /// How long a fall is remembered; a policy that falls again needs a longer probation.
    pub relapse_memory_s: f64,
    /// Age above which metrics are stale: a fault.
    pub stale_after_s: f64,
    /// Age above which nothing falls on them.
    pub aging_after_s: f64,
    /// Turns that the policy may make per service and `flap_window_s`; then it may only scale up.
    pub flap_budget: usize,
    /// Time over which turns are counted.
    pub flap_window_s: f64,
    /// How long users may wait too long while the policy asks for less than the fallback.
    pub slo_patience_s: f64,
    /// Time between two observations from which some were missed.
    pub gap_s: f64,
}

impl GuardSettings {
    /// Defaults for the intervals of `scenario`: one scrape may be lost without any effect, three
    /// in a row are a fault, and so are more than two windows missed.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let control = &scenario.control;
        let window_s = control.window.seconds();
        let scrape_s = control.scrape_interval.seconds();
        let lag_s = control.scrape_lag.seconds();
        Self {
            probation_windows: 4,
            relapse_memory_s: 3600.0,
            stale_after_s: (3.0 * scrape_s + lag_s).max(window_s),
            aging_after_s: 2.0 * scrape_s + lag_s,
            flap_budget: 8,
            flap_window_s: 600.0,
            slo_patience_s: 300.0,
            gap_s: 2.5 * window_s,
        }
    }
}

/// Decides without asking anyone: told of observations, proposals and failures, it says what is to
/// be written. Pure but for its own state.
#[derive(Clone, Debug)]
pub struct Guard {
    settings: GuardSettings,
    space: ActionSpace,
    machine: Machine,
    fallback: Fallback,
    slo: SloWatch,
    turns: Vec<Turns>,
    drifted: bool,
    /// Services whose last write failed.
    unwritten: Vec<Fault>,
    last_seen_s: Option<f64>,
    window_s: f64,
    initial: Vec<u32>,
}

impl Guard {
    /// A guard of `scenario` in its starting state, Fallback.
    #[must_use]
    pub fn new(scenario: &Scenario, mode: Mode, settings: GuardSettings) -> Self {
        Self {
            settings,
            space: ActionSpace::new(scenario),
            machine: Machine::new(mode, settings.probation_windows, settings.relapse_memory_s),
            fallback: Fallback::new(scenario),
            slo: SloWatch::new(scenario, settings.slo_patience_s),
            turns: vec![Turns::default(); scenario.services.len()],
            drifted: false,
            unwritten: Vec::new(),
            last_seen_s: None,
            window_s: scenario.control.window.seconds(),
            initial: scenario.initial_replicas(),
        }
    }

    /// What the operator wants.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.machine.mode()
    }

    /// Changes what the operator wants, from the next window on.
    pub fn set_mode(&mut self, mode: Mode) {
        self.machine.set_mode(mode);
    }

    /// The state of the last window.
    #[must_use]
    pub fn state(&self) -> State {
        self.machine.state()
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &GuardSettings {
        &self.settings
    }

    /// Length of a window.
    #[must_use]
    pub fn window_s(&self) -> f64 {
        self.window_s
    }

    /// Replicas that an episode starts with: all that is known before the first observation.
    #[must_use]
    pub fn initial(&self) -> &[u32] {
        &self.initial
    }

    /// Says whether the cluster behaves unlike the twin; holds until said otherwise. Whoever
    /// compares live transitions with the twin's intervals calls this.
    pub fn set_drift(&mut self, drifted: bool) {
        self.drifted = drifted;
    }

    /// Says that the last decision was not written for `service`.
    pub fn write_failed(&mut self, service: usize) {
        self.unwritten.push(Fault::of(Reason::ApiError, service));
    }

    /// A window with an observation. `current` is what is desired now, `proposal` what the decider
    /// gave; `None` where it was not asked.
    ///
    /// # Panics
    /// If `current` or the observation has not one entry per service.
    pub fn step(
        &mut self,
        observation: &Observation,
        current: &[u32],
        proposal: Option<Result<Vec<f32>, DeciderFault>>,
    ) -> Decision {
        let services = self.space.services();
        assert!(
            current.len() == services && observation.services.len() == services,
            "one entry per service of the scenario"
        );
        let time_s = observation.time_s;
        let faults = self.faults(observation, proposal.as_ref());
        let was = self.machine.state();
        let (state, reason) = self
            .machine
            .step(time_s, faults.first().map(|fault| fault.reason));
        let mut decision = self.blank(observation.window, time_s, current, (state, reason), faults);
        decision.proposed = proposal.and_then(Result::ok).map(|proposed| {
            let finite = |value: f32| value.is_finite().then_some(value);
            proposed.into_iter().map(finite).collect()
        });
        if state == State::Paused {
            return decision;
        }
        self.seed_fallback(time_s, current, &decision, was == State::Active);
        let wished = self.fallback.decide(observation, current);
        decision.fallback = Some(wished.clone());
        match state {
            State::Active => {
                self.follow_policy(&mut decision, &observation.metrics_age_s);
                self.slo.watch(observation, &decision.desired, &wished);
            }
            State::Fallback | State::Probation => {
                self.slo.clear();
                self.follow_fallback(&mut decision, &wished, &observation.metrics_age_s);
            }
            State::Observe | State::Paused => self.slo.clear(),
        }
        for ((turns, desired), current) in self.turns.iter_mut().zip(&decision.desired).zip(current)
        {
            turns.record(time_s, i64::from(*desired) - i64::from(*current));
        }
        decision
    }

    /// A window in which the cluster could not be read: everything stays.
    pub fn blind(&mut self, window: u32, time_s: f64, current: &[u32]) -> Decision {
        self.unwritten.clear();
        self.last_seen_s = Some(time_s);
        let was = self.machine.state();
        let faults = vec![Fault::of_all(Reason::ApiError)];
        let at = self.machine.step(time_s, Some(Reason::ApiError));
        let decision = self.blank(window, time_s, current, at, faults);
        self.seed_fallback(time_s, current, &decision, was == State::Active);
        self.slo.clear();
        decision
    }

    /// A decision that changes nothing.
    fn blank(
        &self,
        window: u32,
        time_s: f64,
        current: &[u32],
        (state, reason): (State, Reason),
        faults: Vec<Fault>,
    ) -> Decision {
        Decision {
            window,
            time_s,
            state,
            source: Source::Hold,
            reason,
            cause: self.machine.cause(),
            faults,
            current: current.to_vec(),
            proposed: None,
            fallback: None,
            desired: current.to_vec(),
            refused: Vec::new(),
        }
    }

    /// Faults of this window, the one that names the reason first.
    fn faults(
        &mut self,
        observation: &Observation,
        proposal: Option<&Result<Vec<f32>, DeciderFault>>,
    ) -> Vec<Fault> {
        let time_s = observation.time_s;
        let of_policy = match proposal {
            None => None,
            Some(Err(fault)) => Some(Reason::from(*fault)),
            Some(Ok(values)) if values.len() != self.space.services() => {
                Some(Reason::PolicyMalformed)
            }
            Some(Ok(values)) if values.iter().any(|value| !value.is_finite()) => {
                Some(Reason::PolicyNotFinite)
            }
            Some(Ok(_)) => None,
        };
        let gap = self
            .last_seen_s
            .is_some_and(|last_s| time_s - last_s > self.settings.gap_s);
        self.last_seen_s = Some(time_s);
        let mut faults: Vec<Fault> = of_policy.into_iter().map(Fault::of_all).collect();
        faults.append(&mut self.unwritten);
        faults.extend(gap.then_some(Fault::of_all(Reason::ObservationGap)));
        faults.extend(metric_faults(observation, self.settings.stale_after_s));
        faults.extend(self.drifted.then_some(Fault::of_all(Reason::Drift)));
        let breached = self.slo.breached(time_s);
        faults.extend(breached.then_some(Fault::of_all(Reason::SloBreach)));
        faults
    }

    /// When the fallback takes over, and in every window of a fault, what is there now is what its
    /// stabilization starts from.
    fn seed_fallback(
        &mut self,
        time_s: f64,
        current: &[u32],
        decision: &Decision,
        was_active: bool,
    ) {
        let took_over = was_active && decision.state == State::Fallback;
        let faults = &decision.faults;
        self.fallback.seed(time_s, current, |service| {
            took_over || faults.iter().any(|fault| fault.holds(service))
        });
    }

    fn follow_policy(&mut self, decision: &mut Decision, ages_s: &[f64]) {
        let Some(proposed) = &decision.proposed else {
            return;
        };
        decision.source = Source::Policy;
        let budget = (self.settings.flap_budget, self.settings.flap_window_s);
        for (service, wanted) in proposed.iter().enumerate() {
            let Some(wanted) = wanted else {
                continue;
            };
            let mut limits = Limits {
                service,
                current: decision.current[service],
                aging: ages_s[service] > self.settings.aging_after_s,
                space: &self.space,
                refused: &mut decision.refused,
            };
            decision.desired[service] = limits.policy(
                wanted.round() as i64,
                &mut self.turns[service],
                decision.time_s,
                budget,
            );
        }
    }

    fn follow_fallback(&mut self, decision: &mut Decision, wished: &[u32], ages_s: &[f64]) {
        decision.source = Source::Fallback;
        for (service, wanted) in wished.iter().enumerate() {
            let held = decision.faults.iter().any(|fault| fault.holds(service));
            let mut limits = Limits {
                service,
                current: decision.current[service],
                aging: ages_s[service] > self.settings.aging_after_s,
                space: &self.space,
                refused: &mut decision.refused,
            };
            decision.desired[service] = limits.fallback(*wanted, held);
        }
    }
}
