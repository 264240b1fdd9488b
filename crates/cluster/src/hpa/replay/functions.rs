//! Runs the cases of single functions.

use serde_json::{Value, json};

use super::{
    Checked, MOST_CONTAINERS, MOST_PODS, ReplayError, bounded,
    cases::{
        CalculatorCase, ConvertCase, GroupCase, GroupPod, Kind, LimitCase, RateCase, RequestCase,
        ResourceName, StabilizeCase, StabilizeWithBehaviorCase, StoreCase, UsageCase,
    },
    format::{NOW_S, Object, RulesText, Start, Status, events, policies_of, recommendations},
};
use crate::{
    hpa::{
        Behavior, Constants, Container, ContainerKind, ContainerUsage, Direction, Gates, HpaSpec,
        LONG_AGO_S, Limited, Metric, MetricTarget, Pod, PodResources, Reading, ReadyCondition,
        Rules, Sample, change_in_period, group_pods, limit_by_rate, limit_in_direction,
        limit_without_behavior, per_pod_usage, pod_request, propose, stabilize,
        stabilize_with_behavior, store_event,
    },
    observation::PodPhase,
};

/// Span of every sample of the format.
pub(super) const SAMPLE_WINDOW_S: f64 = 60.0;

pub(super) fn pod_name(index: usize) -> String {
    format!("pod-{index}")
}

fn container_name(index: usize) -> String {
    format!("container{}", index + 1)
}

/// Whether a fragment of an error is part of the message given.
fn error_checked(id: &str, fragment: &str, got: Result<Value, String>) -> Checked {
    let (agrees, got) = match got {
        Ok(value) => (false, value),
        Err(message) => (message.contains(fragment), json!({ "error": message })),
    };
    Checked {
        id: id.to_owned(),
        expected: json!({ "error_contains": fragment }),
        got,
        agrees,
    }
}

fn limited(limited: Limited) -> Value {
    json!({ "replicas": limited.replicas, "reason": limited.reason })
}

pub(super) fn fill(rules: Option<&Object<RulesText>>, direction: Direction) -> Rules {
    rules.map_or_else(
        || Rules::default_for(direction),
        |Object(rules)| rules.fill(direction),
    )
}

pub(super) fn replica_calculator(
    case: &CalculatorCase,
    constants: &Constants,
    path: &str,
) -> Result<Checked, ReplayError> {
    let (metric, reading) = calculator_metric(case, path)?;
    let (down, up) = case
        .tolerance_down_up
        .unwrap_or((constants.tolerance, constants.tolerance));
    let mut behavior = Behavior::default();
    behavior.scale_down.tolerance = Some(down);
    behavior.scale_up.tolerance = Some(up);
    let spec = HpaSpec {
        min: 0,
        max: i32::MAX,
        metrics: vec![metric.clone()],
        behavior: Some(behavior),
        constants: *constants,
        gates: Gates {
            configurable_tolerance: true,
            ..Gates::default()
        },
    };
    let pods = calculator_pods(case, path)?;
    let current = case.current_replicas;
    let got = propose(&spec, &metric, current, current, &pods, &reading);
    let expect = &case.expect.0;
    let mut expected = serde_json::Map::new();
    let mut given = serde_json::Map::new();
    let mut compare = |key: &str, wanted: Option<Value>, value: Value| {
        if let Some(wanted) = wanted {
            expected.insert(key.to_owned(), wanted);
            given.insert(key.to_owned(), value);
        }
    };
    if let Some(fragment) = &expect.error_contains {
        let got = got
            .map(|proposal| json!(proposal))
            .map_err(|error| error.to_string());
        return Ok(error_checked(&case.id, fragment, got));
    }
    if expect.replicas.is_none() {
        return Err(ReplayError::new(
            format!("{path}.expect"),
            "neither `replicas` nor `error_contains` is expected",
        ));
    }
    match got {
        Ok(got) => {
            let replicas = expect.replicas.map(Value::from);
            compare("replicas", replicas, json!(got.replicas));
            let utilization = expect.utilization_pct.map(Value::from);
            compare("utilization_pct", utilization, json!(got.utilization_pct));
            for (key, usage) in [
                ("raw_milli", expect.raw_milli),
                ("usage_milli", expect.usage_milli),
            ] {
                compare(key, usage.map(Value::from), json!(got.usage_milli));
            }
        }
        Err(error) => compare(
            "replicas",
            expect.replicas.map(Value::from),
            json!(error.to_string()),
        ),
    }
    Ok(Checked::equal(&case.id, expected.into(), given.into()))
}

