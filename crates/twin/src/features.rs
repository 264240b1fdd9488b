//! What the network reads and what it is asked for.
//!
//! The network predicts what queueing leaves unexplained: residuals of eight metrics, queue, errors
//! and latencies in logarithms, each over its own deviation.

#![expect(
    clippy::needless_range_loop,
    reason = "a lane indexes many columns, and loops over lanes become vector instructions"
)]

use karma_cluster::ServiceMetrics;

use crate::{
    lanes::{Column, Metrics, Situation, Station, column, columns},
    math::{between, exp_m1, ln_1p},
    physics::{Physics, Prior, known},
    plan::ServicePlan,
};

/// Metrics that the network corrects.
pub(crate) const OUTPUTS: usize = 8;

/// Their places in `ServiceMetrics::NAMES`.
pub(crate) const OUTPUT_METRICS: [usize; OUTPUTS] = [4, 5, 6, 8, 9, 10, 11, 12];

/// Numbers per service that do not depend on how many services there are.
pub(crate) const FEATURES: usize = 57;

/// Logarithm, for what spans orders of magnitude; NaN where it was.
#[inline(always)]
fn log(value: f32) -> f32 {
    let log = ln_1p(value);
    if value.is_nan() { f32::NAN } else { log }
}

/// The eight metrics in the space in which residuals are taken.
#[inline]
pub(crate) fn transformed(m: &ServiceMetrics) -> [f32; OUTPUTS] {
    [
        log(m.queued),
        m.cpu_millicores,
        m.memory_mib,
        m.out_rate_rps,
        log(m.latency_p50_ms),
        log(m.latency_p95_ms),
        log(m.latency_p99_ms),
        log(m.errors_ps),
    ]
}

/// The same of a prior.
#[inline(always)]
pub(crate) fn transformed_prior<const L: usize>(p: &Prior<L>) -> [Column<L>; OUTPUTS] {
    let [p50, p95, p99] = &p.latency_ms;
    [
        logs(&p.queued),
        p.cpu_millicores,
        p.memory_mib,
        p.out,
        logs(p50),
        logs(p95),
        logs(p99),
        logs(&p.errors),
    ]
}

#[inline(always)]
fn logs<const L: usize>(values: &Column<L>) -> Column<L> {
    column!(|i| log(values[i]))
}

columns! {
    /// What a prediction restores to: a service's metrics, within physical bounds. Arrivals and counts
    /// of pods are the caller's.
    Restored {
        queued,
        cpu_millicores,
        memory_mib,
        out_rate_rps,
        latency_p50_ms,
        latency_p95_ms,
        latency_p99_ms,
        errors_ps,
    }
}

/// Back from the space of residuals to metrics.
#[inline(always)]
pub(crate) fn restore<const L: usize>(
    physics: &Physics,
    service: usize,
    s: &Situation<L>,
    prior: &Prior<L>,
    y: &[Column<L>; OUTPUTS],
) -> Restored<L> {
    let plan = &physics.plan.services[service];
    let station = &s.stations[service];
    let slowest_ms = 3000.0 * physics.plan.timeout_s;
    let mut out = Restored::ZERO;
    for i in 0..L {
        let before = known(station.now.queued[i], 0.0);
        let ready = station.pods.ready[i];
        let most_ready = ready.max(known(station.now.replicas_ready[i], 0.0));
        let reachable = prior.inflow[i] * 1.05 + before / physics.plan.window_s;
        let room = most_ready.max(1.0) * plan.queue_per_pod;
        let most_cpu = plan.limit_millicores * (most_ready + 1.0);
        let p50 = exp_m1(y[4][i]).min(slowest_ms);
        let p95 = exp_m1(y[5][i]).max(p50).min(slowest_ms);
        let p99 = exp_m1(y[6][i]).max(p95).min(slowest_ms);
        out.queued[i] = exp_m1(y[0][i]).min(room);
        out.cpu_millicores[i] = between(y[1][i], 0.0, most_cpu);
        out.memory_mib[i] = y[2][i].max(0.0);
        out.out_rate_rps[i] = between(y[3][i], 0.0, reachable);
        out.latency_p50_ms[i] = p50;
        out.latency_p95_ms[i] = p95;
        out.latency_p99_ms[i] = p99;
        out.errors_ps[i] = exp_m1(y[7][i]).min(reachable);
    }
    out
}

columns! {
    /// What the services that a service calls, and those that call it, have in store for it.
    Neighbours {
        /// Callees: highest expected utilization, least share answered, longest queue, mean latency
        /// and latency now, ms, most errors now.
        utilization,
        good,
        queued,
        latency_ms,
        latency_now_ms,
        errors_now,
        /// Callers: highest expected utilization, longest wait, s.
        upstream,
        waited_s,
    }
}

