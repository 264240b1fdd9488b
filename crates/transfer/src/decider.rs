//! Who may propose, and how proposing fails.

use karma_cluster::{Controller, Observation, Scenario};
use karma_marl::{Team, TeamDecision};

use crate::decision::Reason;

/// Proposes desired replicas and may fail.
pub trait Decider {
    /// Name in tables and reports.
    fn name(&self) -> &str;

    /// Forgets everything and starts an episode of `scenario`; `seed` feeds what is random.
    fn reset(&mut self, scenario: &Scenario, seed: u64);

    /// Desired replicas of every service, in the order of the scenario, given the desired
    /// replicas now. Asked once per window, in shadow too, so that what it remembers is whole.
    ///
    /// # Errors
    /// [`DeciderFault`] where there is no proposal.
    fn propose(
        &mut self,
        observation: &Observation,
        desired: &[u32],
    ) -> Result<Vec<f32>, DeciderFault>;

    /// Choices so far that a mask of the organization forbids; must stay 0.
    fn masks_violated(&self) -> u64 {
        0
    }
}

/// Why there is no proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeciderFault {
    /// No policy is loaded.
    #[error("no policy is loaded")]
    Missing,
    /// The policy is gone.
    #[error("the policy is dead")]
    Dead,
    /// The policy did not answer in time.
    #[error("the policy did not answer in time")]
    Timeout,
    /// A number inside the policy is not finite.
    #[error("the policy gave a number that is not finite")]
    NotFinite,
}

impl From<DeciderFault> for Reason {
    fn from(fault: DeciderFault) -> Self {
        match fault {
            DeciderFault::Missing => Self::PolicyMissing,
            DeciderFault::Dead => Self::PolicyDead,
            DeciderFault::Timeout => Self::PolicyTimeout,
            DeciderFault::NotFinite => Self::PolicyNotFinite,
        }
    }
}

/// A trained team as a decider.
#[derive(Clone, Debug)]
pub struct TeamDecider {
    team: Team,
    masks_violated: u64,
}

impl TeamDecider {
    /// Takes over `team`.
    #[must_use]
    pub fn new(team: Team) -> Self {
        Self {
            team,
            masks_violated: 0,
        }
    }

    /// The team, with its newest decision.
    #[must_use]
    pub fn team(&self) -> &Team {
        &self.team
    }
}

impl Decider for TeamDecider {
    fn name(&self) -> &str {
        self.team.name()
    }

    fn reset(&mut self, scenario: &Scenario, seed: u64) {
        self.team.reset(scenario, seed);
    }

    fn propose(
        &mut self,
        observation: &Observation,
        desired: &[u32],
    ) -> Result<Vec<f32>, DeciderFault> {
        let mut proposed = desired.to_vec();
        self.team.decide(observation, &mut proposed);
        if self.team.last.finite {
            self.masks_violated += forbidden(&self.team.last);
            Ok(proposed.iter().map(|count| *count as f32).collect())
        } else {
            Err(DeciderFault::NotFinite)
        }
    }

    fn masks_violated(&self) -> u64 {
        self.masks_violated
    }
}

/// Choices of `decision` whose bit in the mask is off.
fn forbidden(decision: &TeamDecision) -> u64 {
    decision
        .choices
        .iter()
        .zip(&decision.guidance.masks)
        .filter(|(choice, mask)| u32::from(**mask) & (1 << **choice) == 0)
        .count() as u64
}

/// Any controller as a decider that never fails.
#[derive(Clone, Debug)]
pub struct Plain<C>(pub C);

impl<C: Controller> Decider for Plain<C> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn reset(&mut self, scenario: &Scenario, seed: u64) {
        self.0.reset(scenario, seed);
    }

    fn propose(
        &mut self,
        observation: &Observation,
        desired: &[u32],
    ) -> Result<Vec<f32>, DeciderFault> {
        let mut proposed = desired.to_vec();
        self.0.decide(observation, &mut proposed);
        Ok(proposed.iter().map(|count| *count as f32).collect())
    }
}

/// A decider that may not be there: no model file, no decision.
impl<D: Decider> Decider for Option<D> {
    fn name(&self) -> &str {
        self.as_ref().map_or("no policy", Decider::name)
    }

    fn reset(&mut self, scenario: &Scenario, seed: u64) {
        if let Some(decider) = self {
            decider.reset(scenario, seed);
        }
    }

    fn propose(
        &mut self,
        observation: &Observation,
        desired: &[u32],
    ) -> Result<Vec<f32>, DeciderFault> {
        self.as_mut()
            .ok_or(DeciderFault::Missing)?
            .propose(observation, desired)
    }

    fn masks_violated(&self) -> u64 {
        self.as_ref().map_or(0, Decider::masks_violated)
    }
}

impl<D: Decider + ?Sized> Decider for Box<D> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn reset(&mut self, scenario: &Scenario, seed: u64) {
        (**self).reset(scenario, seed);
    }

    fn propose(
        &mut self,
        observation: &Observation,
        desired: &[u32],
    ) -> Result<Vec<f32>, DeciderFault> {
        (**self).propose(observation, desired)
    }

    fn masks_violated(&self) -> u64 {
        (**self).masks_violated()
    }
}
