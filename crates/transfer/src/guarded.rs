//! A decider behind a guard.

use std::panic::{AssertUnwindSafe, catch_unwind};

use karma_cluster::{Controller, Observation, Scenario};

use crate::{
    decide::Mode,
    decider::{Decider, DeciderFault},
    decision::Decision,
    guard::{Guard, GuardSettings},
};

/// A decider behind a guard: what runs live, and what evaluation plays.
#[derive(Clone, Debug)]
pub struct Guarded<D> {
    decider: D,
    guard: Guard,
    decisions: Vec<Decision>,
    /// Whether the decider panicked; it is not asked again in this episode.
    dead: bool,
    sabotage: Option<Sabotage>,
}

/// What a demonstration does to the decider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// It fails without being asked.
    Fails(DeciderFault),
    /// It answers with numbers that are not finite.
    NotFinite,
}

impl<D: Decider> Guarded<D> {
    /// Puts a guard with default settings before `decider`.
    ///
    /// `Mode::Active` is for a team whose verdict is good, and for evaluation.
    #[must_use]
    pub fn new(decider: D, scenario: &Scenario, mode: Mode) -> Self {
        Self::with_settings(decider, scenario, mode, GuardSettings::new(scenario))
    }

    /// Puts a guard with `settings` before `decider`.
    #[must_use]
    pub fn with_settings(
        decider: D,
        scenario: &Scenario,
        mode: Mode,
        settings: GuardSettings,
    ) -> Self {
        Self {
            decider,
            guard: Guard::new(scenario, mode, settings),
            decisions: Vec::new(),
            dead: false,
            sabotage: None,
        }
    }

    /// The guard.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// The guard, to be told of what happened outside.
    pub fn guard_mut(&mut self) -> &mut Guard {
        &mut self.guard
    }

    /// The decider.
    #[must_use]
    pub fn decider(&self) -> &D {
        &self.decider
    }

    /// Decisions since the start of the episode.
    #[must_use]
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// Hands the decisions out.
    pub fn take_decisions(&mut self) -> Vec<Decision> {
        std::mem::take(&mut self.decisions)
    }

    /// A window in which the cluster could not be read.
    pub fn blind(&mut self, window: u32, time_s: f64, current: &[u32]) -> &Decision {
        let decision = self.guard.blind(window, time_s, current);
        self.keep(decision)
    }

    /// A window with an observation.
    pub fn step(&mut self, observation: &Observation, current: &[u32]) -> &Decision {
        let proposal = self.ask(observation, current);
        let decision = self.guard.step(observation, current, proposal);
        self.keep(decision)
    }

    pub(crate) fn sabotage(&mut self, sabotage: Option<Sabotage>) {
        self.sabotage = sabotage;
    }

    fn ask(
        &mut self,
        observation: &Observation,
        current: &[u32],
    ) -> Option<Result<Vec<f32>, DeciderFault>> {
        if self.guard.mode() == Mode::Paused {
            return None;
        }
        match self.sabotage {
            Some(Sabotage::Fails(fault)) => return Some(Err(fault)),
            Some(Sabotage::NotFinite) => return Some(Ok(vec![f32::NAN; current.len()])),
            None if self.dead => return Some(Err(DeciderFault::Dead)),
            None => {}
        }
        // A panic leaves the decider in a state that nobody answers for, so it is not asked again.
        let decider = &mut self.decider;
        let asked = catch_unwind(AssertUnwindSafe(|| decider.propose(observation, current)));
        self.dead = asked.is_err();
        Some(asked.unwrap_or(Err(DeciderFault::Dead)))
    }

    fn keep(&mut self, decision: Decision) -> &Decision {
        self.decisions.push(decision);
        &self.decisions[self.decisions.len() - 1]
    }
}

impl<D: Decider> Controller for Guarded<D> {
    fn name(&self) -> &str {
        self.decider.name()
    }

    fn reset(&mut self, scenario: &Scenario, seed: u64) {
        self.decider.reset(scenario, seed);
        self.guard = Guard::new(scenario, self.guard.mode(), *self.guard.settings());
        self.decisions.clear();
        self.dead = false;
        self.sabotage = None;
    }

    fn decide(&mut self, observation: &Observation, desired: &mut [u32]) {
        let decision = self.step(observation, desired);
        desired.copy_from_slice(&decision.desired);
    }
}
