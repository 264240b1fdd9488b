//! What Prometheus and the API server show of the cluster.
//!
//! Every scrape copies a service's counters; an observation looks only at copies that are old
//! enough to be visible and lie in its window. Pods and replica counts come from the API server
//! and are current.

use std::collections::VecDeque;

use rand::Rng;

use super::{
    Emulator,
    histogram::{BUCKETS, quantile},
    pod::{Life, Pod},
    queue::{Event, Kind},
};
use crate::{
    observation::{Observation, PodObservation, PodPhase, ServiceMetrics},
    scenario::Control,
};

/// Share of its memory request that an idle pod uses; a full one uses all of it.
const IDLE_MEMORY: f64 = 0.6;

/// Counters and gauges of one service as one scrape found them.
#[derive(Clone, Debug)]
struct Sample {
    time: f64,
    arrived: u64,
    answered: u64,
    errors: u64,
    core_s: f64,
    queued: u32,
    memory_mib: f64,
    latency: [u32; BUCKETS],
}

/// The scrapes of all services that an observation may still need.
#[derive(Clone, Debug)]
pub(super) struct Scrapes {
    samples: Vec<VecDeque<Sample>>,
    /// Samples kept per service.
    kept: usize,
    /// CPU samples kept per pod.
    kept_of_pod: usize,
    interval_s: f64,
    lag_s: f64,
    loss: f64,
    window_s: f64,
    /// Every scrape fails, by the hook of a demonstration.
    pub(super) down: bool,
}

impl Scrapes {
    pub(super) fn new(services: usize, control: &Control) -> Self {
        let interval_s = control.scrape_interval.seconds();
        let (lag_s, window_s) = (control.scrape_lag.seconds(), control.window.seconds());
        let kept = ((2.0 * window_s + lag_s) / interval_s).ceil() as usize + 2;
        Self {
            samples: vec![VecDeque::with_capacity(kept + 1); services],
            kept,
            kept_of_pod: (lag_s / interval_s).ceil() as usize + 3,
            interval_s,
            lag_s,
            loss: control.scrape_loss,
            window_s,
            down: false,
        }
    }

    /// The samples that the window up to `now` shows: the one that rates are taken from and the
    /// newest. The first is the newest that the window before could show, so that successive
    /// windows leave no gap; where that one is missing, the first of this window.
    fn window(&self, service: usize, now: f64) -> Option<(&Sample, &Sample)> {
        let samples = &self.samples[service];
        let visible = |s: &&Sample| s.time + self.lag_s <= now;
        let start = now - self.window_s - self.lag_s;
        let newest = samples.iter().rev().find(visible)?;
        if newest.time <= start {
            return None;
        }
        let before = samples
            .iter()
            .rev()
            .find(|s| s.time <= start && s.time > start - self.window_s);
        let first = before.or_else(|| samples.iter().find(|s| s.time > start))?;
        Some((first, newest))
    }

    /// Age of the newest sample that can be seen.
    fn age_s(&self, service: usize, now: f64) -> f64 {
        self.samples[service]
            .iter()
            .rev()
            .find(|s| s.time + self.lag_s <= now)
            .map_or(f64::INFINITY, |s| now - s.time)
    }
}

impl Emulator {
    /// Starts the scrapes, each service at its own instant within the interval.
    pub(super) fn plan_scrapes(&mut self) {
        for service in 0..self.services.len() as u32 {
            let at = self.streams.scrape.r#gen::<f64>() * self.scrapes.interval_s;
            self.events.push(at, Event::new(Kind::Scrape, service, 0));
        }
    }

