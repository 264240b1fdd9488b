//! The queueing model: what follows from arrivals, capacity and queues alone.
//!
//! Every service is a fluid queue drained by its ready pods, with the stationary queue of an M/M/c
//! station as a floor. A pass along the calls gives flows and queues, a pass back gives answers and
//! latencies, since the latency of a service includes that of the services it calls.

use serde::{Deserialize, Serialize};

use karma_cluster::ServiceMetrics;

use crate::{
    given::Given,
    math::{exp, ln, logistic},
    plan::{Nodes, Plan},
    pods::{PodHazards, Pods},
};

/// One service as the trace shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Calibration {
    /// Requests per second that one ready pod serves.
    pub(crate) rate_per_replica: f32,
    /// Millicores that one request per second takes.
    pub(crate) millicores_per_rps: f32,
    /// Memory of one pod, MiB.
    pub(crate) mib_per_pod: f32,
    /// Latency of an idle service without its callees: p50, p95, p99, ms.
    pub(crate) base_ms: [f32; 3],
    /// Start-up, crashes, restarts.
    pub(crate) hazards: PodHazards,
    /// Correction of the traffic that callers send; `None` for entries.
    pub(crate) inflow: Option<InflowModel>,
    /// Whether the trace shows what a replica does.
    pub(crate) identified: bool,
    /// Replicas assumed where it does not.
    pub(crate) usual_ready: f32,
}

/// Traffic that reaches a service from its callers: least squares on `inflow_inputs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct InflowModel {
    pub(crate) weights: [f32; INFLOW_INPUTS],
    /// Deviation of the residual over √(1 + inflow).
    pub(crate) deviation: f32,
}

/// Inputs of an [`InflowModel`].
pub(crate) const INFLOW_INPUTS: usize = 4;

/// The queueing model of one cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Physics {
    pub(crate) plan: Plan,
    pub(crate) services: Vec<Calibration>,
}

/// What the model expects of one service at the end of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Prior {
    /// Requests that reach it, per second.
    pub(crate) inflow: f32,
    /// Requests that it could serve, per second.
    pub(crate) capacity: f32,
    /// Inflow over capacity.
    pub(crate) utilization: f32,
    pub(crate) queued: f32,
    /// Requests refused because every queue is full, per second.
    pub(crate) refused: f32,
    /// Share of the rest that is served too late.
    pub(crate) late: f32,
    /// Requests whose own work was done in time, per second: what the calls are made for.
    pub(crate) forward: f32,
    /// Mean wait so far along the calls, s.
    pub(crate) waited_s: f32,
    /// Share of the inflow that is answered well.
    pub(crate) good: f32,
    pub(crate) cpu_millicores: f32,
    pub(crate) memory_mib: f32,
    pub(crate) out: f32,
    pub(crate) errors: f32,
    /// p50, p95, p99, ms.
    pub(crate) latency_ms: [f32; 3],
}

/// One game at one instant, as the queueing model reads it: one entry per service.
pub(crate) struct Situation<'a> {
    pub(crate) now: &'a [ServiceMetrics],
    /// Pods at the end of the window, and ready ones right after the action.
    pub(crate) pods: &'a [Pods],
    pub(crate) ready_at_start: &'a [f32],
    pub(crate) given: &'a [Given],
    pub(crate) nodes: Nodes,
}

/// `value`, or `otherwise` where it was not measured.
#[inline]
pub(crate) fn known(value: f32, otherwise: f32) -> f32 {
    if value.is_nan() { otherwise } else { value }
}

impl Physics {
    /// The whole prediction. `inflow` holds measured arrivals; NaN where they follow from callers.
    pub(crate) fn predict(&self, s: &Situation<'_>, inflow: &[f32], out: &mut [Prior]) {
        let share = self.processor_share(s);
        for &service in &self.plan.order {
            let arriving = if inflow[service].is_nan() {
                self.inflow(s, service, out)
            } else {
                inflow[service]
            };
            self.serve(s, service, arriving, share, out);
        }
        for &service in self.plan.order.iter().rev() {
            self.answer(s, service, out);
        }
    }

