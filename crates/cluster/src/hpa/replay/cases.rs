//! The file and its cases, as they are written.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::format::{
    Aged, ConstantsText, DefaultsText, Object, PolicyText, RulesText, Start, Status, present,
};
use crate::{
    hpa::{ConditionType, Direction, Reason},
    observation::PodPhase,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default, rename = "about")]
    _about: Value,
    #[serde(default, rename = "upstream")]
    _upstream: Value,
    #[serde(default, deserialize_with = "present")]
    pub(super) test_harness_constants: Option<ConstantsText>,
    #[serde(default, deserialize_with = "present")]
    pub(super) production_defaults: Option<DefaultsText>,
    #[serde(default)]
    pub(super) replica_calculator: Vec<CalculatorCase>,
    #[serde(default)]
    pub(super) group_pods: Vec<GroupCase>,
    #[serde(default)]
    pub(super) pod_requests: Vec<RequestCase>,
    #[serde(default)]
    pub(super) per_pod_usage: Vec<UsageCase>,
    #[serde(default)]
    pub(super) convert_without_behavior: Vec<ConvertCase>,
    #[serde(default)]
    pub(super) limit_with_rules: Vec<LimitCase>,
    #[serde(default)]
    pub(super) behavior_rate: Vec<RateCase>,
    #[serde(default)]
    pub(super) stabilize_without_behavior: Vec<StabilizeCase>,
    #[serde(default)]
    pub(super) stabilize_with_behavior: Vec<StabilizeWithBehaviorCase>,
    #[serde(default)]
    pub(super) store_scale_event: Vec<StoreCase>,
    #[serde(default)]
    pub(super) reconcile: Vec<ReconcileCase>,
    #[serde(default, rename = "not_transcribed")]
    _not_transcribed: Value,
    #[serde(default, rename = "counts")]
    _counts: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Kind {
    Resource,
    Pods,
    Object,
    External,
    ObjectPerPod,
    ExternalPerPod,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CalculatorCase {
    pub(super) id: String,
    #[serde(default, rename = "group")]
    _group: String,
    pub(super) kind: Kind,
    pub(super) current_replicas: i32,
    #[serde(default, deserialize_with = "present")]
    pub(super) tolerance_down_up: Option<(f64, f64)>,
    #[serde(default)]
    pub(super) pod_phase: Vec<PodPhase>,
    #[serde(default)]
    pub(super) pod_ready: Vec<Status>,
    #[serde(default)]
    pub(super) pod_start: Vec<Start>,
    #[serde(default)]
    pub(super) pod_deleted: Vec<bool>,
    #[serde(default, deserialize_with = "present")]
    pub(super) target_utilization_pct: Option<i32>,
    /// Null is the whole pod.
    #[serde(default)]
    pub(super) container: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(super) containers_per_pod: Option<usize>,
    #[serde(default)]
    pub(super) request_milli_per_container: Vec<i64>,
    #[serde(default, deserialize_with = "present")]
    pub(super) usage_milli_per_container: Option<Vec<Vec<i64>>>,
    #[serde(default)]
    pub(super) metric_pod_names: Vec<String>,
    #[serde(default, deserialize_with = "present")]
    pub(super) target_milli: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    pub(super) levels_milli: Option<Vec<i64>>,
    pub(super) expect: Object<CalculatorExpect>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CalculatorExpect {
    #[serde(default, deserialize_with = "present")]
    pub(super) replicas: Option<i32>,
    #[serde(default, deserialize_with = "present")]
    pub(super) utilization_pct: Option<i32>,
    #[serde(default, deserialize_with = "present")]
    pub(super) raw_milli: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    pub(super) usage_milli: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    pub(super) error_contains: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ResourceName {
    Cpu,
    Memory,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupCase {
    pub(super) id: String,
    pub(super) resource: ResourceName,
    pub(super) pods: Vec<GroupPod>,
    pub(super) expect: GroupExpect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupPod {
    pub(super) name: String,
    pub(super) phase: PodPhase,
    pub(super) deleted: bool,
    /// Null is no start time.
    pub(super) start_s_ago: Option<f64>,
    /// Null is no Ready condition.
    pub(super) ready_condition: Option<ReadyText>,
    /// Null is no sample.
    pub(super) metric: Option<SampleText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadyText {
    pub(super) status: Status,
    pub(super) transition_s_ago: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SampleText {
    /// Null is the zero time.
    pub(super) sample_s_ago: Option<f64>,
    pub(super) window_s: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupExpect {
    pub(super) ready_count: usize,
    pub(super) unready: BTreeSet<String>,
    pub(super) missing: BTreeSet<String>,
    pub(super) ignored: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestCase {
    pub(super) id: String,
    pub(super) containers: Vec<(String, Option<i64>)>,
    pub(super) init_containers: Vec<(String, Option<i64>, bool)>,
    pub(super) pod_level_milli: Option<i64>,
    pub(super) pod_level_resources_gate: bool,
    pub(super) container: String,
    pub(super) expect: Object<RequestExpect>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestExpect {
    #[serde(default, deserialize_with = "present")]
    pub(super) request_milli: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    pub(super) error_contains: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UsageCase {
    pub(super) usage: i64,
    pub(super) replicas: i32,
    pub(super) expect: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitedExpect {
    pub(super) replicas: i32,
    pub(super) reason: Reason,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConvertCase {
    pub(super) id: String,
    pub(super) current: i32,
    pub(super) desired: i32,
    pub(super) min: i32,
    pub(super) max: i32,
    pub(super) expect: LimitedExpect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitCase {
    pub(super) id: String,
    pub(super) current: i32,
    pub(super) direction: Direction,
    pub(super) rules: Object<RulesText>,
    pub(super) expect: i32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RateCase {
    pub(super) id: String,
    pub(super) current: i32,
    pub(super) desired: i32,
    pub(super) min: i32,
    pub(super) max: i32,
    /// Null is the default.
    pub(super) scale_up: Option<Object<RulesText>>,
    /// Null is the default.
    pub(super) scale_down: Option<Object<RulesText>>,
    #[serde(rename = "scale_up_events_change_and_age_s")]
    pub(super) scale_up_events: Vec<Aged>,
    #[serde(rename = "scale_down_events_change_and_age_s")]
    pub(super) scale_down_events: Vec<Aged>,
    pub(super) expect: LimitedExpect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StabilizeCase {
    pub(super) id: String,
    pub(super) window_s: f64,
    #[serde(rename = "log_value_and_age_s")]
    pub(super) log: Vec<Aged>,
    pub(super) proposed: i32,
    pub(super) expect: StabilizeExpect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StabilizeExpect {
    pub(super) replicas: i32,
    pub(super) log_length: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StabilizeWithBehaviorCase {
    pub(super) id: String,
    #[serde(rename = "log_value_and_age_s")]
    pub(super) log: Vec<Aged>,
    pub(super) current: i32,
    pub(super) proposed: i32,
    pub(super) up_window_s: f64,
    pub(super) down_window_s: f64,
    pub(super) expect: LogExpect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogExpect {
    pub(super) replicas: i32,
    /// Null is not checked.
    pub(super) log_values: Option<Vec<i32>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoreCase {
    pub(super) id: String,
    pub(super) change: i32,
    #[serde(rename = "log_change_and_age_s")]
    pub(super) log: Vec<Aged>,
    /// Null is no behavior.
    pub(super) policies: Option<Vec<PolicyText>>,
    pub(super) change_in_last_60s: i32,
    #[serde(rename = "expect_log_change_and_outdated")]
    pub(super) expect: Vec<(i32, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum TargetKind {
    ReplicationController,
    Deployment,
    ReplicaSet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Inject {
    GetScaleError,
    UpdateScaleError,
    UpdateScaleConflictOnce,
    MetricsApiError,
    ExternalMetricsApiError,
    SelectorMissing,
    SelectorUnparsable,
    OtherHpaDisjointSelector,
    OtherHpaSameSelector,
    OtherHpaSelectsSamePods,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricText {
    /// Any type that is not known here is one that the controller does not know.
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "present")]
    pub(super) container: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(super) utilization_pct: Option<i32>,
    #[serde(default, deserialize_with = "present")]
    pub(super) average_milli: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    pub(super) value_milli: Option<i64>,
}

pub(super) type Conditions = BTreeMap<ConditionType, (Status, Reason)>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReconcileCase {
    pub(super) id: String,
    #[serde(default, rename = "group")]
    _group: String,
    pub(super) min: i32,
    pub(super) max: i32,
    pub(super) spec_replicas: i32,
    pub(super) status_replicas: i32,
    #[serde(default, deserialize_with = "present", rename = "target_kind")]
    _target_kind: Option<TargetKind>,
    pub(super) metrics: Vec<MetricText>,
    pub(super) levels_milli: Vec<i64>,
    #[serde(default, deserialize_with = "present")]
    pub(super) request_milli_per_pod: Option<Vec<i64>>,
    #[serde(default)]
    pub(super) pod_phase: Vec<PodPhase>,
    #[serde(default)]
    pub(super) pod_ready: Vec<Status>,
    #[serde(default)]
    pub(super) pod_start: Vec<Start>,
    #[serde(default)]
    pub(super) pod_deleted: Vec<bool>,
    #[serde(default, deserialize_with = "present")]
    pub(super) scale_up: Option<Object<RulesText>>,
    #[serde(default, deserialize_with = "present")]
    pub(super) scale_down: Option<Object<RulesText>>,
    #[serde(
        default,
        deserialize_with = "present",
        rename = "recommendation_log_value_and_age_s"
    )]
    pub(super) recommendation_log: Option<Vec<Aged>>,
    #[serde(default)]
    pub(super) gate_scale_to_zero: bool,
    #[serde(default)]
    pub(super) gate_configurable_tolerance: bool,
    #[serde(default)]
    pub(super) initial_conditions: Conditions,
    #[serde(default, deserialize_with = "present")]
    pub(super) inject: Option<Inject>,
    pub(super) expect: ReconcileExpect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ErrorText {
    None,
    Internal,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReconcileExpect {
    pub(super) desired: i32,
    pub(super) scaled: bool,
    pub(super) error_label: ErrorText,
    #[serde(default, deserialize_with = "present")]
    pub(super) conditions: Option<Conditions>,
    /// Null is no event.
    #[serde(default, deserialize_with = "present")]
    pub(super) event: Option<Option<Reason>>,
}