    pub(super) fn on_scrape(&mut self, service: usize) {
        self.events.push(
            self.now + self.scrapes.interval_s,
            Event::new(Kind::Scrape, service as u32, 0),
        );
        let lost = self.streams.scrape.r#gen::<f64>() < self.scrapes.loss;
        if lost || self.scrapes.down || self.services[service].disturbance.unseen {
            return;
        }
        let state = &self.services[service];
        let mut core_s = state.gone_core_s;
        let mut memory_mib = 0.0;
        for &number in &state.pods {
            memory_mib += self.memory_mib(number);
            let pod = &mut self.pods[number as usize];
            pod.touch(self.now);
            core_s += pod.core_s;
            if pod.runs() {
                if pod.samples.len() == self.scrapes.kept_of_pod {
                    pod.samples.remove(0);
                }
                pod.samples.push((self.now, pod.core_s));
            }
        }
        let sample = Sample {
            time: self.now,
            arrived: state.counters.arrived,
            answered: state.counters.answered,
            errors: state.counters.errors,
            core_s,
            queued: state.queued,
            memory_mib,
            latency: state.counters.latency,
        };
        let samples = &mut self.scrapes.samples[service];
        if samples.len() == self.scrapes.kept {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    /// Memory of a pod: a part that is always there, a part that grows with the requests in it, and
    /// what stress takes.
    pub(super) fn memory_mib(&self, number: u32) -> f64 {
        let pod = &self.pods[number as usize];
        if !pod.runs() {
            return 0.0;
        }
        let service = &self.services[usize::from(pod.service)];
        let fill = f64::from(pod.alive.min(service.places)) / f64::from(service.places);
        service.memory_request * (IDLE_MEMORY + (1.0 - IDLE_MEMORY) * fill)
            + service.disturbance.memory_mib
    }

    /// Everything that can be seen now.
    pub(super) fn look(&self) -> Observation {
        let count = self.services.len();
        Observation {
            window: self.windows_passed,
            time_s: self.now,
            services: (0..count).map(|s| self.metrics(s)).collect(),
            pods: (0..count).map(|s| self.pods_of(s)).collect(),
            metrics_age_s: (0..count)
                .map(|s| self.scrapes.age_s(s, self.now))
                .collect(),
        }
    }

    fn metrics(&self, service: usize) -> ServiceMetrics {
        let state = &self.services[service];
        let count = |lives: &[Life]| {
            let pods = state.pods.iter();
            pods.filter(|&&p| lives.contains(&self.pods[p as usize].life))
                .count() as f32
        };
        let mut metrics = ServiceMetrics {
            replicas_desired: state.desired as f32,
            replicas_ready: state.ready.len() as f32,
            replicas_failed: count(&[Life::BackOff, Life::Failing]),
            replicas_pending: count(&[Life::Unscheduled, Life::Starting]),
            restarts: (state.restarts - state.restarts_before) as f32,
            ..ServiceMetrics::MISSING
        };
        let Some((first, newest)) = self.scrapes.window(service, self.now) else {
            return metrics;
        };
        metrics.queued = newest.queued as f32;
        metrics.memory_mib = newest.memory_mib as f32;
        let span = newest.time - first.time;
        if span > 0.0 {
            let rate = |from: u64, to: u64| ((to - from) as f64 / span) as f32;
            metrics.cpu_millicores = ((newest.core_s - first.core_s) / span * 1000.0) as f32;
            metrics.in_rate_rps = rate(first.arrived, newest.arrived);
            metrics.out_rate_rps = rate(first.answered, newest.answered);
            metrics.errors_ps = rate(first.errors, newest.errors);
            let counts = newest
                .latency
                .iter()
                .zip(&first.latency)
                .map(|(to, from)| u64::from(to.wrapping_sub(*from)));
            metrics.latency_p50_ms = quantile(counts.clone(), 0.5) as f32;
            metrics.latency_p95_ms = quantile(counts.clone(), 0.95) as f32;
            metrics.latency_p99_ms = quantile(counts, 0.99) as f32;
        }
        metrics
    }

    fn pods_of(&self, service: usize) -> Vec<PodObservation> {
        self.services[service]
            .pods
            .iter()
            .map(|&number| self.pod(&self.pods[number as usize]))
            .collect()
    }

    fn pod(&self, pod: &Pod) -> PodObservation {
        let name = &self.services[usize::from(pod.service)].name;
        let sample = pod
            .samples
            .windows(2)
            .rev()
            .find(|pair| pair[1].0 + self.scrapes.lag_s <= self.now && pair[1].0 > pair[0].0);
        // The metrics API forgets a pod whose last scrapes brought nothing.
        let newest_s = 2.0 * self.scrapes.interval_s + self.scrapes.lag_s;
        let sample = sample.filter(|pair| self.now - pair[1].0 <= newest_s);
        PodObservation {
            name: format!("{name}-{}", pod.number),
            phase: match pod.life {
                Life::Unscheduled => PodPhase::Pending,
                Life::BackOff => PodPhase::Failed,
                _ => PodPhase::Running,
            },
            ready: (pod.life != Life::Unscheduled).then_some(pod.life == Life::Ready),
            ready_changed_s_ago: self.now - pod.ready_changed,
            started_s_ago: pod.started.map(|at| self.now - at),
            deleted: pod.life == Life::Terminating,
            cpu_millicores: sample
                .map(|pair| (pair[1].1 - pair[0].1) / (pair[1].0 - pair[0].0) * 1000.0),
            sample_s_ago: sample.map_or(f64::NAN, |pair| self.now - pair[1].0),
            sample_window_s: sample.map_or(f64::NAN, |pair| pair[1].0 - pair[0].0),
        }
    }
}
