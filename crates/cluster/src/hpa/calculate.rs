//! From one metric to one proposal.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    HpaSpec, Metric, MetricTarget, Pod, Sample, Tolerances,
    pods::{Measured, group, measured, pod_request},
};
use crate::observation::PodPhase;

/// Why a metric gives no proposal. Messages follow Kubernetes', so that people find them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum MetricError {
    /// The metrics API failed.
    #[error("unable to get metrics: the metrics API failed")]
    Api,
    /// The metrics API answered with nothing.
    #[error("no metrics returned from {api} metrics API")]
    NoSamples {
        /// Which API.
        api: String,
    },
    /// The selector lists no pod.
    #[error("no pods returned by selector while calculating replica count")]
    NoPods,
    /// Every sample belongs to a pod that is ignored or not ready.
    #[error("did not receive metrics for targeted pods (pods might be unready)")]
    NoneLeft,
    /// A container has no CPU request.
    #[error("missing request for cpu in container {container} of Pod {pod}")]
    MissingRequest {
        /// The container.
        container: String,
        /// Its pod.
        pod: String,
    },
    /// The named container does not exist.
    #[error("container {container} not found in Pod {pod}")]
    UnknownContainer {
        /// The container.
        container: String,
        /// The pod.
        pod: String,
    },
    /// No sample belongs to a listed pod.
    #[error("no metrics returned matched known pods")]
    NoKnownPod,
    /// The target does not fit the type of the metric.
    #[error("invalid {kind} metric source: no usable target was set")]
    InvalidTarget {
        /// Type of the metric.
        kind: String,
    },
    /// The controller does not know the type.
    #[error("unknown metric source type {kind:?}")]
    UnknownType {
        /// Type as written.
        kind: String,
    },
}

/// What a metrics API returned for one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reading {
    /// Samples of pods.
    Pods(Vec<Sample>),
    /// Values of series, in thousandths.
    Series(Vec<i64>),
}

/// What one metric asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Replicas.
    pub replicas: i32,
    /// Utilization of the request in the first pass, where the target is one.
    pub utilization_pct: Option<i32>,
    /// Usage per counted pod in the first pass; the total for object and external values; per
    /// replica for their averages.
    pub usage_milli: i64,
}

/// Counts of the scale subresource, as the calculation needs them.
#[derive(Clone, Copy, Debug)]
struct Counts {
    spec: i32,
    status: i32,
}

/// The proposal of `metric`, given the counts of the scale (`spec_replicas`, `status_replicas`),
/// the listed pods and what the metrics API returned.
///
/// # Errors
/// [`MetricError`] when the metric says nothing.
pub fn propose(
    spec: &HpaSpec,
    metric: &Metric,
    spec_replicas: i32,
    status_replicas: i32,
    pods: &[Pod],
    reading: &Reading,
) -> Result<Proposal, MetricError> {
    let counts = Counts {
        spec: spec_replicas,
        status: status_replicas,
    };
    match (metric, reading) {
        (Metric::Resource { target }, Reading::Pods(samples)) => {
            resource(spec, *target, None, counts, pods, samples)
        }
        (Metric::ContainerResource { container, target }, Reading::Pods(samples)) => {
            resource(spec, *target, Some(container), counts, pods, samples)
        }
        (Metric::Pods { average_milli }, Reading::Pods(samples)) => {
            not_empty(samples, "custom")?;
            let samples = measured(samples, None);
            plain(spec, *average_milli, false, counts, pods, samples)
        }
        (Metric::Object { target }, Reading::Series(series)) => {
            not_empty(series, "custom")?;
            total(spec, *target, "object", counts, pods, series)
        }
        (Metric::External { target }, Reading::Series(series)) => {
            not_empty(series, "external")?;
            total(spec, *target, "external", counts, pods, series)
        }
        (Metric::Unknown { kind }, _) => Err(MetricError::UnknownType { kind: kind.clone() }),
        // A reading of the wrong shape is an answer without a value.
        (Metric::Object { .. } | Metric::Pods { .. }, _) => Err(no_samples("custom")),
        (Metric::External { .. }, _) => Err(no_samples("external")),
        (Metric::Resource { .. } | Metric::ContainerResource { .. }, _) => {
            Err(no_samples("resource"))
        }
    }
}

fn no_samples(api: &str) -> MetricError {
    MetricError::NoSamples {
        api: api.to_owned(),
    }
}

fn not_empty<T>(values: &[T], api: &str) -> Result<(), MetricError> {
    if values.is_empty() {
        Err(no_samples(api))
    } else {
        Ok(())
    }
}

