//! What can be done to a cluster, and its one decoder.
//!
//! Each agent proposes a change of replicas in −α…+α for every service of its scope. The changes of
//! all agents to one service are added, clipped to ±α, then bounded to the service's replica range:
//! once per window, here and nowhere else.

use crate::scenario::Scenario;

/// Largest change of replicas per service and window.
pub const ALPHA: i32 = 3;

/// Number of choices of one action head: −α…+α.
pub const CHOICES: usize = 2 * ALPHA as usize + 1;

/// The index of the choice "no change".
pub const HOLD: u8 = ALPHA as u8;

/// The change that choice `index` of a head stands for.
#[must_use]
pub fn change(index: u8) -> i32 {
    i32::from(index) - ALPHA
}

/// The index of the choice that stands for `change`, clipped to ±α.
#[must_use]
pub fn index(change: i32) -> u8 {
    (change.clamp(-ALPHA, ALPHA) + ALPHA) as u8
}

/// Replica bounds of every service; turns proposals of a team into desired replicas.
#[derive(Clone, Debug)]
pub struct ActionSpace {
    bounds: Vec<(u32, u32)>,
}

impl ActionSpace {
    /// Takes the bounds from the scenario.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        Self {
            bounds: scenario
                .services
                .iter()
                .map(|s| (s.replicas.min, s.replicas.max))
                .collect(),
        }
    }

    /// Number of services, that is heads per agent.
    #[must_use]
    pub fn services(&self) -> usize {
        self.bounds.len()
    }

    /// Bounds `desired` to the replica range of `service`.
    #[must_use]
    pub fn bound(&self, service: usize, desired: i64) -> u32 {
        let (min, max) = self.bounds[service];
        desired.clamp(i64::from(min), i64::from(max)) as u32
    }

    /// Decodes the choices of all agents, `choices: [agents × services]` (agent-major), on top of
    /// `desired` replicas, in place.
    ///
    /// # Panics
    /// If the lengths do not match.
    pub fn apply(&self, choices: &[u8], desired: &mut [u32]) {
        assert!(desired.len() == self.services() && choices.len().is_multiple_of(self.services()));
        for (service, desired) in desired.iter_mut().enumerate() {
            let total: i32 = choices
                .iter()
                .skip(service)
                .step_by(self.services())
                .map(|c| change(*c))
                .sum();
            *desired = self.bound(
                service,
                i64::from(*desired) + i64::from(total.clamp(-ALPHA, ALPHA)),
            );
        }
    }
}
