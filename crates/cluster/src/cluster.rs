//! The two traits at the centre: a cluster that can be watched and scaled, and who scales it.

use crate::{observation::Observation, scenario::Scenario};

/// Why a cluster refused or failed an operation. The cluster's state is unchanged by a failure.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ClusterError {
    /// The API server answered with an error; the operation may be tried again.
    #[error("the API server failed to {operation}")]
    Api {
        /// What was tried, e.g. `scale service a`.
        operation: String,
    },
    /// The service does not exist.
    #[error("service number {service} does not exist")]
    UnknownService {
        /// Index as passed.
        service: usize,
    },
}

/// A running cluster, watched and scaled once per control window.
///
/// The loop of every shell is `observe → decide → scale → advance`.
pub trait Cluster {
    /// What can be seen now, at the end of the window that just passed.
    ///
    /// # Errors
    /// [`ClusterError::Api`] when the API server does not answer.
    fn observe(&mut self) -> Result<Observation, ClusterError>;

    /// Asks for `replicas` of `service`. Bounds are the caller's duty ([`crate::ActionSpace`]).
    ///
    /// # Errors
    /// [`ClusterError`] when the write fails; desired replicas then keep their value.
    fn scale(&mut self, service: usize, replicas: u32) -> Result<(), ClusterError>;

    /// Lets one control window pass. Returns whether the episode goes on.
    fn advance(&mut self) -> bool;
}

/// Decides desired replicas from observations.
pub trait Controller {
    /// Name in tables and reports, e.g. `HPA as shipped`.
    fn name(&self) -> &str;

    /// Forgets everything and starts an episode of `scenario`; `seed` feeds what is random.
    fn reset(&mut self, scenario: &Scenario, seed: u64);

    /// Writes the desired replicas of every service, in the order of the scenario.
    /// `desired` holds the current desired replicas on entry.
    fn decide(&mut self, observation: &Observation, desired: &mut [u32]);
}