/// The metric of a calculator case and what its API returned.
fn calculator_metric(case: &CalculatorCase, path: &str) -> Result<(Metric, Reading), ReplayError> {
    let missing = |key: &str| {
        ReplayError::new(
            path.to_owned(),
            format!("missing field `{key}` of kind {:?}", case.kind),
        )
    };
    if case.kind == Kind::Resource {
        let pct = case
            .target_utilization_pct
            .ok_or_else(|| missing("target_utilization_pct"))?;
        let usages = case
            .usage_milli_per_container
            .as_ref()
            .ok_or_else(|| missing("usage_milli_per_container"))?;
        let target = MetricTarget::Utilization { pct };
        let metric = match &case.container {
            None => Metric::Resource { target },
            Some(container) => Metric::ContainerResource {
                container: container.clone(),
                target,
            },
        };
        let samples = usages
            .iter()
            .enumerate()
            .map(|(index, usage)| {
                let name = case.metric_pod_names.get(index).cloned();
                sample(name.unwrap_or_else(|| pod_name(index)), usage, LONG_AGO_S)
            })
            .collect();
        return Ok((metric, Reading::Pods(samples)));
    }
    let milli = case.target_milli.ok_or_else(|| missing("target_milli"))?;
    let levels = case
        .levels_milli
        .clone()
        .ok_or_else(|| missing("levels_milli"))?;
    let value = MetricTarget::Value { milli };
    let average = MetricTarget::AverageValue { milli };
    Ok(match case.kind {
        Kind::Resource | Kind::Pods => {
            let samples = levels
                .iter()
                .enumerate()
                .map(|(index, level)| sample(pod_name(index), &[*level], LONG_AGO_S))
                .collect();
            let metric = Metric::Pods {
                average_milli: milli,
            };
            (metric, Reading::Pods(samples))
        }
        Kind::Object => (Metric::Object { target: value }, Reading::Series(levels)),
        Kind::ObjectPerPod => (Metric::Object { target: average }, Reading::Series(levels)),
        Kind::External => (Metric::External { target: value }, Reading::Series(levels)),
        Kind::ExternalPerPod => (
            Metric::External { target: average },
            Reading::Series(levels),
        ),
    })
}

/// A sample of `usage` per container.
pub(super) fn sample(pod: String, usage: &[i64], sample_s_ago: f64) -> Sample {
    Sample {
        pod,
        usage: usage
            .iter()
            .enumerate()
            .map(|(index, milli)| ContainerUsage {
                name: container_name(index),
                milli: *milli,
            })
            .collect(),
        sample_s_ago,
        window_s: SAMPLE_WINDOW_S,
    }
}

/// The pods of a case, a list per property: what it leaves out is as in a healthy pod.
pub(super) struct PodLists<'a> {
    pub(super) phase: &'a [PodPhase],
    pub(super) ready: &'a [Status],
    pub(super) start: &'a [Start],
    pub(super) deleted: &'a [bool],
}

