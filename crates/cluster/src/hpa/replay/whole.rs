//! Runs the cases of one whole reconcile.

use serde_json::{Value, json};

use super::{
    Checked, MOST_PODS, ReplayError, bounded,
    cases::{Conditions, ErrorText, Inject, MetricText, ReconcileCase},
    format::{NOW_S, Status, recommendations},
    functions::{PodLists, fill, pod_name, sample},
};
use crate::hpa::{
    Behavior, Condition, Constants, Direction, ErrorLabel, Gates, HpaInput, HpaOutcome, HpaSpec,
    HpaState, Metric, MetricError, MetricTarget, Pod, Reading, Reason, Scale, Selector, Write,
    reconcile,
};

/// Containers that share a pod's usage and request.
const CONTAINERS: usize = 2;

/// CPU request of a pod where a case names none.
const DEFAULT_REQUEST_MILLI: i64 = 1000;

pub(super) fn check(
    case: &ReconcileCase,
    constants: &Constants,
    path: &str,
) -> Result<Checked, ReplayError> {
    let spec = spec(case, constants, path)?;
    let input = input(case, &spec, path)?;
    let state = HpaState {
        recommendations: case.recommendation_log.as_deref().map(recommendations),
        conditions: case
            .initial_conditions
            .iter()
            .map(|(kind, (status, reason))| {
                let condition = Condition {
                    status: *status == Status::True,
                    reason: *reason,
                };
                (*kind, condition)
            })
            .collect(),
        ..HpaState::default()
    };
    let (state, outcome) = reconcile(&spec, state, &input);
    Ok(compare(case, &state, &outcome))
}

fn compare(case: &ReconcileCase, state: &HpaState, outcome: &HpaOutcome) -> Checked {
    let expect = &case.expect;
    let conditions: Conditions = state
        .conditions
        .iter()
        .map(|(kind, condition)| {
            let status = if condition.status {
                Status::True
            } else {
                Status::False
            };
            (*kind, (status, condition.reason))
        })
        .collect();
    let error_label = match outcome.error {
        ErrorLabel::None => ErrorText::None,
        ErrorLabel::Internal => ErrorText::Internal,
    };
    let shown = |desired, scaled, error, conditions: Option<&Conditions>, event: Option<Value>| {
        let mut shown = json!({
            "desired": desired,
            "scaled": scaled,
            "error_label": if error == ErrorText::None { "none" } else { "internal" },
        });
        if let Some(conditions) = conditions {
            shown["conditions"] = conditions
                .iter()
                .map(|(kind, (status, reason))| {
                    let pair = json!([format!("{status:?}"), reason]);
                    (kind.to_string(), pair)
                })
                .collect();
        }
        if let Some(event) = event {
            shown["event"] = event;
        }
        shown
    };
    Checked::equal(
        &case.id,
        shown(
            expect.desired,
            expect.scaled,
            expect.error_label,
            expect.conditions.as_ref(),
            expect.event.map(|event| json!(event)),
        ),
        shown(
            // Without its scale the target keeps its count.
            outcome.desired.unwrap_or(case.spec_replicas),
            outcome.scaled,
            error_label,
            expect.conditions.as_ref().map(|_| &conditions),
            expect
                .event
                .map(|event| json!(scaling_event(outcome, event))),
        ),
    )
}

/// The event that is compared: `wanted` where it was emitted, else the first about scaling.
fn scaling_event(outcome: &HpaOutcome, wanted: Option<Reason>) -> Option<Reason> {
    let mut reasons = outcome.events.iter().map(|event| event.reason);
    if wanted.is_some_and(|wanted| reasons.clone().any(|reason| reason == wanted)) {
        return wanted;
    }
    reasons.find(|reason| matches!(reason, Reason::SuccessfulRescale | Reason::FailedRescale))
}

fn spec(case: &ReconcileCase, constants: &Constants, path: &str) -> Result<HpaSpec, ReplayError> {
    let metrics = case
        .metrics
        .iter()
        .enumerate()
        .map(|(index, text)| metric(text, &format!("{path}.metrics[{index}]")))
        .collect::<Result<_, _>>()?;
    let behavior = (case.scale_up.is_some() || case.scale_down.is_some()).then(|| Behavior {
        scale_up: fill(case.scale_up.as_ref(), Direction::Up),
        scale_down: fill(case.scale_down.as_ref(), Direction::Down),
    });
    Ok(HpaSpec {
        min: case.min,
        max: case.max,
        metrics,
        behavior,
        constants: *constants,
        gates: Gates {
            scale_to_zero: case.gate_scale_to_zero,
            configurable_tolerance: case.gate_configurable_tolerance,
            pod_level_resources: false,
        },
    })
}

