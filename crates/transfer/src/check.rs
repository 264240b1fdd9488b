//! What must never happen, read from the decisions alone.
//!
//! Each invariant has a name that documents and alerts can cite. The checks share nothing with the
//! guard but the vocabulary of decisions: they would find a guard that breaks its own rules.

use std::fmt;

use karma_cluster::{ALPHA, Scenario, hpa::Constants};
use serde::{Deserialize, Serialize};

use crate::{
    decide::State,
    decision::{Decision, Reason, Rule, Source},
    guard::GuardSettings,
    inject::{Injected, InjectedKind},
};

/// A guarantee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Invariant {
    /// Replicas written are in the range of their service.
    #[serde(rename = "SAFE-1")]
    Bounds,
    /// In the window of a fault no service that it concerns loses desired replicas.
    #[serde(rename = "SAFE-2")]
    NoFallInFault,
    /// A broken policy does not decide, from the first window on; a cluster that cannot be read is
    /// not changed.
    #[serde(rename = "SAFE-3")]
    BrokenDoesNotDecide,
    /// The policy acts only after its whole probation, each window of it without a fault, and the
    /// guard starts in fallback.
    #[serde(rename = "SAFE-4")]
    Probation,
    /// The policy changes a service by at most α per window.
    #[serde(rename = "SAFE-5")]
    Rate,
    /// The policy does not turn a service down once its flap budget is spent.
    #[serde(rename = "SAFE-6")]
    FlapBudget,
    /// Observe and Paused change nothing.
    #[serde(rename = "SAFE-7")]
    HandsOff,
    /// After a fault the fallback takes replicas from a service only when one stabilization window
    /// has passed since the last window that held it.
    #[serde(rename = "SAFE-8")]
    Stabilized,
    /// Every number follows from the wish of its source and the refusals written beside it.
    #[serde(rename = "SAFE-9")]
    Reproducible,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = match self {
            Self::Bounds => "SAFE-1",
            Self::NoFallInFault => "SAFE-2",
            Self::BrokenDoesNotDecide => "SAFE-3",
            Self::Probation => "SAFE-4",
            Self::Rate => "SAFE-5",
            Self::FlapBudget => "SAFE-6",
            Self::HandsOff => "SAFE-7",
            Self::Stabilized => "SAFE-8",
            Self::Reproducible => "SAFE-9",
        };
        f.write_str(id)
    }
}

/// An invariant that does not hold in a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// Window.
    pub window: u32,
    /// Service; absent where it is not about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<usize>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in window {}", self.invariant, self.window)?;
        match self.service {
            Some(service) => write!(f, ", service {service}"),
            None => Ok(()),
        }
    }
}

/// Every violation in the `decisions` of one episode of `scenario`, given what was `injected`.
#[must_use]
pub fn violations(
    decisions: &[Decision],
    scenario: &Scenario,
    settings: &GuardSettings,
    injected: &[Injected],
) -> Vec<Violation> {
    let mut check = Check {
        scenario,
        settings,
        injected,
        found: Vec::new(),
    };
    for (index, decision) in decisions.iter().enumerate() {
        check.window(decision, &decisions[..index]);
    }
    for service in 0..scenario.services.len() {
        check.flaps(decisions, service);
        check.stabilization(decisions, service);
    }
    check
        .found
        .sort_by_key(|v| (v.window, v.invariant, v.service));
    check.found
}

struct Check<'a> {
    scenario: &'a Scenario,
    settings: &'a GuardSettings,
    injected: &'a [Injected],
    found: Vec<Violation>,
}

