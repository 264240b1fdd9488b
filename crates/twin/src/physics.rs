//! The queueing model: what follows from arrivals, capacity and queues alone.
//!
//! Every service is a fluid queue drained by its ready pods, with the stationary queue of an M/M/c
//! station as a floor. A pass along the calls gives flows and queues, a pass back gives answers and
//! latencies, since the latency of a service includes that of the services it calls.

#![expect(
    clippy::needless_range_loop,
    reason = "a lane indexes many columns, and loops over lanes become vector instructions"
)]

use serde::{Deserialize, Serialize};

use crate::{
    lanes::{Column, Situation, Station, column},
    math::{between, exp, ln, logistic},
    plan::Plan,
    pods::PodHazards,
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

/// What the model expects of one service at the end of a window, in `L` games.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Prior<const L: usize> {
    /// Requests that reach it, per second.
    pub(crate) inflow: Column<L>,
    /// Requests that it could serve, per second.
    pub(crate) capacity: Column<L>,
    /// Inflow over capacity.
    pub(crate) utilization: Column<L>,
    pub(crate) queued: Column<L>,
    /// Requests refused because every queue is full, per second.
    pub(crate) refused: Column<L>,
    /// Share of the rest that is served too late.
    pub(crate) late: Column<L>,
    /// Requests whose own work was done in time, per second: what the calls are made for.
    pub(crate) forward: Column<L>,
    /// Mean wait so far along the calls, s.
    pub(crate) waited_s: Column<L>,
    /// Share of the inflow that is answered well.
    pub(crate) good: Column<L>,
    pub(crate) cpu_millicores: Column<L>,
    pub(crate) memory_mib: Column<L>,
    pub(crate) out: Column<L>,
    pub(crate) errors: Column<L>,
    /// p50, p95, p99 of the service's own work, ms.
    pub(crate) own_ms: [Column<L>; 3],
    /// The same with what its callees add.
    pub(crate) latency_ms: [Column<L>; 3],
}

impl<const L: usize> Prior<L> {
    pub(crate) const ZERO: Self = Self {
        inflow: [0.0; L],
        capacity: [0.0; L],
        utilization: [0.0; L],
        queued: [0.0; L],
        refused: [0.0; L],
        late: [0.0; L],
        forward: [0.0; L],
        waited_s: [0.0; L],
        good: [0.0; L],
        cpu_millicores: [0.0; L],
        memory_mib: [0.0; L],
        out: [0.0; L],
        errors: [0.0; L],
        own_ms: [[0.0; L]; 3],
        latency_ms: [[0.0; L]; 3],
    };
}

/// `value`, or `otherwise` where it was not measured.
#[inline(always)]
pub(crate) fn known(value: f32, otherwise: f32) -> f32 {
    if value.is_nan() { otherwise } else { value }
}

impl Physics {
    /// How pods of every service behave.
    pub(crate) fn hazards(&self) -> impl Iterator<Item = &PodHazards> {
        self.services.iter().map(|service| &service.hazards)
    }

    /// The whole prediction. `inflow` holds measured arrivals of every service; NaN where they follow
    /// from callers.
    #[inline(always)]
    pub(crate) fn predict<const L: usize>(
        &self,
        s: &Situation<L>,
        share: &Column<L>,
        inflow: &[Column<L>],
        out: &mut [Prior<L>],
    ) {
        for &service in &self.plan.order {
            let measured = &inflow[service];
            let called = self.sent(s, service, |caller| &out[caller].forward);
            let called = self.correct_inflow(s, service, &called);
            let arriving = column!(|i| known(measured[i], called[i]));
            self.serve(s, service, &arriving, share, out);
        }
        for &service in self.plan.order.iter().rev() {
            self.answer(s, service, out);
        }
    }

