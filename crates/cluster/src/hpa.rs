//! Kubernetes' horizontal pod autoscaler (autoscaling/v2) as a pure function.
//!
//! [`reconcile()`] takes the specification, the state it left behind, and what the API server and the
//! metrics APIs answered now; it gives the new state and the outcome. Time is a value, every
//! constant of the controller is settable ([`Constants`]), and nothing is read from outside.
//! [`HpaController`] runs it for every service of a scenario, [`replay()`] checks it against files of
//! cases. The emulator's own autoscaler, the baseline and the fallback are this one function.
//!
//! Data flows `pods + samples → grouping → one proposal per metric → the highest → stabilization →
//! rate limits → bounds`.
//!
//! Counts are `i32` and usages `i64` in thousandths, as in Kubernetes: averages and utilizations
//! truncate, sums saturate. Ratios are `f64`: divided first, then multiplied by the pod count.

mod behavior;
mod calculate;
mod controller;
mod pods;
mod reconcile;
mod replay;
mod spec;
mod state;

pub use behavior::{
    Limited, change_in_period, limit_by_rate, limit_in_direction, limit_without_behavior,
    stabilize, stabilize_with_behavior, store_event,
};
pub use calculate::{MetricError, Proposal, Reading, per_pod_usage, propose};
pub use controller::HpaController;
pub use pods::{
    Container, ContainerKind, ContainerUsage, LONG_AGO_S, Pod, PodGroups, PodResources,
    ReadyCondition, Sample, group_pods, pod_request,
};
pub use reconcile::{
    Action, ErrorLabel, HpaEvent, HpaInput, HpaOutcome, MetricOutcome, Scale, Selector, Write,
    reconcile,
};
pub use replay::{Difference, ListCount, ReplayError, ReplayReport, replay};
pub use spec::{
    Behavior, Constants, Direction, Gates, HpaSpec, Metric, MetricTarget, Policy, PolicyKind,
    Rules, Select, Tolerances,
};
pub use state::{Condition, ConditionType, HpaState, Reason, Recommendation, ScaleEvent};
