//! One whole reconcile of one HPA.

use serde::{Deserialize, Serialize};

use super::{
    ConditionType, HpaSpec, HpaState, Metric, MetricError, Pod, Proposal, Reading, Reason,
    behavior::{
        limit_by_rate, limit_without_behavior, stabilize, stabilize_with_behavior, store_event,
    },
    calculate::propose,
};

/// Everything that the API server and the metrics APIs answer during one reconcile.
#[derive(Clone, Debug, PartialEq)]
pub struct HpaInput {
    /// The moment, on the clock of the state.
    pub now_s: f64,
    /// The scale subresource; `None` where reading it failed.
    pub scale: Option<Scale>,
    /// What the scale's label selector is worth.
    pub selector: Selector,
    /// Pods that the selector lists.
    pub pods: Vec<Pod>,
    /// One answer per metric of the specification.
    pub readings: Vec<Result<Reading, MetricError>>,
    /// What comes of a write to the scale subresource, if one is made.
    pub write: Write,
}

/// The scale subresource of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scale {
    /// `spec.replicas`: the current count.
    pub spec_replicas: i32,
    /// `status.replicas`: what averages per replica divide by.
    pub status_replicas: i32,
}

/// What the label selector of the scale is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Selector {
    /// It selects pods of no other HPA.
    #[default]
    Clear,
    /// It is empty.
    Missing,
    /// It cannot be parsed.
    Unparsable,
    /// Another HPA selects the same pods.
    Ambiguous,
}

/// What comes of a write to the scale subresource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Write {
    /// It succeeds, where needed after conflicts that were retried on a fresh read.
    #[default]
    Succeeds,
    /// It fails for good.
    Fails,
}

/// What a reconcile did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HpaOutcome {
    /// Replicas of the target afterwards; `None` where its scale could not be read.
    pub desired: Option<i32>,
    /// Whether a new count was written.
    pub scaled: bool,
    /// Metric label `action`.
    pub action: Action,
    /// Metric label `error`.
    pub error: ErrorLabel,
    /// Events, in order.
    pub events: Vec<HpaEvent>,
    /// What each metric gave; empty where metrics were not read.
    pub metrics: Vec<MetricOutcome>,
}

/// What one metric gave.
pub type MetricOutcome = Result<Proposal, MetricError>;

/// Label `action` of the controller's own metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A higher count was written.
    ScaleUp,
    /// A lower count was written.
    ScaleDown,
    /// Nothing was written.
    None,
}

/// Label `error` of the controller's own metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorLabel {
    /// No error.
    None,
    /// Something failed; a scale-up on the other metrics may still have been written.
    Internal,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HpaEvent {
    /// Whether its type is Warning (else Normal).
    pub warning: bool,
    /// Reason.
    pub reason: Reason,
    /// Message for people.
    pub message: String,
}

/// Reconciles one HPA once: a pure function of specification, state and input.
///
/// # Panics
/// If the input does not hold one reading per metric.
#[must_use]
pub fn reconcile(spec: &HpaSpec, state: HpaState, input: &HpaInput) -> (HpaState, HpaOutcome) {
    assert_eq!(
        spec.metrics.len(),
        input.readings.len(),
        "an input holds one reading per metric"
    );
    let mut run = Run {
        spec,
        input,
        state,
        outcome: HpaOutcome {
            desired: None,
            scaled: false,
            action: Action::None,
            error: ErrorLabel::None,
            events: Vec::new(),
            metrics: Vec::new(),
        },
    };
    run.reconcile();
    (run.state, run.outcome)
}

/// One reconcile in progress.
struct Run<'a> {
    spec: &'a HpaSpec,
    input: &'a HpaInput,
    state: HpaState,
    outcome: HpaOutcome,
}

/// A count to write, with the reason for people.
struct Rescale {
    desired: i32,
    why: String,
}