    /// Share of the processor time that pods want and nodes have.
    #[inline(always)]
    pub(crate) fn processor_share<const L: usize>(&self, s: &Situation<L>) -> Column<L> {
        let mut wanted = [0.0; L];
        for (plan, station) in self.plan.services.iter().zip(&s.stations) {
            wanted = column!(|i| {
                let busy = known(station.now.cpu_millicores[i], 0.0);
                let ceiling = plan.limit_millicores * station.pods.ready[i];
                wanted[i] + (busy.min(ceiling) + ceiling * station.given.cpu_stress[i])
            });
        }
        column!(|i| if wanted[i] > s.millicores[i] {
            s.millicores[i] / wanted[i]
        } else {
            1.0
        })
    }

    /// Millicores that pods hold, over those of the nodes.
    #[inline(always)]
    pub(crate) fn requested_share<const L: usize>(&self, s: &Situation<L>) -> Column<L> {
        let mut requested = [0.0; L];
        for (plan, station) in self.plan.services.iter().zip(&s.stations) {
            requested =
                column!(|i| requested[i] + station.pods.placed[i] * plan.request_millicores);
        }
        column!(|i| requested[i] / s.millicores[i])
    }

    /// Requests per second that reach `service` if each caller forwards `forward(caller)`.
    #[inline(always)]
    pub(crate) fn sent<'f, const L: usize>(
        &self,
        s: &Situation<L>,
        service: usize,
        forward: impl Fn(usize) -> &'f Column<L>,
    ) -> Column<L> {
        let loss = &s.stations[service].given.loss;
        let mut sent = [0.0; L];
        for link in &self.plan.services[service].callers {
            let forward = forward(link.service);
            sent = column!(|i| sent[i] + forward[i] * link.probability * (1.0 - loss[i]));
        }
        sent
    }

    /// The fitted correction of [`Self::sent`].
    #[inline(always)]
    pub(crate) fn correct_inflow<const L: usize>(
        &self,
        s: &Situation<L>,
        service: usize,
        sent: &Column<L>,
    ) -> Column<L> {
        let Some(model) = &self.services[service].inflow else {
            return *sent;
        };
        let x = self.inflow_inputs(s, service, sent);
        let mut sum = [0.0; L];
        for (w, x) in model.weights.iter().zip(&x) {
            sum = column!(|i| sum[i] + w * x[i]);
        }
        column!(|i| sum[i].max(0.0))
    }

    /// Inputs of the inflow model: what callers send, what arrived, what callers received. Scrapes of
    /// two services lie up to an interval apart, so that the past says something, too.
    #[inline(always)]
    pub(crate) fn inflow_inputs<const L: usize>(
        &self,
        s: &Situation<L>,
        service: usize,
        sent: &Column<L>,
    ) -> [Column<L>; INFLOW_INPUTS] {
        let before = &s.stations[service].now.in_rate_rps;
        let mut received = [0.0; L];
        for link in &self.plan.services[service].callers {
            let rate = &s.stations[link.service].now.in_rate_rps;
            received = column!(|i| received[i] + known(rate[i], sent[i]) * link.probability);
        }
        let before = column!(|i| known(before[i], sent[i]));
        [[1.0; L], *sent, before, received]
    }

    /// Requests per second that a service forwards if its queue goes from `before` to `after`:
    /// what came in and is not queued, refused, late or failed.
    #[inline(always)]
    pub(crate) fn forwarded<const L: usize>(
        &self,
        prior: &Prior<L>,
        before: &Column<L>,
        after: &Column<L>,
    ) -> Column<L> {
        column!(|i| {
            let served =
                prior.inflow[i] - prior.refused[i] - (after[i] - before[i]) / self.plan.window_s;
            let most = prior.capacity[i].max(prior.inflow[i]);
            between(served, 0.0, most) * (1.0 - prior.late[i])
        })
    }

    /// Flows and queue of one service whose callers are done.
    #[inline(always)]
    pub(crate) fn serve<const L: usize>(
        &self,
        s: &Situation<L>,
        service: usize,
        inflow: &Column<L>,
        share: &Column<L>,
        priors: &mut [Prior<L>],
    ) {
        let held_s = self.held_s(s, service);
        let mut upstream_s: Column<L> = [0.0; L];
        for link in &self.plan.services[service].callers {
            let waited_s = &priors[link.service].waited_s;
            upstream_s = column!(|i| upstream_s[i].max(waited_s[i]));
        }
        let arriving = Arriving {
            inflow,
            share,
            held_s: &held_s,
            upstream_s: &upstream_s,
        };
        priors[service] = self.queue(service, &s.stations[service], &arriving);
    }

    /// The queue of one service: all of a prior that does not depend on callees.
    #[inline(always)]
    fn queue<const L: usize>(
        &self,
        service: usize,
        station: &Station<L>,
        arriving: &Arriving<'_, L>,
    ) -> Prior<L> {
        // Into a place of its own, which nothing that is read can overlap.
        let mut prior = Prior::ZERO;
        let (plan, fitted) = (&self.plan.services[service], &self.services[service]);
        let (given, pods) = (&station.given, &station.pods);
        let (window_s, timeout_s) = (self.plan.window_s, self.plan.timeout_s);
        let (ready, mean_ready) = if fitted.identified {
            let mean = column!(|i| (0.5 * (pods.ready_at_start[i] + pods.ready[i])).max(0.05));
            (pods.ready, mean)
        } else {
            ([fitted.usual_ready; L], [fitted.usual_ready; L])
        };
        for i in 0..L {
            let (ready, mean_ready) = (ready[i], mean_ready[i]);
            let (inflow, share, held_s) =
                (arriving.inflow[i], arriving.share[i], arriving.held_s[i]);
            let speed = ((1.0 - given.cpu_stress[i]) * share / given.payload[i]).max(0.01);
            let work_s = plan.servers / (fitted.rate_per_replica * speed);
            let servers = (mean_ready * plan.servers - given.slow[i]).max(0.05 * plan.servers);
            let capacity = servers / (work_s + held_s);
            let utilization = inflow / capacity;

            let before = known(station.now.queued[i], 0.0);
            let room = (ready * plan.queue_per_pod).max(1.0);
            let filled = before + (inflow - capacity) * window_s;
            let fluid = between(filled, 0.0, room);
            let refused = between((filled - room) / window_s, 0.0, inflow);
            let served = inflow - refused - (fluid - before) / window_s;
            let served = between(served, 0.0, capacity);
            let queued = fluid.max(stationary_queue(utilization, servers)).min(room);

            let wait_s = 0.5 * (before.min(room) + queued) / capacity;
            let waited_s = arriving.upstream_s[i] + wait_s + work_s + 1e-3 * given.delay_ms[i];
            let late = logistic((waited_s - timeout_s) / (0.08 * timeout_s));
            let longest_s = before.max(queued).min(room) / capacity;
            let stretch = work_s * fitted.rate_per_replica / plan.servers;

            prior.inflow[i] = inflow;
            prior.capacity[i] = capacity;
            prior.utilization[i] = utilization;
            prior.queued[i] = queued;
            prior.refused[i] = refused;
            prior.late[i] = late;
            prior.forward[i] = served * (1.0 - late) * (1.0 - plan.error_ratio);
            prior.waited_s[i] = waited_s;
            prior.cpu_millicores[i] = served * fitted.millicores_per_rps * given.payload[i]
                + plan.limit_millicores * mean_ready * given.cpu_stress[i] * share;
            prior.memory_mib[i] = pods.placed[i] * (fitted.mib_per_pod + given.memory_mib[i]);
            let [p50, p95, p99] = fitted.base_ms;
            prior.own_ms[0][i] = p50 * stretch + 1000.0 * held_s + 1000.0 * wait_s;
            prior.own_ms[1][i] = p95 * stretch + 1000.0 * held_s + 1000.0 * longest_s;
            prior.own_ms[2][i] = p99 * stretch + 1000.0 * held_s + 1000.0 * longest_s;
        }
        prior
    }

    /// Time for which a request holds its server while callees work, s.
    #[inline(always)]
    fn held_s<const L: usize>(&self, s: &Situation<L>, service: usize) -> Column<L> {
        let mut held_s = [0.0; L];
        let calls = &self.plan.services[service].calls;
        for link in calls.iter().filter(|link| link.sync) {
            let usual = self.services[link.service].base_ms[0];
            let callee = &s.stations[link.service];
            held_s = column!(|i| {
                let latency = known(callee.now.latency_p50_ms[i], usual);
                held_s[i] + link.probability * (latency + callee.given.delay_ms[i]) * 1e-3
            });
        }
        held_s
    }

    /// Answers, errors and latency of one service whose callees are done.
    #[inline(always)]
    pub(crate) fn answer<const L: usize>(
        &self,
        s: &Situation<L>,
        service: usize,
        priors: &mut [Prior<L>],
    ) {
        let plan = &self.plan.services[service];
        let mut well = [1.0; L];
        let mut latency_ms = priors[service].own_ms;
        for link in &plan.calls {
            let callee = &priors[link.service];
            let given = &s.stations[link.service].given;
            let mut fails = column!(|i| 1.0 - (1.0 - given.loss[i]) * callee.good[i]);
            if link.tries > 1.0 {
                for fails in &mut fails {
                    *fails = fails.powf(link.tries);
                }
            }
            well = column!(|i| well[i] * (1.0 - link.probability * fails[i]));
            if !link.sync {
                add_callee(
                    link.probability,
                    &callee.latency_ms,
                    &given.delay_ms,
                    &mut latency_ms,
                );
            }
        }
        let longest_ms = 1.5 * (1000.0 * self.plan.timeout_s);
        let prior = &mut priors[service];
        for (latency_ms, out) in latency_ms.iter().zip(&mut prior.latency_ms) {
            *out = column!(|i| latency_ms[i].min(longest_ms));
        }
        for i in 0..L {
            let out = prior.forward[i] * well[i];
            let done = ((1.0 - prior.late[i]) * (1.0 - plan.error_ratio)).max(1e-3);
            let errors = prior.refused[i] + (prior.forward[i] / done - out).max(0.0);
            let good = between(out / (out + errors).max(1e-3), 0.0, 1.0);
            prior.out[i] = out;
            prior.errors[i] = errors;
            prior.good[i] = if prior.inflow[i] > 0.0 { good } else { 1.0 };
        }
    }
}

