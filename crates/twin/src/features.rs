//! What the network reads and what it is asked for.
//!
//! The network predicts what queueing leaves unexplained: residuals of eight metrics, queue, errors
//! and latencies in logarithms, each over its own deviation.

use karma_cluster::ServiceMetrics;

use crate::{
    math::{exp_m1, ln_1p},
    physics::{Physics, Prior, Situation, known},
};

/// Metrics that the network corrects.
pub(crate) const OUTPUTS: usize = 8;

/// Their places in `ServiceMetrics::NAMES`.
pub(crate) const OUTPUT_METRICS: [usize; OUTPUTS] = [4, 5, 6, 8, 9, 10, 11, 12];

/// Numbers per service that do not depend on how many services there are.
pub(crate) const FEATURES: usize = 57;

/// The eight metrics in the space in which residuals are taken.
#[inline]
pub(crate) fn transformed(m: &ServiceMetrics) -> [f32; OUTPUTS] {
    let [queued, p50, p95, p99, errors] = logs([
        m.queued,
        m.latency_p50_ms,
        m.latency_p95_ms,
        m.latency_p99_ms,
        m.errors_ps,
    ]);
    [
        queued,
        m.cpu_millicores,
        m.memory_mib,
        m.out_rate_rps,
        p50,
        p95,
        p99,
        errors,
    ]
}

/// ln(1 + x) of every entry, NaN where it was. One loop over an array: the compiler runs four lanes.
#[inline]
fn logs<const N: usize>(mut values: [f32; N]) -> [f32; N] {
    for value in &mut values {
        let log = ln_1p(*value);
        *value = if value.is_nan() { f32::NAN } else { log };
    }
    values
}

/// The same of a prior.
#[inline]
pub(crate) fn transformed_prior(p: &Prior) -> [f32; OUTPUTS] {
    let [p50, p95, p99] = p.latency_ms;
    let [queued, p50, p95, p99, errors] = logs([p.queued, p50, p95, p99, p.errors]);
    [
        queued,
        p.cpu_millicores,
        p.memory_mib,
        p.out,
        p50,
        p95,
        p99,
        errors,
    ]
}

/// Back to a service's metrics, within physical bounds. Counts of pods and `in_rate_rps` are the
/// caller's.
#[inline]
pub(crate) fn restore(
    physics: &Physics,
    service: usize,
    s: &Situation<'_>,
    prior: &Prior,
    y: &[f32; OUTPUTS],
) -> ServiceMetrics {
    let plan = &physics.plan.services[service];
    let pods = &s.pods[service];
    let before = known(s.now[service].queued, 0.0);
    let most_ready = pods.ready.max(known(s.now[service].replicas_ready, 0.0));
    let reachable = prior.inflow * 1.05 + before / physics.plan.window_s;
    let room = most_ready.max(1.0) * plan.queue_per_pod;
    let slowest_ms = 3000.0 * physics.plan.timeout_s;
    let [queued, p50, p95, p99, errors] = [y[0], y[4], y[5], y[6], y[7]].map(exp_m1);
    let p50 = p50.min(slowest_ms);
    let p95 = p95.max(p50).min(slowest_ms);
    let p99 = p99.max(p95).min(slowest_ms);
    ServiceMetrics {
        queued: queued.min(room),
        cpu_millicores: y[1].clamp(0.0, plan.limit_millicores * (most_ready + 1.0)),
        memory_mib: y[2].max(0.0),
        in_rate_rps: prior.inflow,
        out_rate_rps: y[3].clamp(0.0, reachable),
        latency_p50_ms: p50,
        latency_p95_ms: p95,
        latency_p99_ms: p99,
        errors_ps: errors.min(reachable),
        ..ServiceMetrics::MISSING
    }
}

