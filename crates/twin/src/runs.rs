//! A trace as runs: for every window of every run, all services side by side.

use std::collections::BTreeMap;

use karma_cluster::ServiceMetrics;

use crate::{
    error::{Result, TwinError},
    given::Given,
    plan::Plan,
    trace::{Number, Text, Trace},
};

/// Bytes in a MiB.
pub(crate) const MIB: f64 = 1_048_576.0;

/// One run: `instants × services` metrics. `given` at an instant is what was done to a service in
/// the window that ends there.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) name: String,
    pub(crate) context: Option<String>,
    pub(crate) services: usize,
    pub(crate) metrics: Vec<ServiceMetrics>,
    pub(crate) given: Vec<Given>,
}

impl Run {
    /// Number of instants.
    pub(crate) fn len(&self) -> usize {
        self.metrics.len() / self.services
    }

    /// All services at instant `t`.
    pub(crate) fn at(&self, t: usize) -> &[ServiceMetrics] {
        &self.metrics[t * self.services..(t + 1) * self.services]
    }

    /// What was done in the window that ends at instant `t`.
    pub(crate) fn given(&self, t: usize) -> &[Given] {
        &self.given[t * self.services..(t + 1) * self.services]
    }

    /// Desired replicas in the window that ends at instant `t`; held where unknown.
    pub(crate) fn desired(&self, t: usize, out: &mut Vec<u32>) {
        out.clear();
        out.extend(self.at(t).iter().enumerate().map(|(service, m)| {
            let known = [
                m.replicas_desired,
                m.replicas_ready,
                self.at(0)[service].replicas_ready,
            ];
            known
                .iter()
                .find(|v| !v.is_nan())
                .map_or(1, |v| v.round().max(0.0) as u32)
        }));
    }
}

/// The runs of `trace`, in the order of their names, with the services of `plan`.
pub(crate) fn runs(trace: &Trace, plan: &Plan) -> Result<Vec<Run>> {
    // (run, instant) → row of every service.
    let mut grid: BTreeMap<(&str, i64), Vec<Option<usize>>> = BTreeMap::new();
    for row in 0..trace.len() {
        let run = trace.text(Text::Run, row).unwrap_or_default();
        let name = trace.text(Text::Service, row).unwrap_or_default();
        let Some(service) = plan.services.iter().position(|s| s.name == name) else {
            if name.starts_with("__") {
                continue;
            }
            return Err(TwinError::Fit(format!(
                "the trace has a service {name:?} that the scenario does not have"
            )));
        };
        let instants = grid
            .entry((run, trace.ts_ms()[row]))
            .or_insert_with(|| vec![None; plan.len()]);
        instants[service] = Some(row);
    }
    let mut found: Vec<Run> = Vec::new();
    for ((name, _), rows) in grid {
        if found.last().is_none_or(|run| run.name != name) {
            found.push(Run {
                name: name.to_owned(),
                context: rows
                    .iter()
                    .flatten()
                    .find_map(|row| trace.text(Text::LabelKind, *row))
                    .map(str::to_owned),
                services: plan.len(),
                metrics: Vec::new(),
                given: Vec::new(),
            });
        }
        if let Some(run) = found.last_mut() {
            for row in rows {
                run.metrics
                    .push(row.map_or(ServiceMetrics::MISSING, |row| metrics(trace, row)));
                run.given
                    .push(row.map_or(Given::default(), |row| given(trace, row)));
            }
        }
    }
    Ok(found)
}