fn resource(
    spec: &HpaSpec,
    target: MetricTarget,
    container: Option<&str>,
    counts: Counts,
    pods: &[Pod],
    samples: &[Sample],
) -> Result<Proposal, MetricError> {
    not_empty(samples, "resource")?;
    let samples = measured(samples, container);
    match target {
        MetricTarget::Utilization { pct } => {
            utilization(spec, pct, container, counts, pods, samples)
        }
        MetricTarget::AverageValue { milli } => plain(spec, milli, true, counts, pods, samples),
        MetricTarget::Value { .. } => Err(MetricError::InvalidTarget {
            kind: "resource".to_owned(),
        }),
    }
}

/// Usages by pod: what a pass computes its ratio from.
type Usages = BTreeMap<String, i64>;

/// The counted pods of the first pass.
struct FirstPass {
    ready: usize,
    unready: BTreeSet<String>,
    missing: BTreeSet<String>,
    usages: Usages,
}

/// Groups the pods and drops the samples of those that do not count.
fn first_pass(
    spec: &HpaSpec,
    cpu: bool,
    pods: &[Pod],
    samples: BTreeMap<String, Measured>,
) -> Result<FirstPass, MetricError> {
    if pods.is_empty() {
        return Err(MetricError::NoPods);
    }
    let groups = group(pods, &samples, cpu, &spec.constants);
    let usages: Usages = samples
        .into_iter()
        .filter(|(pod, _)| !groups.ignored.contains(pod) && !groups.unready.contains(pod))
        .map(|(pod, sample)| (pod, sample.milli))
        .collect();
    if usages.is_empty() {
        return Err(MetricError::NoneLeft);
    }
    Ok(FirstPass {
        ready: groups.ready,
        unready: groups.unready,
        missing: groups.missing,
        usages,
    })
}

/// Both passes of the rule that pod metrics share.
///
/// `ratio_of` gives the ratio over a set of usages, `stand_in` the usage of a missing pod while
/// the ratio is below 1.
fn decide(
    tolerances: Tolerances,
    current: i32,
    first: FirstPass,
    ratio: f64,
    ratio_of: impl Fn(&Usages) -> Result<f64, MetricError>,
    stand_in: impl Fn(&str) -> i64,
) -> Result<i32, MetricError> {
    let FirstPass {
        ready,
        unready,
        missing,
        mut usages,
    } = first;
    let up_with_unready = !unready.is_empty() && ratio > 1.0;
    if !up_with_unready && missing.is_empty() {
        return Ok(if tolerances.hold(ratio) {
            current
        } else {
            ceil_count(ratio * ready as f64)
        });
    }
    // Whatever is not known counts against the change: full on the way down, idle on the way up.
    for pod in missing {
        if ratio < 1.0 {
            let usage = stand_in(&pod);
            usages.insert(pod, usage);
        } else if ratio > 1.0 {
            usages.insert(pod, 0);
        }
    }
    if up_with_unready {
        usages.extend(unready.into_iter().map(|pod| (pod, 0)));
    }
    let second = ratio_of(&usages)?;
    let crossed = (ratio < 1.0 && second > 1.0) || (ratio > 1.0 && second < 1.0);
    if tolerances.hold(second) || crossed {
        return Ok(current);
    }
    let replicas = ceil_count(second * usages.len() as f64);
    let against = (second < 1.0 && replicas > current) || (second > 1.0 && replicas < current);
    Ok(if against { current } else { replicas })
}

fn utilization(
    spec: &HpaSpec,
    target_pct: i32,
    container: Option<&str>,
    counts: Counts,
    pods: &[Pod],
    samples: BTreeMap<String, Measured>,
) -> Result<Proposal, MetricError> {
    let first = first_pass(spec, true, pods, samples)?;
    let gate = spec.gates.pod_level_resources;
    let requests = pods
        .iter()
        .map(|pod| {
            let request = pod_request(&pod.name, &pod.resources, container, gate)?;
            Ok((pod.name.as_str(), request))
        })
        .collect::<Result<BTreeMap<&str, i64>, MetricError>>()?;
    let request = |pod: &str| requests.get(pod).copied();
    let used = Utilization::of(&first.usages, &request)?;
    let stand_in_pct = i64::from(target_pct.max(100));
    let replicas = decide(
        spec.tolerances(),
        counts.spec,
        first,
        used.ratio(target_pct),
        |usages| Ok(Utilization::of(usages, &request)?.ratio(target_pct)),
        |pod| request(pod).unwrap_or(0).saturating_mul(stand_in_pct) / 100,
    )?;
    Ok(Proposal {
        replicas,
        utilization_pct: Some(used.pct),
        usage_milli: used.mean_milli,
    })
}