/// The [`FEATURES`] numbers of one service. `priors` hold the queueing model's expectation of every
/// service of the game, `p` that of this one, transformed.
#[inline]
pub(crate) fn of(
    physics: &Physics,
    service: usize,
    s: &Situation<'_>,
    earlier: &ServiceMetrics,
    desired: f32,
    priors: &[Prior],
    p: &[f32; OUTPUTS],
) -> [f32; FEATURES] {
    let plan = &physics.plan.services[service];
    let fitted = &physics.services[service];
    let (now, prior) = (&s.now[service], &priors[service]);
    let (given, pods) = (&s.given[service], &s.pods[service]);
    let per_replica = if fitted.identified { 1.0 } else { 0.0 };
    let replicas = per_replica / plan.max_replicas;
    let rate = 1.0 / (fitted.rate_per_replica * plan.max_replicas);
    let cpu = 1.0 / (plan.limit_millicores * plan.max_replicas);
    let mib = 1.0 / (plan.request_mib * plan.max_replicas);
    let timeout = 1.0 / physics.plan.timeout_s;

    let mut utilization = 0.0_f32;
    let (mut good, mut queued, mut latency, mut latency_now, mut errors_now) =
        (1.0_f32, 0.0_f32, 0.0_f32, 0.0_f32, 0.0_f32);
    for link in &plan.calls {
        let callee = &priors[link.service];
        utilization = utilization.max(callee.utilization.min(4.0));
        good = good.min(callee.good);
        queued = queued.max(callee.queued);
        latency += link.probability * callee.latency_ms[1];
        latency_now += link.probability * known(s.now[link.service].latency_p95_ms, 0.0);
        errors_now = errors_now.max(known(s.now[link.service].errors_ps, 0.0));
    }
    let (mut upstream, mut waited) = (0.0_f32, 0.0_f32);
    for link in &plan.callers {
        upstream = upstream.max(priors[link.service].utilization.min(4.0));
        waited = waited.max(priors[link.service].waited_s);
    }
    let mut used = 0.0;
    for (pods, plan) in s.pods.iter().zip(&physics.plan.services) {
        used += pods.placed() * plan.request_millicores;
    }
    let t = transformed(now);
    let [
        earlier_queued,
        earlier_latency,
        earlier_errors,
        queued,
        latency,
        latency_now,
        errors_now,
        delay,
    ] = logs([
        earlier.queued,
        earlier.latency_p95_ms,
        earlier.errors_ps,
        queued,
        latency,
        latency_now,
        errors_now,
        given.delay_ms,
    ]);
    [
        t[0],
        t[1] * cpu,
        t[2] * mib,
        t[3] * rate,
        t[4],
        t[5],
        t[6],
        t[7],
        now.in_rate_rps * rate,
        now.replicas_ready * replicas,
        now.replicas_pending * replicas,
        now.replicas_failed * replicas,
        earlier_queued,
        earlier.in_rate_rps * rate,
        earlier.out_rate_rps * rate,
        earlier_latency,
        earlier_errors,
        earlier.replicas_ready * replicas,
        s.ready_at_start[service] * replicas,
        pods.ready * replicas,
        desired * replicas,
        pods.pending() * replicas,
        pods.failed() * replicas,
        prior.inflow * rate,
        prior.utilization.min(4.0),
        (prior.utilization.min(4.0) - 1.0).max(0.0),
        p[0],
        p[1] * cpu,
        p[2] * mib,
        p[3] * rate,
        p[4],
        p[5],
        p[6],
        p[7],
        prior.refused * rate,
        prior.late,
        prior.good,
        (prior.waited_s * timeout).min(2.0),
        utilization,
        good,
        queued,
        latency,
        latency_now,
        errors_now,
        upstream,
        (waited * timeout).min(2.0),
        given.kills / plan.max_replicas,
        given.failing / plan.max_replicas,
        given.cpu_stress,
        given.memory_mib / plan.limit_mib,
        delay,
        given.loss,
        given.slow / plan.servers,
        given.payload - 1.0,
        (used / s.nodes.millicores).min(2.0),
        if now.in_rate_rps.is_nan() { 1.0 } else { 0.0 },
        if earlier.in_rate_rps.is_nan() {
            1.0
        } else {
            0.0
        },
    ]
}