impl<const L: usize> Neighbours<L> {
    #[inline(always)]
    fn of(plan: &ServicePlan, s: &Situation<L>, priors: &[Prior<L>]) -> Self {
        let mut n = Self {
            good: [1.0; L],
            ..Self::ZERO
        };
        for link in &plan.calls {
            n.add_callee(
                link.probability,
                &s.stations[link.service].now,
                &priors[link.service],
            );
        }
        for link in &plan.callers {
            let caller = &priors[link.service];
            for i in 0..L {
                n.upstream[i] = n.upstream[i].max(caller.utilization[i].min(4.0));
                n.waited_s[i] = n.waited_s[i].max(caller.waited_s[i]);
            }
        }
        n
    }

    #[inline(always)]
    fn add_callee(&mut self, probability: f32, now: &Metrics<L>, callee: &Prior<L>) {
        for i in 0..L {
            self.utilization[i] = self.utilization[i].max(callee.utilization[i].min(4.0));
            self.good[i] = self.good[i].min(callee.good[i]);
            self.queued[i] = self.queued[i].max(callee.queued[i]);
            self.latency_ms[i] += probability * callee.latency_ms[1][i];
            self.latency_now_ms[i] += probability * known(now.latency_p95_ms[i], 0.0);
            self.errors_now[i] = self.errors_now[i].max(known(now.errors_ps[i], 0.0));
        }
    }
}

/// The [`FEATURES`] numbers of one service. `priors` hold the queueing model's expectation of every
/// service of the games, `p` that of this one, transformed; `requested` is
/// [`Physics::requested_share`].
#[inline(always)]
pub(crate) fn of<const L: usize>(
    physics: &Physics,
    service: usize,
    s: &Situation<L>,
    requested: &Column<L>,
    priors: &[Prior<L>],
    p: &[Column<L>; OUTPUTS],
) -> [Column<L>; FEATURES] {
    let plan = &physics.plan.services[service];
    let fitted = &physics.services[service];
    let prior = &priors[service];
    let Station {
        earlier,
        now,
        desired,
        given,
        pods,
    } = &s.stations[service];
    let per_replica = if fitted.identified { 1.0 } else { 0.0 };
    let replicas = per_replica / plan.max_replicas;
    let rate = 1.0 / (fitted.rate_per_replica * plan.max_replicas);
    let cpu = 1.0 / (plan.limit_millicores * plan.max_replicas);
    let mib = 1.0 / (plan.request_mib * plan.max_replicas);
    let timeout = 1.0 / physics.plan.timeout_s;
    let n = Neighbours::of(plan, s, priors);
    [
        logs(&now.queued),
        column!(|i| now.cpu_millicores[i] * cpu),
        column!(|i| now.memory_mib[i] * mib),
        column!(|i| now.out_rate_rps[i] * rate),
        logs(&now.latency_p50_ms),
        logs(&now.latency_p95_ms),
        logs(&now.latency_p99_ms),
        logs(&now.errors_ps),
        column!(|i| now.in_rate_rps[i] * rate),
        column!(|i| now.replicas_ready[i] * replicas),
        column!(|i| now.replicas_pending[i] * replicas),
        column!(|i| now.replicas_failed[i] * replicas),
        logs(&earlier.queued),
        column!(|i| earlier.in_rate_rps[i] * rate),
        column!(|i| earlier.out_rate_rps[i] * rate),
        logs(&earlier.latency_p95_ms),
        logs(&earlier.errors_ps),
        column!(|i| earlier.replicas_ready[i] * replicas),
        column!(|i| pods.ready_at_start[i] * replicas),
        column!(|i| pods.ready[i] * replicas),
        column!(|i| desired[i] * replicas),
        column!(|i| pods.pending[i] * replicas),
        column!(|i| pods.failed[i] * replicas),
        column!(|i| prior.inflow[i] * rate),
        column!(|i| prior.utilization[i].min(4.0)),
        column!(|i| (prior.utilization[i].min(4.0) - 1.0).max(0.0)),
        p[0],
        column!(|i| p[1][i] * cpu),
        column!(|i| p[2][i] * mib),
        column!(|i| p[3][i] * rate),
        p[4],
        p[5],
        p[6],
        p[7],
        column!(|i| prior.refused[i] * rate),
        prior.late,
        prior.good,
        column!(|i| (prior.waited_s[i] * timeout).min(2.0)),
        n.utilization,
        n.good,
        logs(&n.queued),
        logs(&n.latency_ms),
        logs(&n.latency_now_ms),
        logs(&n.errors_now),
        n.upstream,
        column!(|i| (n.waited_s[i] * timeout).min(2.0)),
        column!(|i| given.kills[i] / plan.max_replicas),
        column!(|i| given.failing[i] / plan.max_replicas),
        given.cpu_stress,
        column!(|i| given.memory_mib[i] / plan.limit_mib),
        logs(&given.delay_ms),
        given.loss,
        column!(|i| given.slow[i] / plan.servers),
        column!(|i| given.payload[i] - 1.0),
        column!(|i| requested[i].min(2.0)),
        missing(&now.in_rate_rps),
        missing(&earlier.in_rate_rps),
    ]
}

/// One where nothing was measured.
#[inline(always)]
fn missing<const L: usize>(values: &Column<L>) -> Column<L> {
    column!(|i| if values[i].is_nan() { 1.0 } else { 0.0 })
}