impl PodLists<'_> {
    pub(super) fn start_s_ago(&self, index: usize) -> f64 {
        self.start.get(index).map_or(LONG_AGO_S, |s| s.s_ago())
    }

    /// Pod `index`, each of whose `containers` requests `request_milli`.
    pub(super) fn pod(
        &self,
        index: usize,
        ready_changed_s_ago: f64,
        (containers, request_milli): (usize, Option<i64>),
    ) -> Pod {
        let container = |container| Container {
            name: container_name(container),
            kind: ContainerKind::Main,
            request_milli,
        };
        Pod {
            name: pod_name(index),
            phase: *self.phase.get(index).unwrap_or(&PodPhase::Running),
            deleted: self.deleted.get(index) == Some(&true),
            start_s_ago: Some(self.start_s_ago(index)),
            ready: Some(ReadyCondition {
                ready: self.ready.get(index) != Some(&Status::False),
                changed_s_ago: ready_changed_s_ago,
            }),
            resources: PodResources {
                containers: (0..containers).map(container).collect(),
                pod_level_milli: None,
            },
        }
    }
}

fn calculator_pods(case: &CalculatorCase, path: &str) -> Result<Vec<Pod>, ReplayError> {
    let listed = usize::try_from(case.current_replicas).unwrap_or(0);
    let listed = bounded(
        listed,
        MOST_PODS,
        "pods",
        format!("{path}.current_replicas"),
    )?;
    let lists = PodLists {
        phase: &case.pod_phase,
        ready: &case.pod_ready,
        start: &case.pod_start,
        deleted: &case.pod_deleted,
    };
    let containers = bounded(
        case.containers_per_pod.unwrap_or(1),
        MOST_CONTAINERS,
        "containers",
        format!("{path}.containers_per_pod"),
    )?;
    let pods = (0..listed.max(case.pod_phase.len()))
        .map(|index| {
            let request = case.request_milli_per_container.get(index).copied();
            lists.pod(index, LONG_AGO_S, (containers, request))
        })
        .collect();
    Ok(pods)
}

pub(super) fn group(case: &GroupCase, constants: &Constants) -> Checked {
    let pods: Vec<Pod> = case.pods.iter().map(group_pod).collect();
    let samples: Vec<Sample> = case
        .pods
        .iter()
        .filter_map(|pod| {
            let metric = pod.metric.as_ref()?;
            let mut sample = sample(
                pod.name.clone(),
                &[0],
                metric.sample_s_ago.unwrap_or(LONG_AGO_S),
            );
            sample.window_s = metric.window_s;
            Some(sample)
        })
        .collect();
    let cpu = case.resource == ResourceName::Cpu;
    let got = group_pods(&pods, &samples, cpu, constants);
    let expect = &case.expect;
    Checked::equal(
        &case.id,
        json!({
            "ready_count": expect.ready_count,
            "unready": expect.unready,
            "missing": expect.missing,
            "ignored": expect.ignored,
        }),
        json!({
            "ready_count": got.ready,
            "unready": got.unready,
            "missing": got.missing,
            "ignored": got.ignored,
        }),
    )
}

fn group_pod(pod: &GroupPod) -> Pod {
    Pod {
        name: pod.name.clone(),
        phase: pod.phase,
        deleted: pod.deleted,
        start_s_ago: pod.start_s_ago,
        ready: pod.ready_condition.as_ref().map(|ready| ReadyCondition {
            ready: ready.status == Status::True,
            changed_s_ago: ready.transition_s_ago,
        }),
        resources: PodResources::default(),
    }
}

pub(super) fn requests(case: &RequestCase) -> Checked {
    let main = case.containers.iter().map(|(name, request)| Container {
        name: name.clone(),
        kind: ContainerKind::Main,
        request_milli: *request,
    });
    let init = case
        .init_containers
        .iter()
        .map(|(name, request, restartable)| Container {
            name: name.clone(),
            kind: if *restartable {
                ContainerKind::Sidecar
            } else {
                ContainerKind::Init
            },
            request_milli: *request,
        });
    let resources = PodResources {
        containers: main.chain(init).collect(),
        pod_level_milli: case.pod_level_milli,
    };
    let container = Some(case.container.as_str()).filter(|name| !name.is_empty());
    let got = pod_request("pod", &resources, container, case.pod_level_resources_gate)
        .map(|request| json!({ "request_milli": request }))
        .map_err(|error| error.to_string());
    match &case.expect.0.error_contains {
        Some(fragment) => error_checked(&case.id, fragment, got),
        None => Checked::equal(
            &case.id,
            json!({ "request_milli": case.expect.0.request_milli }),
            got.unwrap_or_else(|error| json!({ "error": error })),
        ),
    }
}

