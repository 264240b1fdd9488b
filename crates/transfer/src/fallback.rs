//! The HPA function as the fallback, with the rule of the first window after a fault.

use karma_cluster::{Controller, Observation, Scenario, hpa::HpaController};

/// One HPA per service, as Kubernetes ships it; it runs in shadow while the policy acts.
#[derive(Clone, Debug)]
pub struct Fallback {
    hpa: HpaController,
}

impl Fallback {
    /// The HPA of autoscaling/v2's defaults.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        Self {
            hpa: HpaController::as_shipped(scenario),
        }
    }

    /// Another HPA, e.g. with the `behavior` of the one that the team took over from.
    #[must_use]
    pub fn with(hpa: HpaController) -> Self {
        Self { hpa }
    }

    /// Forgets everything.
    pub fn reset(&mut self, scenario: &Scenario, seed: u64) {
        self.hpa.reset(scenario, seed);
    }

    /// Makes `current` the recommendation that holds from `time_s` on, for the services that
    /// `held` says: none of them shrinks below it for one stabilization window.
    pub fn seed(&mut self, time_s: f64, current: &[u32], held: impl Fn(usize) -> bool) {
        for (service, current) in current.iter().enumerate() {
            if held(service) {
                self.hpa.seed_service(service, time_s, *current);
            }
        }
    }

    /// What the HPA function asks for.
    pub fn decide(&mut self, observation: &Observation, current: &[u32]) -> Vec<u32> {
        let mut desired = current.to_vec();
        self.hpa.decide(observation, &mut desired);
        desired
    }
}
