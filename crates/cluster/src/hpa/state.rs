//! What one HPA remembers between reconciles.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// Everything that a reconcile reads of the ones before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HpaState {
    /// Recommendations before stabilization, in storage order; `None` before the first reconcile,
    /// which then records the current count.
    pub recommendations: Option<Vec<Recommendation>>,
    /// Past scale-ups, in storage order.
    pub scale_ups: Vec<ScaleEvent>,
    /// Past scale-downs, in storage order.
    pub scale_downs: Vec<ScaleEvent>,
    /// Conditions by type.
    pub conditions: BTreeMap<ConditionType, Condition>,
}

impl HpaState {
    /// A state that has recommended `replicas` once, at `now_s`: with it nothing shrinks below
    /// `replicas` for one stabilization window.
    #[must_use]
    pub fn seeded(replicas: i32, now_s: f64) -> Self {
        Self {
            recommendations: Some(vec![Recommendation {
                replicas,
                at_s: now_s,
            }]),
            ..Self::default()
        }
    }

    pub(super) fn set(&mut self, kind: ConditionType, status: bool, reason: Reason) {
        self.conditions.insert(kind, Condition { status, reason });
    }
}

/// One recommendation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recommendation {
    /// Recommended count.
    pub replicas: i32,
    /// When.
    pub at_s: f64,
}

/// One change of the replica count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScaleEvent {
    /// Size of the change; positive in both directions.
    pub change: i32,
    /// When.
    pub at_s: f64,
    /// Whether no policy needs it any more; its slot is re-used.
    pub outdated: bool,
}

/// Type of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConditionType {
    /// Whether the scale can be read and written, and what stabilization did.
    AbleToScale,
    /// Whether metrics give a count.
    ScalingActive,
    /// Whether limits changed the stabilized count.
    ScalingLimited,
    /// Whether the HPA itself scaled the target to zero.
    ScaledToZero,
}

/// Status and reason of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Status.
    pub status: bool,
    /// Reason.
    pub reason: Reason,
}

/// Reasons of conditions and events, spelled as Kubernetes does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "Kubernetes' own names, listed in its documentation"
)]
pub enum Reason {
    SucceededGetScale,
    FailedGetScale,
    ReadyForNewScale,
    ScaleDownStabilized,
    ScaleUpStabilized,
    SucceededRescale,
    FailedUpdateScale,
    ValidMetricFound,
    FailedGetResourceMetric,
    FailedGetContainerResourceMetric,
    FailedGetPodsMetric,
    FailedGetObjectMetric,
    FailedGetExternalMetric,
    InvalidMetricSourceType,
    InvalidSelector,
    AmbiguousSelector,
    ScalingDisabled,
    DesiredWithinRange,
    TooFewReplicas,
    TooManyReplicas,
    ScaleUpLimit,
    ScaleDownLimit,
    ScaledToZero,
    NotScaledToZero,
    SuccessfulRescale,
    FailedRescale,
    FailedComputeMetricsReplicas,
    SelectorRequired,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
