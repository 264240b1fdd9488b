//! One service: what its requests need, what disturbs it, which pods take its traffic, and the
//! counters that its scrapes read.

use rand::Rng;
use rand_distr::{Distribution, Exp1, StandardNormal};

use super::{
    histogram::{BUCKETS, bucket, quantile},
    record::ServiceRow,
};
use crate::{
    scenario::{CallMode, Discipline, Scenario, Service, WorkDistribution},
    seed::Stream,
};

/// A call that requests of a service make.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calls {
    pub(super) to: u16,
    pub(super) retries: u16,
    pub(super) probability: f64,
}

/// What faults do to a service at the moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Disturbance {
    /// Share of every pod's processor that is lost.
    pub(super) cpu_load: f64,
    /// Memory taken in every pod.
    pub(super) memory_mib: f64,
    /// Mean delay on the way to it.
    pub(super) delay_s: f64,
    /// Uniform spread around it.
    pub(super) jitter_s: f64,
    /// Share of requests to it that are lost.
    pub(super) loss: f64,
    /// Whether its scrapes bring nothing.
    pub(super) unseen: bool,
}

/// Monotone counters; scrapes copy them.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    pub(super) arrived: u64,
    pub(super) answered: u64,
    pub(super) errors: u64,
    pub(super) latency: [u32; BUCKETS],
}

/// One service. The ready pods and their loads are parallel arrays, so that choosing a pod reads
/// one short array.
#[derive(Clone, Debug)]
pub(super) struct ServiceState {
    pub(super) name: String,
    /// Mean work of a request in seconds of one server.
    mean_work_s: f64,
    work: WorkDistribution,
    error_ratio: f64,
    degraded_ratio: f64,
    pub(super) shared: bool,
    pub(super) concurrency: u32,
    /// Servers and places in the queue of one pod.
    pub(super) places: u32,
    pub(super) calls: Vec<Calls>,
    /// Calls up to this one are made with the server held.
    pub(super) held_calls: u16,
    /// CPU of one busy server, in cores.
    pub(super) server_cores: f64,
    pub(super) cpu_request: f64,
    pub(super) cpu_limit: f64,
    pub(super) memory_request: f64,
    pub(super) memory_limit: f64,
    pub(super) startup_median_s: f64,
    pub(super) startup_sigma: f64,
    pub(super) crashes_per_s: f64,

    pub(super) disturbance: Disturbance,
    pub(super) counters: Counters,
    /// Latencies counted up to the end of the last window; for the record's own percentiles.
    pub(super) window_latency: [u32; BUCKETS],
    /// Requests waiting in the queues of all pods.
    pub(super) queued: u32,

    /// Ready pods.
    pub(super) ready: Vec<u32>,
    /// Requests in each of them, queued or served.
    pub(super) loads: Vec<u32>,
    turn: usize,

    pub(super) desired: u32,
    /// Every pod, oldest first.
    pub(super) pods: Vec<u32>,
    /// Records of pods that are gone, for reuse.
    pub(super) spare_pods: Vec<u32>,
    pub(super) pods_made: u64,
    pub(super) restarts: u64,
    pub(super) restarts_before: u64,
    /// CPU time of pods that are gone, in core seconds.
    pub(super) gone_core_s: f64,
}

