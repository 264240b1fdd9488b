//! What was decided in one window, and why: the rows of `decisions.jsonl`.

use serde::{Deserialize, Serialize};

use crate::decide::State;

/// One window's decision, with everything that leads to its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Window, as the observation counts them.
    pub window: u32,
    /// Seconds since the start.
    pub time_s: f64,
    /// State of the guard in this window.
    pub state: State,
    /// Who decided.
    pub source: Source,
    /// Why this state and source.
    pub reason: Reason,
    /// The fault that the present fallback or probation goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Reason>,
    /// Every fault of this window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// Desired replicas before.
    pub current: Vec<u32>,
    /// Replicas that the policy asked for, null where a number was not finite; absent where it
    /// gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<Vec<Option<f32>>>,
    /// Replicas that the HPA function asks for; absent where there was nothing to ask it with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Vec<u32>>,
    /// Desired replicas after.
    pub desired: Vec<u32>,
    /// What the guard took from the wish of the source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refusal>,
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The policy.
    Policy,
    /// The HPA function.
    Fallback,
    /// Nobody: everything stays as it is.
    Hold,
}

/// Why the guard is in its state. The names are kept stable; alerts are written on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The first window, without a fault.
    Starting,
    /// No policy is loaded.
    PolicyMissing,
    /// The policy is gone: it was killed, or it panicked.
    PolicyDead,
    /// The policy did not answer in time.
    PolicyTimeout,
    /// The policy gave a number that is not finite.
    PolicyNotFinite,
    /// The policy's answer has not one number per service.
    PolicyMalformed,
    /// The API server failed to read or to write.
    ApiError,
    /// More than two windows passed since the last observation.
    ObservationGap,
    /// A service has no metrics for this window.
    MetricsMissing,
    /// The newest metrics of a service are too old.
    MetricsStale,
    /// The cluster no longer behaves as the twin that the policy was trained in.
    Drift,
    /// Users have waited too long for too long, and the policy asked for less than the fallback.
    SloBreach,
    /// The policy decides in shadow until it has been healthy for long enough.
    Probation,
    /// Nothing speaks against the policy.
    Healthy,
    /// The mode is Observe: nothing is written.
    Observe,
    /// The mode is Paused: nothing is asked and nothing written.
    Paused,
}

/// One fault of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What.
    pub reason: Reason,
    /// The service that it concerns; absent where it concerns all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<usize>,
}

impl Fault {
    /// A fault that concerns every service.
    #[must_use]
    pub const fn of_all(reason: Reason) -> Self {
        Self {
            reason,
            service: None,
        }
    }

    /// A fault that concerns one service.
    #[must_use]
    pub const fn of(reason: Reason, service: usize) -> Self {
        Self {
            reason,
            service: Some(service),
        }
    }

    /// Whether desired replicas of `service` may not fall because of it.
    #[must_use]
    pub fn holds(&self, service: usize) -> bool {
        self.service.is_none_or(|concerned| concerned == service)
    }
}

/// A change that the guard made to the wish of the source.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// Service.
    pub service: usize,
    /// The rule that refused.
    pub rule: Rule,
    /// Replicas that were asked for.
    pub wanted: i64,
    /// What the rule made of it; later rules may go on.
    pub allowed: i64,
}

/// A rule of the guard, in the order in which they are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The policy changes a service by at most α per window.
    Rate,
    /// The policy turns around only so often per time; scaling up is never refused.
    FlapBudget,
    /// Nothing falls in the window of a fault that concerns it.
    FaultWindow,
    /// Nothing falls on metrics that begin to age, though they are not stale yet.
    AgingMetrics,
    /// Replicas stay in the range of the service.
    Bounds,
}
