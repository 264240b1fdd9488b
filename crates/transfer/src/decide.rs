//! The state machine: who decides in which window. No clock, no I/O.
//!
//! ```text
//!              fault                      fault
//!        ┌────────────────┐       ┌──────────────────┐
//!        ▼                │       ▼                  │
//!    Fallback ──────► Probation (K healthy windows) ──────► Active
//!        ▲  healthy                                  healthy
//!        └── the mode becomes Active;  Observe and Paused are modes, not steps on the way
//! ```

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::decision::Reason;

/// What the operator wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Decide and write down, change nothing. The default, and all that a team without a passed
    /// verdict is given.
    #[default]
    Observe,
    /// Act, as far as the guard lets.
    Active,
    /// Do nothing at all.
    Paused,
}

/// Where the guard stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The HPA function decides. The starting state.
    #[default]
    Fallback,
    /// The HPA function decides, the policy in shadow.
    Probation,
    /// The policy decides.
    Active,
    /// Nothing is changed, everything asked.
    Observe,
    /// Nothing is changed or asked.
    Paused,
}

/// How many doublings of the probation repeated falls can cause.
const MOST_DOUBLINGS: usize = 3;

/// The state machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    mode: Mode,
    state: State,
    probation_windows: u32,
    relapse_memory_s: f64,
    healthy: u32,
    cause: Option<Reason>,
    started: bool,
    /// Instants of falls out of Active that are still remembered.
    falls: VecDeque<f64>,
}

impl Machine {
    /// A machine in Fallback. A policy must be healthy for `probation_windows` before it acts;
    /// twice as long after a second fall within `relapse_memory_s`, and so on up to eight times.
    #[must_use]
    pub fn new(mode: Mode, probation_windows: u32, relapse_memory_s: f64) -> Self {
        Self {
            mode,
            state: State::Fallback,
            probation_windows,
            relapse_memory_s,
            healthy: 0,
            cause: None,
            started: false,
            falls: VecDeque::new(),
        }
    }

    /// What the operator wants.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Changes what the operator wants; the next step takes it up.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// The state after the last step.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The fault that the present fallback or probation goes back to.
    #[must_use]
    pub fn cause(&self) -> Option<Reason> {
        self.cause
    }

    /// Healthy windows that a probation takes now.
    #[must_use]
    pub fn needed(&self) -> u32 {
        let doublings = self.falls.len().saturating_sub(1).min(MOST_DOUBLINGS);
        self.probation_windows << doublings
    }

    /// One window passes at `time_s`, with the first `fault` found in it.
    pub fn step(&mut self, time_s: f64, fault: Option<Reason>) -> (State, Reason) {
        while self
            .falls
            .front()
            .is_some_and(|fall_s| time_s - fall_s > self.relapse_memory_s)
        {
            self.falls.pop_front();
        }
        let (state, reason) = match (self.mode, fault) {
            (Mode::Paused, _) => (State::Paused, Reason::Paused),
            (Mode::Observe, None) => (State::Observe, Reason::Observe),
            (Mode::Observe, Some(fault)) => (State::Observe, fault),
            (Mode::Active, Some(fault)) => {
                if self.state == State::Active {
                    self.falls.push_back(time_s);
                }
                self.healthy = 0;
                self.cause = Some(fault);
                (State::Fallback, fault)
            }
            (Mode::Active, None) => self.healthy_step(),
        };
        self.started = true;
        self.state = state;
        (state, reason)
    }

    fn healthy_step(&mut self) -> (State, Reason) {
        let starting = !self.started || matches!(self.state, State::Observe | State::Paused);
        if starting {
            self.healthy = 0;
            self.cause = None;
            return (State::Fallback, Reason::Starting);
        }
        if self.state == State::Active || self.healthy >= self.needed() {
            self.cause = None;
            return (State::Active, Reason::Healthy);
        }
        self.healthy += 1;
        (State::Probation, Reason::Probation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(machine: &mut Machine, faults: &str) -> String {
        faults
            .chars()
            .enumerate()
            .map(|(window, fault)| {
                let fault = (fault == 'x').then_some(Reason::Drift);
                match machine.step(window as f64 * 15.0, fault).0 {
                    State::Fallback => 'f',
                    State::Probation => 'p',
                    State::Active => 'a',
                    State::Observe => 'o',
                    State::Paused => '-',
                }
            })
            .collect()
    }

    #[test]
    fn a_policy_acts_after_its_probation_and_falls_upon_any_fault() {
        let mut machine = Machine::new(Mode::Active, 3, 3600.0);
        assert_eq!(states(&mut machine, ".....x.x....."), "fpppafpfpppaa");
    }

    #[test]
    fn repeated_falls_take_longer_to_come_back_from() {
        let mut machine = Machine::new(Mode::Active, 1, 3600.0);
        assert_eq!(states(&mut machine, "..."), "fpa");
        assert_eq!(states(&mut machine, "x..x...x....."), "fpafppafppppa");
        assert_eq!(machine.needed(), 4);
        let mut forgetful = Machine::new(Mode::Active, 1, 10.0);
        assert_eq!(states(&mut forgetful, "...x..x..x.."), "fpafpafpafpa");
    }

    #[test]
    fn modes_are_taken_up_at_once_and_acting_starts_over() {
        let mut machine = Machine::new(Mode::Active, 1, 3600.0);
        assert_eq!(states(&mut machine, "..."), "fpa");
        machine.set_mode(Mode::Paused);
        assert_eq!(states(&mut machine, ".x"), "--");
        machine.set_mode(Mode::Observe);
        assert_eq!(states(&mut machine, ".x"), "oo");
        machine.set_mode(Mode::Active);
        assert_eq!(states(&mut machine, "..."), "fpa");
    }
}