impl ServiceState {
    pub(super) fn new(service: &Service, scenario: &Scenario) -> Self {
        let concurrency = service.concurrency.max(1);
        let cores = |m: crate::units::Millicores| m.millicores() / 1000.0;
        let request = cores(service.cpu_request);
        let limit = service.cpu_limit.map_or(request, cores).max(request);
        let memory = service.memory_request.mebibytes();
        Self {
            name: service.name.clone(),
            mean_work_s: f64::from(concurrency) / service.rate_per_replica,
            work: service.work,
            error_ratio: service.failure.error_ratio,
            degraded_ratio: service.failure.degraded_ratio,
            shared: service.discipline == Discipline::Ps,
            concurrency,
            places: concurrency + service.queue,
            calls: calls(service, scenario),
            held_calls: service
                .calls
                .iter()
                .rposition(|call| call.mode == CallMode::Sync)
                .map_or(0, |last| last as u16 + 1),
            server_cores: limit / f64::from(concurrency),
            cpu_request: request,
            cpu_limit: limit,
            memory_request: memory,
            memory_limit: service.memory_limit.map_or(2.0 * memory, |m| m.mebibytes()),
            startup_median_s: service.startup.median.seconds(),
            startup_sigma: service.startup.sigma,
            crashes_per_s: service.failure.crashes_per_hour / 3600.0,
            disturbance: Disturbance::default(),
            counters: Counters {
                arrived: 0,
                answered: 0,
                errors: 0,
                latency: [0; BUCKETS],
            },
            window_latency: [0; BUCKETS],
            queued: 0,
            ready: Vec::new(),
            loads: Vec::new(),
            turn: 0,
            desired: 0,
            pods: Vec::new(),
            spare_pods: Vec::new(),
            pods_made: 0,
            restarts: 0,
            restarts_before: 0,
            gone_core_s: 0.0,
        }
    }

    /// Work of one request, in seconds of one server.
    #[inline]
    pub(super) fn draw_work(&self, stream: &mut Stream) -> f64 {
        let unit: f64 = match self.work {
            WorkDistribution::Deterministic => 1.0,
            WorkDistribution::Exponential => Exp1.sample(stream),
            WorkDistribution::Lognormal { cv } => {
                let variance = cv.mul_add(cv, 1.0).ln();
                let normal: f64 = StandardNormal.sample(stream);
                (variance.sqrt() * normal - variance / 2.0).exp()
            }
        };
        let work = unit * self.mean_work_s;
        if self.degraded_ratio > 0.0 && stream.r#gen::<f64>() < self.degraded_ratio {
            return 10.0 * work;
        }
        work
    }

    /// Whether a request whose work is done fails nevertheless.
    #[inline]
    pub(super) fn draw_error(&self, stream: &mut Stream) -> bool {
        self.error_ratio > 0.0 && stream.r#gen::<f64>() < self.error_ratio
    }

    /// The ready pod with the fewest requests (its place in `ready`), if it has room.
    ///
    /// Least-loaded of all, as the `leastconn` of a proxy, because pods then stay busy while any
    /// work is left: latency is inverse to the number of pods, as measured on a real cluster
    /// (`10 clients on 1..7 pods`). Two random choices leave pods idle there. Of equals the next in
    /// turn is taken.
    #[inline]
    pub(super) fn choose_pod(&mut self) -> Option<usize> {
        let count = self.loads.len();
        self.turn += 1;
        if self.turn >= count {
            self.turn = 0;
        }
        // One number holds load, turn and place, so that the least is found without branches.
        let key = |(at, load): (usize, &u32)| {
            u64::from(*load) << 32 | u64::from(at < self.turn) << 31 | at as u64
        };
        let best = self.loads.iter().enumerate().map(key).min()?;
        (best >> 32 < u64::from(self.places)).then_some((best & 0x7fff_ffff) as usize)
    }

    /// The service's row of the record for the window that ends now.
    pub(super) fn end_window(&mut self) -> ServiceRow {
        let counts = self.counters.latency.iter().zip(&self.window_latency);
        let counts = counts.map(|(to, from)| u64::from(to.wrapping_sub(*from)));
        let p95_ms = quantile(counts, 0.95);
        self.window_latency = self.counters.latency;
        ServiceRow {
            desired: self.desired,
            ready: self.ready.len() as u32,
            queued: self.queued,
            p95_ms,
        }
    }

    /// Counts an answer that took `latency_s`.
    #[inline]
    pub(super) fn count_latency(&mut self, latency_s: f64) {
        self.counters.latency[bucket(latency_s * 1000.0)] += 1;
    }
}

fn calls(service: &Service, scenario: &Scenario) -> Vec<Calls> {
    service
        .calls
        .iter()
        .map(|call| {
            let to = scenario.service_index(&call.to);
            assert!(
                to.is_some(),
                "{} calls {}, which is not there",
                service.name,
                call.to
            );
            Calls {
                to: to.unwrap_or(0) as u16,
                retries: call.retries.min(u32::from(u16::MAX)) as u16,
                probability: call.probability,
            }
        })
        .collect()
}