pub(super) fn usage(case: &UsageCase, path: &str) -> Checked {
    let got = per_pod_usage(case.usage, case.replicas);
    Checked::equal(path, json!(case.expect), json!(got))
}

pub(super) fn convert(case: &ConvertCase, constants: &Constants) -> Checked {
    let got = limit_without_behavior(case.current, case.desired, case.min, case.max, constants);
    Checked::equal(
        &case.id,
        json!({ "replicas": case.expect.replicas, "reason": case.expect.reason }),
        limited(got),
    )
}

pub(super) fn limit(case: &LimitCase) -> Checked {
    let rules = case.rules.0.fill(case.direction);
    let got = limit_in_direction(case.current, case.direction, &rules, &[], &[], NOW_S);
    Checked::equal(&case.id, json!(case.expect), json!(got))
}

pub(super) fn rate(case: &RateCase) -> Checked {
    let behavior = Behavior {
        scale_up: fill(case.scale_up.as_ref(), Direction::Up),
        scale_down: fill(case.scale_down.as_ref(), Direction::Down),
    };
    let got = limit_by_rate(
        case.current,
        case.desired,
        (case.min, case.max),
        &behavior,
        &events(&case.scale_up_events),
        &events(&case.scale_down_events),
        NOW_S,
    );
    Checked::equal(
        &case.id,
        json!({ "replicas": case.expect.replicas, "reason": case.expect.reason }),
        limited(got),
    )
}

pub(super) fn stabilized(case: &StabilizeCase) -> Checked {
    let mut log = recommendations(&case.log);
    let replicas = stabilize(&mut log, case.window_s, case.proposed, NOW_S);
    Checked::equal(
        &case.id,
        json!({ "replicas": case.expect.replicas, "log_length": case.expect.log_length }),
        json!({ "replicas": replicas, "log_length": log.len() }),
    )
}

pub(super) fn stabilized_with_behavior(case: &StabilizeWithBehaviorCase) -> Checked {
    let mut log = recommendations(&case.log);
    let replicas = stabilize_with_behavior(
        &mut log,
        case.current,
        case.proposed,
        case.up_window_s,
        case.down_window_s,
        NOW_S,
    );
    let values: Vec<i32> = log.iter().map(|r| r.replicas).collect();
    // Null is not checked.
    let got_values = case.expect.log_values.as_ref().map(|_| values);
    Checked::equal(
        &case.id,
        json!({ "replicas": case.expect.replicas, "log_values": case.expect.log_values }),
        json!({ "replicas": replicas, "log_values": got_values }),
    )
}

/// Runs both directions, which share their rules.
pub(super) fn stored(case: &StoreCase) -> Checked {
    let stored = |direction| {
        let rules = case.policies.as_ref().map(|policies| Rules {
            policies: policies_of(policies),
            ..Rules::default_for(direction)
        });
        let mut log = events(&case.log);
        store_event(&mut log, case.change, rules.as_ref(), NOW_S);
        let log: Vec<(i32, bool)> = log.iter().map(|e| (e.change, e.outdated)).collect();
        log
    };
    let before = change_in_period(&events(&case.log), 60.0, NOW_S);
    Checked::equal(
        &case.id,
        json!({
            "change_in_last_60s": case.change_in_last_60s,
            "up": case.expect,
            "down": case.expect,
        }),
        json!({
            "change_in_last_60s": before,
            "up": stored(Direction::Up),
            "down": stored(Direction::Down),
        }),
    )
}
