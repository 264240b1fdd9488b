//! Pods and their samples: who counts, and what each pod asked for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Constants, calculate::MetricError};
use crate::observation::PodPhase;

/// Age that stands for "before anything else": upstream's zero time.
pub const LONG_AGO_S: f64 = 1e12;

/// One pod as the API server lists it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pod {
    /// Name, unique.
    pub name: String,
    /// Phase.
    pub phase: PodPhase,
    /// Whether a deletion timestamp is set.
    pub deleted: bool,
    /// Age of the start; `None` before it.
    pub start_s_ago: Option<f64>,
    /// The Ready condition; `None` where there is none yet.
    pub ready: Option<ReadyCondition>,
    /// What it asks for.
    pub resources: PodResources,
}

/// The Ready condition of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReadyCondition {
    /// Status.
    pub ready: bool,
    /// Age of its last transition.
    pub changed_s_ago: f64,
}

/// CPU requests of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodResources {
    /// Containers, init containers included.
    pub containers: Vec<Container>,
    /// Request of the pod as a whole.
    pub pod_level_milli: Option<i64>,
}

/// One container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Name, unique in the pod.
    pub name: String,
    /// When it runs.
    pub kind: ContainerKind,
    /// CPU request.
    pub request_milli: Option<i64>,
}

/// When a container runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerKind {
    /// With the pod.
    Main,
    /// Before the others; its request does not count.
    Init,
    /// Restartable init container: with the pod.
    Sidecar,
}

/// One sample of a pod, as a metrics API returned it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Name of the pod; it need not be one that the selector lists.
    pub pod: String,
    /// Usage per container. Metrics without containers have one entry.
    pub usage: Vec<ContainerUsage>,
    /// Age.
    pub sample_s_ago: f64,
    /// Span over which it was taken.
    pub window_s: f64,
}

/// Usage of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerUsage {
    /// Name of the container.
    pub name: String,
    /// Usage in thousandths.
    pub milli: i64,
}

/// Pods by what their samples are worth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodGroups {
    /// Number of ready, measured pods.
    pub ready: usize,
    /// Names of pods that are not ready yet.
    pub unready: BTreeSet<String>,
    /// Names of running pods without a sample.
    pub missing: BTreeSet<String>,
    /// Names of pods that end or have ended.
    pub ignored: BTreeSet<String>,
}

/// A value with the age and span of its sample, one per pod.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measured {
    pub(super) milli: i64,
    pub(super) sample_s_ago: f64,
    pub(super) window_s: f64,
}

/// The samples of whole pods, or of `container` where one is named; pods whose sample lacks that
/// container have none.
pub(super) fn measured(samples: &[Sample], container: Option<&str>) -> BTreeMap<String, Measured> {
    samples
        .iter()
        .filter_map(|sample| {
            let of_container = |usage: &&ContainerUsage| container.is_none_or(|c| c == usage.name);
            let mut usages = sample.usage.iter().filter(of_container).peekable();
            usages.peek()?;
            let measured = Measured {
                milli: usages.fold(0, |sum: i64, usage| sum.saturating_add(usage.milli)),
                sample_s_ago: sample.sample_s_ago,
                window_s: sample.window_s,
            };
            Some((sample.pod.clone(), measured))
        })
        .collect()
}

/// Sorts `pods` by what their samples are worth. `cpu` turns on the rules of readiness, which hold
/// for CPU only.
#[must_use]
pub fn group_pods(pods: &[Pod], samples: &[Sample], cpu: bool, constants: &Constants) -> PodGroups {
    group(pods, &measured(samples, None), cpu, constants)
}

pub(super) fn group(
    pods: &[Pod],
    samples: &BTreeMap<String, Measured>,
    cpu: bool,
    constants: &Constants,
) -> PodGroups {
    let mut groups = PodGroups::default();
    for pod in pods {
        if pod.deleted || matches!(pod.phase, PodPhase::Failed | PodPhase::Succeeded) {
            groups.ignored.insert(pod.name.clone());
        } else if pod.phase == PodPhase::Pending {
            groups.unready.insert(pod.name.clone());
        } else if let Some(sample) = samples.get(&pod.name) {
            if cpu && !cpu_sample_counts(pod, sample, constants) {
                groups.unready.insert(pod.name.clone());
            } else {
                groups.ready += 1;
            }
        } else {
            groups.missing.insert(pod.name.clone());
        }
    }
    groups
}

/// Whether a CPU sample says anything about the load: start-up work of a young pod does not.
fn cpu_sample_counts(pod: &Pod, sample: &Measured, constants: &Constants) -> bool {
    let (Some(condition), Some(start_s_ago)) = (pod.ready, pod.start_s_ago) else {
        return false;
    };
    if condition.ready {
        let initializing = start_s_ago < constants.cpu_initialization_period_s;
        let before_a_full_window = sample.sample_s_ago > condition.changed_s_ago - sample.window_s;
        return !(initializing && before_a_full_window);
    }
    let initializing = start_s_ago < constants.cpu_initialization_period_s;
    let never_ready = condition.changed_s_ago > start_s_ago - constants.initial_readiness_delay_s;
    !(initializing || never_ready)
}

/// CPU request of a pod, or of `container` where one is named.
///
/// # Errors
/// A container that counts has no request, or the named one does not exist.
pub fn pod_request(
    pod: &str,
    resources: &PodResources,
    container: Option<&str>,
    pod_level_gate: bool,
) -> Result<i64, MetricError> {
    if let (None, true, Some(request)) = (container, pod_level_gate, resources.pod_level_milli) {
        return Ok(request);
    }
    let mut total = 0_i64;
    let mut found = false;
    for candidate in &resources.containers {
        let wanted = container.is_none_or(|name| name == candidate.name);
        if candidate.kind == ContainerKind::Init || !wanted {
            continue;
        }
        found = true;
        let request = candidate
            .request_milli
            .ok_or_else(|| MetricError::MissingRequest {
                container: candidate.name.clone(),
                pod: pod.to_owned(),
            })?;
        total = total.saturating_add(request);
    }
    match container {
        Some(name) if !found => Err(MetricError::UnknownContainer {
            container: name.to_owned(),
            pod: pod.to_owned(),
        }),
        _ => Ok(total),
    }
}