/// What a queue has to do with.
struct Arriving<'a, const L: usize> {
    inflow: &'a Column<L>,
    /// [`Physics::processor_share`].
    share: &'a Column<L>,
    /// [`Physics::held_s`].
    held_s: &'a Column<L>,
    /// How long requests have waited at callers, s.
    upstream_s: &'a Column<L>,
}

/// Adds the latency of a callee that answers by itself.
#[inline(always)]
fn add_callee<const L: usize>(
    probability: f32,
    callee: &[Column<L>; 3],
    delay: &Column<L>,
    latency_ms: &mut [Column<L>; 3],
) {
    let [low, middle, high] = latency_ms;
    let [p50, p95, _] = callee;
    for i in 0..L {
        low[i] += probability * (p50[i] + delay[i]);
        middle[i] += probability * (0.5 * (p50[i] + p95[i]) + delay[i]);
        high[i] += probability * (0.4 * p50[i] + 0.6 * p95[i] + delay[i]);
    }
}

/// Mean queue of an M/M/c station in steady state (Sakasegawa's approximation), at most the one at
/// 97 % utilization: beyond, the fluid queue takes over.
#[inline(always)]
fn stationary_queue(utilization: f32, servers: f32) -> f32 {
    let rho = utilization.clamp(1e-6, 0.97);
    exp((2.0 * (servers + 1.0)).sqrt() * ln(rho)) / (1.0 - rho)
}