    /// Share of the processor time that pods want and nodes have.
    #[inline]
    pub(crate) fn processor_share(&self, s: &Situation<'_>) -> f32 {
        let wanted: f32 = self
            .plan
            .services
            .iter()
            .enumerate()
            .map(|(i, plan)| {
                let busy = known(s.now[i].cpu_millicores, 0.0);
                let ceiling = plan.limit_millicores * s.pods[i].ready;
                busy.min(ceiling) + ceiling * s.given[i].cpu_stress
            })
            .sum();
        if wanted > s.nodes.millicores {
            s.nodes.millicores / wanted
        } else {
            1.0
        }
    }

    /// Requests per second that callers send to `service`, from what `priors` says of them.
    #[inline]
    pub(crate) fn inflow(&self, s: &Situation<'_>, service: usize, priors: &[Prior]) -> f32 {
        let sent = self.sent(s, service, |caller| priors[caller].forward);
        self.correct_inflow(s, service, sent)
    }

    /// Requests per second that reach `service` if each caller forwards `forward(caller)`.
    #[inline]
    pub(crate) fn sent(
        &self,
        s: &Situation<'_>,
        service: usize,
        forward: impl Fn(usize) -> f32,
    ) -> f32 {
        let through = 1.0 - s.given[service].loss;
        self.plan.services[service]
            .callers
            .iter()
            .map(|link| forward(link.service) * link.probability * through)
            .sum()
    }

    /// The fitted correction of [`Self::sent`].
    #[inline]
    pub(crate) fn correct_inflow(&self, s: &Situation<'_>, service: usize, sent: f32) -> f32 {
        match &self.services[service].inflow {
            Some(model) => {
                let x = self.inflow_inputs(s, service, sent);
                let sum: f32 = model.weights.iter().zip(x).map(|(w, x)| w * x).sum();
                sum.max(0.0)
            }
            None => sent,
        }
    }

    /// Inputs of the inflow model: what callers send, what arrived, what callers received. Scrapes of
    /// two services lie up to an interval apart, so that the past says something, too.
    #[inline]
    pub(crate) fn inflow_inputs(
        &self,
        s: &Situation<'_>,
        service: usize,
        sent: f32,
    ) -> [f32; INFLOW_INPUTS] {
        let before = known(s.now[service].in_rate_rps, sent);
        let received: f32 = self.plan.services[service]
            .callers
            .iter()
            .map(|link| known(s.now[link.service].in_rate_rps, sent) * link.probability)
            .sum();
        [1.0, sent, before, received]
    }

    /// Requests per second that a service forwards if its queue goes from `before` to `after`:
    /// what came in and is not queued, refused, late or failed.
    #[inline]
    pub(crate) fn forwarded(&self, prior: &Prior, before: f32, after: f32) -> f32 {
        let served = prior.inflow - prior.refused - (after - before) / self.plan.window_s;
        served.clamp(0.0, prior.capacity.max(prior.inflow)) * (1.0 - prior.late)
    }