impl Check<'_> {
    fn require(&mut self, holds: bool, invariant: Invariant, window: u32, service: Option<usize>) {
        if !holds {
            self.found.push(Violation {
                invariant,
                window,
                service,
            });
        }
    }

    /// What one window, with those before it, must satisfy.
    fn window(&mut self, decision: &Decision, before: &[Decision]) {
        let window = decision.window;
        self.truth(decision);
        let probation = decision.state != State::Active || probation_passed(before, self.settings);
        self.require(probation, Invariant::Probation, window, None);
        let mut hands_off = true;
        if matches!(decision.state, State::Observe | State::Paused) {
            hands_off = decision.source == Source::Hold && decision.desired == decision.current;
        }
        self.require(hands_off, Invariant::HandsOff, window, None);
        for service in 0..decision.desired.len() {
            self.service(decision, service);
        }
    }

    fn service(&mut self, decision: &Decision, service: usize) {
        let (window, of) = (decision.window, Some(service));
        let (current, desired) = (decision.current[service], decision.desired[service]);
        let range = self.scenario.services[service].replicas;
        if decision.source != Source::Hold {
            let inside = (range.min..=range.max).contains(&desired);
            self.require(inside, Invariant::Bounds, window, of);
        }
        let held = decision.faults.iter().any(|fault| fault.holds(service));
        // A count above a lowered bound has to go, fault or not.
        let fell = desired < current.min(range.max);
        self.require(!(held && fell), Invariant::NoFallInFault, window, of);
        if decision.source == Source::Policy {
            // A count outside the range is brought back at once, however far.
            let from = current.clamp(range.min, range.max);
            let slow =
                i64::from(desired).abs_diff(i64::from(from)) <= u64::from(ALPHA.unsigned_abs());
            self.require(slow, Invariant::Rate, window, of);
        }
        let follows = reproduced(decision, service) == Some(i64::from(desired));
        self.require(follows, Invariant::Reproducible, window, of);
    }

    /// What was injected must have its effect in the same window.
    fn truth(&mut self, decision: &Decision) {
        let acting = !matches!(decision.state, State::Observe | State::Paused);
        for injected in self.injected.iter().filter(|i| i.on(decision.time_s)) {
            let holds = match injected.kind {
                InjectedKind::PolicyKilled
                | InjectedKind::PolicyTimeout
                | InjectedKind::PolicyNotFinite => {
                    decision.source != Source::Policy
                        && (!acting || decision.state == State::Fallback)
                }
                InjectedKind::ApiDown => decision.desired == decision.current,
                // Metrics are there until they have aged; SAFE-2 takes over then.
                InjectedKind::MetricOutage { .. } => true,
            };
            let window = decision.window;
            self.require(holds, Invariant::BrokenDoesNotDecide, window, None);
        }
    }

    /// Counts turns of the desired replicas of a service over time.
    fn flaps(&mut self, decisions: &[Decision], service: usize) {
        let mut last = 0;
        let mut turns_s: Vec<f64> = Vec::new();
        for decision in decisions {
            let change =
                i64::from(decision.desired[service]) - i64::from(decision.current[service]);
            if change == 0 {
                continue;
            }
            if change.signum() * last < 0 {
                let recent = turns_s
                    .iter()
                    .filter(|at_s| decision.time_s - **at_s < self.settings.flap_window_s)
                    .count();
                let allowed = change > 0
                    || decision.source != Source::Policy
                    || recent < self.settings.flap_budget
                    || decision.current[service] > self.scenario.services[service].replicas.max;
                self.require(
                    allowed,
                    Invariant::FlapBudget,
                    decision.window,
                    Some(service),
                );
                turns_s.push(decision.time_s);
            }
            last = change.signum();
        }
    }

    /// Looks for falls too soon after the last window that held a service.
    fn stabilization(&mut self, decisions: &[Decision], service: usize) {
        let stabilization_s = Constants::default().downscale_stabilization_s;
        let max = self.scenario.services[service].replicas.max;
        let mut held_s: Option<f64> = None;
        let mut was = State::Fallback;
        for decision in decisions {
            let took_over = was == State::Active && decision.state == State::Fallback;
            if took_over || decision.faults.iter().any(|fault| fault.holds(service)) {
                held_s = Some(decision.time_s);
            }
            let fell = decision.source == Source::Fallback
                && decision.desired[service] < decision.current[service].min(max);
            let early = held_s.is_some_and(|held_s| decision.time_s - held_s <= stabilization_s);
            self.require(
                !(fell && early),
                Invariant::Stabilized,
                decision.window,
                Some(service),
            );
            was = decision.state;
        }
    }
}

/// Whether the windows `before` end in Active, or in a whole probation without a fault that began
/// in Fallback.
fn probation_passed(before: &[Decision], settings: &GuardSettings) -> bool {
    if before.last().is_some_and(|d| d.state == State::Active) {
        return true;
    }
    let healthy = |d: &&Decision| d.state == State::Probation && d.faults.is_empty();
    let windows = before.iter().rev().take_while(healthy).count();
    let began = before.len().checked_sub(windows + 1);
    windows >= settings.probation_windows as usize
        && began.is_some_and(|at| before[at].state == State::Fallback)
}

/// The number that the row itself leads to.
fn reproduced(decision: &Decision, service: usize) -> Option<i64> {
    let mut wish = match decision.source {
        Source::Hold => i64::from(decision.current[service]),
        Source::Fallback => i64::from(decision.fallback.as_ref()?[service]),
        Source::Policy => decision.proposed.as_ref()?[service]?.round() as i64,
    };
    let mut last_rule: Option<Rule> = None;
    for refusal in decision.refused.iter().filter(|r| r.service == service) {
        let in_order = last_rule.is_none_or(|last| (last as u8) < refusal.rule as u8);
        if refusal.wanted != wish || !in_order {
            return None;
        }
        last_rule = Some(refusal.rule);
        wish = refusal.allowed;
    }
    let reasoned = match decision.source {
        Source::Policy => decision.reason == Reason::Healthy,
        Source::Fallback | Source::Hold => decision.reason != Reason::Healthy,
    };
    reasoned.then_some(wish)
}