fn metric(text: &MetricText, path: &str) -> Result<Metric, ReplayError> {
    let missing = |keys: &str| {
        ReplayError::new(
            path.to_owned(),
            format!("missing field {keys} of metric type {}", text.kind),
        )
    };
    let average = text
        .average_milli
        .map(|milli| MetricTarget::AverageValue { milli });
    let value = text.value_milli.map(|milli| MetricTarget::Value { milli });
    let utilization = text
        .utilization_pct
        .map(|pct| MetricTarget::Utilization { pct });
    let resource = || {
        utilization
            .or(average)
            .ok_or_else(|| missing("`utilization_pct`"))
    };
    let total = || {
        value
            .or(average)
            .ok_or_else(|| missing("`value_milli` or `average_milli`"))
    };
    Ok(match text.kind.as_str() {
        "Resource" => Metric::Resource {
            target: resource()?,
        },
        "ContainerResource" => Metric::ContainerResource {
            container: text
                .container
                .clone()
                .ok_or_else(|| missing("`container`"))?,
            target: resource()?,
        },
        "Pods" => Metric::Pods {
            average_milli: text
                .average_milli
                .ok_or_else(|| missing("`average_milli`"))?,
        },
        "Object" => Metric::Object { target: total()? },
        "External" => Metric::External { target: total()? },
        unknown => Metric::Unknown {
            kind: unknown.to_owned(),
        },
    })
}

fn input(case: &ReconcileCase, spec: &HpaSpec, path: &str) -> Result<HpaInput, ReplayError> {
    let readings = spec.metrics.iter().map(|m| reading(case, m)).collect();
    Ok(HpaInput {
        now_s: NOW_S,
        scale: (case.inject != Some(Inject::GetScaleError)).then_some(Scale {
            spec_replicas: case.spec_replicas,
            status_replicas: case.status_replicas,
        }),
        selector: match case.inject {
            Some(Inject::SelectorMissing) => Selector::Missing,
            Some(Inject::SelectorUnparsable) => Selector::Unparsable,
            Some(Inject::OtherHpaSameSelector | Inject::OtherHpaSelectsSamePods) => {
                Selector::Ambiguous
            }
            _ => Selector::Clear,
        },
        pods: pods(case, path)?,
        readings,
        // A conflict is retried on a fresh read before the outcome is known.
        write: if case.inject == Some(Inject::UpdateScaleError) {
            Write::Fails
        } else {
            Write::Succeeds
        },
    })
}

fn pods(case: &ReconcileCase, path: &str) -> Result<Vec<Pod>, ReplayError> {
    let requests = if let Some(requests) = &case.request_milli_per_pod {
        requests.clone()
    } else {
        let count = usize::try_from(case.status_replicas).unwrap_or(0);
        let path = format!("{path}.status_replicas");
        vec![DEFAULT_REQUEST_MILLI; bounded(count, MOST_PODS, "pods", path)?]
    };
    let lists = PodLists {
        phase: &case.pod_phase,
        ready: &case.pod_ready,
        start: &case.pod_start,
        deleted: &case.pod_deleted,
    };
    let pods = requests
        .iter()
        .enumerate()
        .map(|(index, request)| {
            let per_container = Some(request / CONTAINERS as i64);
            let resources = (CONTAINERS, per_container);
            lists.pod(index, lists.start_s_ago(index), resources)
        })
        .collect();
    Ok(pods)
}

/// What the API of `metric` returns: every metric of a case reads the same levels.
fn reading(case: &ReconcileCase, metric: &Metric) -> Result<Reading, MetricError> {
    let external = matches!(metric, Metric::External { .. });
    match case.inject {
        Some(Inject::MetricsApiError) => return Err(MetricError::Api),
        Some(Inject::ExternalMetricsApiError) if external => return Err(MetricError::Api),
        _ => {}
    }
    let levels = &case.levels_milli;
    let samples = |usage: fn(i64) -> Vec<i64>| {
        let of_pod = |(index, level): (usize, &i64)| sample(pod_name(index), &usage(*level), NOW_S);
        Reading::Pods(levels.iter().enumerate().map(of_pod).collect())
    };
    Ok(match metric {
        Metric::Resource { .. } | Metric::ContainerResource { .. } => {
            samples(|level| vec![level / CONTAINERS as i64; CONTAINERS])
        }
        Metric::Pods { .. } => samples(|level| vec![level]),
        // An object has one value; what else is listed is not its.
        Metric::Object { .. } => Reading::Series(levels.iter().take(1).copied().collect()),
        Metric::External { .. } | Metric::Unknown { .. } => Reading::Series(levels.clone()),
    })
}