/// The metrics of one row.
pub(crate) fn metrics(trace: &Trace, row: usize) -> ServiceMetrics {
    let get = |field| trace.get(field, row).map_or(f32::NAN, |v| v as f32);
    let scaled = |field, factor: f64| {
        trace
            .get(field, row)
            .map_or(f32::NAN, |v| (v * factor) as f32)
    };
    let failed = get(Number::FailedPods);
    ServiceMetrics {
        replicas_desired: get(Number::Desired),
        replicas_ready: get(Number::Ready),
        replicas_failed: failed,
        replicas_pending: (get(Number::PendingPods) - failed.max(0.0)).max(0.0),
        queued: get(Number::Queued),
        cpu_millicores: scaled(Number::Cpu, 1000.0),
        memory_mib: scaled(Number::Mem, 1.0 / MIB),
        in_rate_rps: get(Number::Rps),
        out_rate_rps: get(Number::OutRps),
        latency_p50_ms: get(Number::LatP50),
        latency_p95_ms: get(Number::LatP95),
        latency_p99_ms: get(Number::LatP99),
        errors_ps: get(Number::Errors),
        restarts: get(Number::Restarts),
    }
}

fn given(trace: &Trace, row: usize) -> Given {
    let get = |field, otherwise: f32| trace.get(field, row).map_or(otherwise, |v| v as f32);
    Given {
        kills: get(Number::GivenKills, 0.0),
        failing: get(Number::GivenPodFailures, 0.0),
        cpu_stress: get(Number::GivenCpuStress, 0.0),
        memory_mib: get(Number::GivenMemoryStress, 0.0) / MIB as f32,
        delay_ms: get(Number::GivenDelay, 0.0),
        loss: get(Number::GivenLoss, 0.0),
        slow: get(Number::GivenSlowConnections, 0.0),
        payload: get(Number::GivenPayload, 1.0),
        outage: get(Number::GivenOutage, 0.0),
    }
}

/// Appends one row of the common schema to `trace`: one service at one instant. Texts and the
/// instant are already set.
pub(crate) fn set_row(trace: &mut Trace, m: &ServiceMetrics, given: &Given) {
    let known = |v: f32| (!v.is_nan()).then_some(f64::from(v));
    trace.set(Number::Desired, known(m.replicas_desired));
    trace.set(Number::Ready, known(m.replicas_ready));
    trace.set(Number::FailedPods, known(m.replicas_failed));
    trace.set(
        Number::PendingPods,
        known(m.replicas_pending + m.replicas_failed),
    );
    trace.set(
        Number::Total,
        known(m.replicas_ready + m.replicas_pending + m.replicas_failed),
    );
    trace.set(Number::Queued, known(m.queued));
    // A difference of counters may miss 0 by a rounding error.
    let cpu = known(m.cpu_millicores).map(|v| if v > -1e-3 { v.max(0.0) } else { v });
    trace.set(Number::Cpu, cpu.map(|v| v / 1000.0));
    trace.set(Number::Mem, known(m.memory_mib).map(|v| v * MIB));
    trace.set(Number::Rps, known(m.in_rate_rps));
    trace.set(Number::OutRps, known(m.out_rate_rps));
    trace.set(Number::LatP50, known(m.latency_p50_ms));
    trace.set(Number::LatP95, known(m.latency_p95_ms));
    trace.set(Number::LatP99, known(m.latency_p99_ms));
    trace.set(Number::Errors, known(m.errors_ps));
    let ratio = known(m.errors_ps / m.in_rate_rps).filter(|_| m.in_rate_rps > 0.0);
    trace.set(Number::ErrorRatio, ratio);
    trace.set(Number::Restarts, known(m.restarts));
    for (field, value) in [
        (Number::GivenKills, f64::from(given.kills)),
        (Number::GivenPodFailures, f64::from(given.failing)),
        (Number::GivenCpuStress, f64::from(given.cpu_stress)),
        (Number::GivenMemoryStress, f64::from(given.memory_mib) * MIB),
        (Number::GivenDelay, f64::from(given.delay_ms)),
        (Number::GivenLoss, f64::from(given.loss)),
        (Number::GivenSlowConnections, f64::from(given.slow)),
        (Number::GivenPayload, f64::from(given.payload)),
        (Number::GivenOutage, f64::from(given.outage)),
    ] {
        trace.set(field, Some(value));
    }
}