    /// Flows and queue of one service whose callers are done.
    #[inline]
    pub(crate) fn serve(
        &self,
        s: &Situation<'_>,
        service: usize,
        inflow: f32,
        share: f32,
        priors: &mut [Prior],
    ) {
        let (plan, fitted) = (&self.plan.services[service], &self.services[service]);
        let (given, pods) = (&s.given[service], &s.pods[service]);
        let window_s = self.plan.window_s;
        let (ready, mean_ready) = if fitted.identified {
            let ready = pods.ready;
            (ready, (0.5 * (s.ready_at_start[service] + ready)).max(0.05))
        } else {
            (fitted.usual_ready, fitted.usual_ready)
        };
        let speed = ((1.0 - given.cpu_stress) * share / given.payload).max(0.01);
        let work_s = plan.servers / (fitted.rate_per_replica * speed);
        let held_s = self.held_s(s, service);
        let servers = (mean_ready * plan.servers - given.slow).max(0.05 * plan.servers);
        let capacity = servers / (work_s + held_s);
        let utilization = inflow / capacity;

        let before = known(s.now[service].queued, 0.0);
        let room = (ready * plan.queue_per_pod).max(1.0);
        let filled = before + (inflow - capacity) * window_s;
        let fluid = filled.clamp(0.0, room);
        let refused = ((filled - room) / window_s).clamp(0.0, inflow);
        let served = (inflow - refused - (fluid - before) / window_s).clamp(0.0, capacity);
        let queued = fluid.max(stationary_queue(utilization, servers)).min(room);

        let wait_s = 0.5 * (before.min(room) + queued) / capacity;
        let upstream = plan
            .callers
            .iter()
            .map(|link| priors[link.service].waited_s)
            .fold(0.0, f32::max);
        let waited_s = upstream + wait_s + work_s + 1e-3 * given.delay_ms;
        let timeout_s = self.plan.timeout_s;
        let late = logistic((waited_s - timeout_s) / (0.08 * timeout_s));
        let longest_s = before.max(queued).min(room) / capacity;
        let stretch = work_s * fitted.rate_per_replica / plan.servers;
        let mut latency_ms = fitted.base_ms.map(|base| base * stretch + 1000.0 * held_s);
        latency_ms[0] += 1000.0 * wait_s;
        latency_ms[1] += 1000.0 * longest_s;
        latency_ms[2] += 1000.0 * longest_s;
        priors[service] = Prior {
            inflow,
            capacity,
            utilization,
            queued,
            refused,
            late,
            forward: served * (1.0 - late) * (1.0 - plan.error_ratio),
            waited_s,
            cpu_millicores: served * fitted.millicores_per_rps * given.payload
                + plan.limit_millicores * mean_ready * given.cpu_stress * share,
            memory_mib: pods.placed() * (fitted.mib_per_pod + given.memory_mib),
            latency_ms,
            ..Prior::default()
        };
    }

    /// Time for which a request holds its server while callees work, s.
    #[inline]
    fn held_s(&self, s: &Situation<'_>, service: usize) -> f32 {
        self.plan.services[service]
            .calls
            .iter()
            .filter(|link| link.sync)
            .map(|link| {
                let callee = &self.services[link.service];
                let latency = known(s.now[link.service].latency_p50_ms, callee.base_ms[0]);
                link.probability * (latency + s.given[link.service].delay_ms) * 1e-3
            })
            .sum()
    }

    /// Answers, errors and latency of one service whose callees are done.
    #[inline]
    pub(crate) fn answer(&self, s: &Situation<'_>, service: usize, priors: &mut [Prior]) {
        let plan = &self.plan.services[service];
        let mut prior = priors[service];
        let mut well = 1.0;
        let mut latency_ms = prior.latency_ms;
        for link in &plan.calls {
            let callee = &priors[link.service];
            let given = &s.given[link.service];
            let fails = 1.0 - (1.0 - given.loss) * callee.good;
            let fails = if link.tries > 1.0 {
                fails.powf(link.tries)
            } else {
                fails
            };
            well *= 1.0 - link.probability * fails;
            if !link.sync {
                let [p50, p95, _] = callee.latency_ms;
                latency_ms[0] += link.probability * (p50 + given.delay_ms);
                latency_ms[1] += link.probability * (0.5 * (p50 + p95) + given.delay_ms);
                latency_ms[2] += link.probability * (0.4 * p50 + 0.6 * p95 + given.delay_ms);
            }
        }
        let timeout_ms = 1000.0 * self.plan.timeout_s;
        prior.latency_ms = latency_ms.map(|ms| ms.min(1.5 * timeout_ms));
        prior.out = prior.forward * well;
        let ended = prior.forward / ((1.0 - prior.late) * (1.0 - plan.error_ratio)).max(1e-3);
        prior.errors = prior.refused + (ended - prior.out).max(0.0);
        prior.good = if prior.inflow > 0.0 {
            (prior.out / (prior.out + prior.errors).max(1e-3)).clamp(0.0, 1.0)
        } else {
            1.0
        };
        priors[service] = prior;
    }
}

/// Mean queue of an M/M/c station in steady state (Sakasegawa's approximation), at most the one at
/// 97 % utilization: beyond, the fluid queue takes over.
#[inline]
fn stationary_queue(utilization: f32, servers: f32) -> f32 {
    let rho = utilization.clamp(1e-6, 0.97);
    exp((2.0 * (servers + 1.0)).sqrt() * ln(rho)) / (1.0 - rho)
}