impl Run<'_> {
    fn reconcile(&mut self) {
        let gate = self.spec.gates.scale_to_zero;
        if !gate {
            // Left over from a time when the gate was on; it has no effect.
            self.state.conditions.remove(&ConditionType::ScaledToZero);
        }
        let Some(scale) = self.input.scale else {
            self.warn(
                Reason::FailedGetScale,
                "the target's scale was not read".to_owned(),
            );
            self.state
                .set(ConditionType::AbleToScale, false, Reason::FailedGetScale);
            self.outcome.error = ErrorLabel::Internal;
            return;
        };
        self.outcome.desired = Some(scale.spec_replicas);
        self.state
            .set(ConditionType::AbleToScale, true, Reason::SucceededGetScale);
        if self.state.recommendations.is_none() {
            self.state.recommendations =
                HpaState::seeded(scale.spec_replicas, self.input.now_s).recommendations;
        }
        if let Some(rescale) = self.target(scale)
            && rescale.desired != scale.spec_replicas
        {
            self.write(scale.spec_replicas, &rescale);
        }
    }

    /// The count to write: bounds and zero come before metrics.
    fn target(&mut self, scale: Scale) -> Option<Rescale> {
        let current = scale.spec_replicas;
        let (min, max) = (self.spec.min, self.spec.max);
        if current == 0 {
            let own_zero = self.scaled_itself_to_zero();
            if !(own_zero && (min != 0 || self.has_total_metric())) {
                self.state
                    .set(ConditionType::ScalingActive, false, Reason::ScalingDisabled);
                return None;
            }
        } else if current > max {
            return Some(Rescale {
                desired: max,
                why: "Current number of replicas above Spec.MaxReplicas".to_owned(),
            });
        } else if current < min {
            return Some(Rescale {
                desired: min,
                why: "Current number of replicas below Spec.MinReplicas".to_owned(),
            });
        }
        let (proposed, metric) = self.propose_all(scale)?;
        let mut why = match proposed.cmp(&current) {
            std::cmp::Ordering::Greater => format!("{metric} above target"),
            std::cmp::Ordering::Less => "All metrics below target".to_owned(),
            std::cmp::Ordering::Equal => String::new(),
        };
        let mut desired = self.normalize(current, proposed.max(0));
        if current == 0 && desired < min {
            desired = min;
            if why.is_empty() {
                "Current number of replicas below Spec.MinReplicas".clone_into(&mut why);
            }
        }
        Some(Rescale { desired, why })
    }

    fn scaled_itself_to_zero(&self) -> bool {
        self.spec.gates.scale_to_zero
            && self
                .state
                .conditions
                .get(&ConditionType::ScaledToZero)
                .is_some_and(|condition| condition.status)
    }

    /// Whether a metric exists that has a value without any pod.
    fn has_total_metric(&self) -> bool {
        self.spec
            .metrics
            .iter()
            .any(|m| matches!(m, Metric::Object { .. } | Metric::External { .. }))
    }

    /// The highest proposal and the name of its metric; `None` where they do not suffice.
    fn propose_all(&mut self, scale: Scale) -> Option<(i32, &'static str)> {
        if !self.selector_is_clear() {
            self.fail("the scale's selector is of no use".to_owned());
            return None;
        }
        let mut highest: Option<(i32, &'static str)> = None;
        let mut first_failure: Option<(Reason, String)> = None;
        for (metric, reading) in self.spec.metrics.iter().zip(&self.input.readings) {
            let result = match (metric, reading) {
                (Metric::Unknown { kind }, _) => {
                    Err(MetricError::UnknownType { kind: kind.clone() })
                }
                (_, Err(error)) => Err(error.clone()),
                (metric, Ok(reading)) => propose(
                    self.spec,
                    metric,
                    scale.spec_replicas,
                    scale.status_replicas,
                    &self.input.pods,
                    reading,
                ),
            };
            match &result {
                Ok(proposal) if highest.is_none_or(|(count, _)| proposal.replicas > count) => {
                    highest = Some((proposal.replicas, name(metric)));
                }
                Ok(_) => {}
                Err(error) => {
                    let reason = failure(metric);
                    let message = error.to_string();
                    self.outcome.events.push(HpaEvent {
                        warning: true,
                        reason,
                        message: message.clone(),
                    });
                    first_failure.get_or_insert((reason, message));
                }
            }
            self.outcome.metrics.push(result);
        }
        match (highest, first_failure) {
            (Some((count, metric)), None) => {
                self.activate();
                Some((count, metric))
            }
            // Partial data may raise the count, never lower it.
            (Some((count, metric)), Some(_)) if count >= scale.spec_replicas => {
                self.activate();
                self.outcome.error = ErrorLabel::Internal;
                Some((count, metric))
            }
            (_, failure) => {
                if let Some((reason, _)) = failure {
                    self.state.set(ConditionType::ScalingActive, false, reason);
                }
                self.fail(failure.map_or_else(|| "no metric is specified".to_owned(), |f| f.1));
                None
            }
        }
    }

    fn activate(&mut self) {
        self.state
            .set(ConditionType::ScalingActive, true, Reason::ValidMetricFound);
    }

    fn selector_is_clear(&mut self) -> bool {
        let (event, condition) = match self.input.selector {
            Selector::Clear => return true,
            Selector::Missing => (Reason::SelectorRequired, Reason::InvalidSelector),
            Selector::Unparsable => (Reason::InvalidSelector, Reason::InvalidSelector),
            Selector::Ambiguous => (Reason::AmbiguousSelector, Reason::AmbiguousSelector),
        };
        self.warn(event, "the target's pods cannot be told apart".to_owned());
        self.state
            .set(ConditionType::ScalingActive, false, condition);
        false
    }

    /// Stabilization, rate limits and bounds.
    fn normalize(&mut self, current: i32, proposed: i32) -> i32 {
        let spec = self.spec;
        let constants = &spec.constants;
        let now_s = self.input.now_s;
        let log = self.state.recommendations.get_or_insert_default();
        let (stabilized, limited) = match &spec.behavior {
            None => {
                let window_s = constants.downscale_stabilization_s;
                let stabilized = stabilize(log, window_s, proposed, now_s);
                let limited =
                    limit_without_behavior(current, stabilized, spec.min, spec.max, constants);
                (stabilized, limited)
            }
            Some(behavior) => {
                let stabilized = stabilize_with_behavior(
                    log,
                    current,
                    proposed,
                    behavior.scale_up.window_s(constants),
                    behavior.scale_down.window_s(constants),
                    now_s,
                );
                let limited = limit_by_rate(
                    current,
                    stabilized,
                    (spec.min, spec.max),
                    behavior,
                    &self.state.scale_ups,
                    &self.state.scale_downs,
                    now_s,
                );
                (stabilized, limited)
            }
        };
        let able = if stabilized == proposed {
            Reason::ReadyForNewScale
        } else if spec.behavior.is_some() && proposed >= current {
            Reason::ScaleUpStabilized
        } else {
            Reason::ScaleDownStabilized
        };
        self.state.set(ConditionType::AbleToScale, true, able);
        self.state.set(
            ConditionType::ScalingLimited,
            limited.replicas != stabilized,
            limited.reason,
        );
        limited.replicas
    }

    fn write(&mut self, current: i32, rescale: &Rescale) {
        let Rescale { desired, why } = rescale;
        let desired = *desired;
        let message = format!("New size: {desired}; reason: {why}");
        if self.input.write == Write::Fails {
            self.warn(Reason::FailedRescale, message);
            self.state
                .set(ConditionType::AbleToScale, false, Reason::FailedUpdateScale);
            self.outcome.error = ErrorLabel::Internal;
            return;
        }
        self.state
            .set(ConditionType::AbleToScale, true, Reason::SucceededRescale);
        self.outcome.events.push(HpaEvent {
            warning: false,
            reason: Reason::SuccessfulRescale,
            message,
        });
        let behavior = self.spec.behavior.as_ref();
        let now_s = self.input.now_s;
        if desired > current {
            let rules = behavior.map(|b| &b.scale_up);
            store_event(&mut self.state.scale_ups, desired - current, rules, now_s);
            self.outcome.action = Action::ScaleUp;
        } else {
            let rules = behavior.map(|b| &b.scale_down);
            store_event(&mut self.state.scale_downs, current - desired, rules, now_s);
            self.outcome.action = Action::ScaleDown;
        }
        if self.spec.gates.scale_to_zero {
            let own_zero =
                current > 0 && desired == 0 && self.spec.min == 0 && self.has_total_metric();
            let reason = if own_zero {
                Reason::ScaledToZero
            } else {
                Reason::NotScaledToZero
            };
            self.state
                .set(ConditionType::ScaledToZero, own_zero, reason);
        }
        self.outcome.desired = Some(desired);
        self.outcome.scaled = true;
    }

    fn warn(&mut self, reason: Reason, message: String) {
        self.outcome.events.push(HpaEvent {
            warning: true,
            reason,
            message,
        });
    }

    /// Ends the reconcile without a count.
    fn fail(&mut self, message: String) {
        self.outcome.error = ErrorLabel::Internal;
        self.warn(Reason::FailedComputeMetricsReplicas, message);
    }
}

/// Name of a metric in the reason of a rescale.
fn name(metric: &Metric) -> &'static str {
    match metric {
        Metric::Resource { .. } => "cpu resource",
        Metric::ContainerResource { .. } => "cpu container resource",
        Metric::Pods { .. } => "pods metric",
        Metric::Object { .. } => "object metric",
        Metric::External { .. } => "external metric",
        Metric::Unknown { .. } => "unknown metric",
    }
}

/// The reason of the condition and the event when a metric gives no proposal.
fn failure(metric: &Metric) -> Reason {
    match metric {
        Metric::Resource { .. } => Reason::FailedGetResourceMetric,
        Metric::ContainerResource { .. } => Reason::FailedGetContainerResourceMetric,
        Metric::Pods { .. } => Reason::FailedGetPodsMetric,
        Metric::Object { .. } => Reason::FailedGetObjectMetric,
        Metric::External { .. } => Reason::FailedGetExternalMetric,
        Metric::Unknown { .. } => Reason::InvalidMetricSourceType,
    }
}