/// Utilization of the requests over a set of pods.
struct Utilization {
    pct: i32,
    mean_milli: i64,
}

impl Utilization {
    /// Sums over the pods that have both a usage and a request.
    fn of(usages: &Usages, request: &impl Fn(&str) -> Option<i64>) -> Result<Self, MetricError> {
        let (mut usage, mut requested, mut count) = (0_i64, 0_i64, 0_i64);
        for (pod, milli) in usages {
            if let Some(request) = request(pod) {
                usage = usage.saturating_add(*milli);
                requested = requested.saturating_add(request);
                count += 1;
            }
        }
        if requested == 0 {
            return Err(MetricError::NoKnownPod);
        }
        let pct = i128::from(usage) * 100 / i128::from(requested);
        Ok(Self {
            pct: pct.clamp(i128::from(i32::MIN), i128::from(i32::MAX)) as i32,
            mean_milli: usage / count,
        })
    }

    fn ratio(&self, target_pct: i32) -> f64 {
        f64::from(self.pct) / f64::from(target_pct)
    }
}

fn plain(
    spec: &HpaSpec,
    target_milli: i64,
    cpu: bool,
    counts: Counts,
    pods: &[Pod],
    samples: BTreeMap<String, Measured>,
) -> Result<Proposal, MetricError> {
    let first = first_pass(spec, cpu, pods, samples)?;
    let mean = |usages: &Usages| {
        let sum = usages.values().fold(0_i64, |sum, v| sum.saturating_add(*v));
        sum / usages.len().max(1) as i64
    };
    let ratio = |usages: &Usages| mean(usages) as f64 / target_milli as f64;
    let usage_milli = mean(&first.usages);
    let first_ratio = ratio(&first.usages);
    let replicas = decide(
        spec.tolerances(),
        counts.spec,
        first,
        first_ratio,
        |usages| Ok(ratio(usages)),
        |_| target_milli,
    )?;
    Ok(Proposal {
        replicas,
        utilization_pct: None,
        usage_milli,
    })
}

/// Object and external metrics: one total against a value, or against an average per replica.
fn total(
    spec: &HpaSpec,
    target: MetricTarget,
    kind: &str,
    counts: Counts,
    pods: &[Pod],
    series: &[i64],
) -> Result<Proposal, MetricError> {
    let usage = series.iter().fold(0_i64, |sum, v| sum.saturating_add(*v));
    let tolerances = spec.tolerances();
    let (replicas, usage_milli) = match target {
        MetricTarget::Value { milli } => {
            let ratio = usage as f64 / milli as f64;
            let replicas = if counts.spec == 0 {
                ceil_count(ratio)
            } else if tolerances.hold(ratio) {
                counts.spec
            } else {
                ceil_count(ratio * running_and_ready(pods)? as f64)
            };
            (replicas, usage)
        }
        MetricTarget::AverageValue { milli } => {
            let ratio = usage as f64 / (milli as f64 * f64::from(counts.status));
            let replicas = if tolerances.hold(ratio) {
                counts.status
            } else {
                ceil_count(usage as f64 / milli as f64)
            };
            (replicas, per_pod_usage(usage, counts.status))
        }
        MetricTarget::Utilization { .. } => {
            return Err(MetricError::InvalidTarget {
                kind: kind.to_owned(),
            });
        }
    };
    Ok(Proposal {
        replicas,
        utilization_pct: None,
        usage_milli,
    })
}

fn running_and_ready(pods: &[Pod]) -> Result<usize, MetricError> {
    if pods.is_empty() {
        return Err(MetricError::NoPods);
    }
    let ready = |pod: &&Pod| {
        pod.phase == PodPhase::Running && pod.ready.is_some_and(|condition| condition.ready)
    };
    Ok(pods.iter().filter(ready).count())
}

/// Usage per replica, rounded up; 0 where there is no replica, saturating.
#[must_use]
pub fn per_pod_usage(usage_milli: i64, status_replicas: i32) -> i64 {
    if status_replicas == 0 {
        return 0;
    }
    (usage_milli as f64 / f64::from(status_replicas)).ceil() as i64
}

/// The smallest count not below `count`; saturates, and NaN is 0.
pub(super) fn ceil_count(count: f64) -> i32 {
    count.ceil() as i32
}
