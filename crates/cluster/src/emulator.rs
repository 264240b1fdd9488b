//! The embedded cluster: a request-level discrete-event emulator in virtual time.
//!
//! A request enters at a service, queues in a pod, is worked on, calls other services one after
//! another, and is answered when they have answered. One record per request and service (a hop)
//! and one event per piece of work are all that it costs; both live in memory that is reused, so
//! a longer episode needs no more of it.
//!
//! What it models, and how:
//! - **Pods** are unscheduled, starting, ready, failing, in back-off or terminating (`lifecycle`),
//!   on **nodes** with room for their requests. Where limits exceed requests, pods may want more
//!   processor than a node has; then all work on it is stretched (`node`).
//! - **Balancing** picks the ready pod with the fewest requests (`service`). A full pod refuses.
//! - **Clients** give up at their timeout. Nothing is canceled then: a request given up is
//!   dropped when its turn in a queue comes, or makes no further call once its work is done. A
//!   caller gives a lost call an equal part of the timeout for each try.
//! - **Sync** calls are made with the server held; calls after the last sync one are made without.
//!   A call that still fails after its retries fails the caller.
//! - **Attack requests** differ from others in their work only. Who is who is known to the
//!   [`EpisodeRecord`] alone.
//! - **Metrics** are what scrapes found (`scrape`); the API server's part is current.

mod arrivals;
mod bench;
mod faults;
mod histogram;
mod hop;
mod level;
mod lifecycle;
mod node;
mod pod;
mod queue;
mod record;
mod recorder;
mod scrape;
mod serve;
mod service;
mod share;

use rand::Rng;

pub use bench::{BenchReport, bench};
pub use histogram::LatencyHistogram;
pub use record::{BIN_S, BinRow, EpisodeRecord, SecondRow, ServiceRow, WindowRow};

pub(crate) use self::{arrivals::RETRY_PAUSE_S, hop::PAYLOADS};
use self::{
    arrivals::{Arrivals, Clients},
    faults::Timed,
    hop::{CLIENT, Hops, ORPHAN, Outcome, Place, SLOW},
    level::Level,
    node::Node,
    pod::{Life, Pod, Slot},
    queue::{Event, EventQueue, Kind},
    recorder::Recorder,
    scrape::Scrapes,
    service::ServiceState,
};
use crate::{
    cluster::{Cluster, ClusterError},
    observation::Observation,
    scenario::Scenario,
    seed::{self, Stream},
};

/// A cluster in virtual time.
///
/// Equal scenarios, seeds and calls give equal observations, byte for byte. The arrivals depend on
/// the seed alone, not on what is done to the cluster, so that controllers can be compared on the
/// same ones.
#[derive(Clone, Debug)]
pub struct Emulator {
    now: f64,
    end_s: f64,
    window_s: f64,
    timeout_s: f64,
    drain_s: f64,
    windows_passed: u32,

    events: EventQueue,
    hops: Hops,
    services: Vec<ServiceState>,
    pods: Vec<Pod>,
    slots: Vec<Slot>,
    nodes: Vec<Node>,
    /// Pods that fit nowhere, oldest first.
    unscheduled: Vec<u32>,
    /// Requests that ended while another was being settled.
    settling: Vec<(u32, Outcome)>,

    arrivals: Arrivals,
    clients: Clients,
    /// Work of a request over that of a legitimate one, by class.
    payloads: Vec<f64>,
    faults: Vec<Timed>,
    /// Share of calls to the API server that fail.
    api_errors: f64,
    api_down: bool,
    /// Whether a `Share` event is due.
    sharing: bool,
    /// Whether an `OutOfMemory` event is due.
    watching_memory: bool,

    scrapes: Scrapes,
    recorder: Recorder,
    /// Counts at the end of the last window: legitimate and attack arrivals.
    window_arrived: (u64, u64),
    /// What could be seen at the end of the episode.
    last: Option<Observation>,

    queued: Level,
    in_flight: Level,
    placed: Level,
    reserved: Level,
    hop_count: u64,
    roots: Census,
    streams: Streams,
}

/// One stream per cause, so that what one does leaves the others alone.
#[derive(Clone, Debug)]
struct Streams {
    work: Stream,
    network: Stream,
    startup: Stream,
    scrape: Stream,
    faults: Stream,
    api: Stream,
}

/// Where all requests of clients and attackers are. `arrived` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Requests that arrived from outside, attack included.
    pub arrived: u64,
    /// Answered correctly and in time.
    pub answered: u64,
    /// Refused, lost, failed, dropped, or answered too late.
    pub failed: u64,
    /// Waiting in the queue of some service.
    pub queued: u64,
    /// In service or on the network somewhere.
    pub in_service: u64,
}

impl Emulator {
    /// The cluster of `scenario` (one context) at the start of an episode: initial replicas ready,
    /// nothing measured yet.
    ///
    /// # Panics
    /// If the scenario names services that it does not have; `scenario::load` refuses those.
    #[must_use]
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        let stream = |name| seed::derive(seed, name, 0);
        let mut payloads = vec![1.0];
        let arrivals = Arrivals::new(scenario, seed, &mut payloads);
        let services = scenario.services.iter();
        let mut emulator = Self {
            now: 0.0,
            end_s: scenario.duration.seconds(),
            window_s: scenario.control.window.seconds(),
            timeout_s: scenario.slo.timeout.seconds(),
            drain_s: scenario.control.drain.seconds(),
            windows_passed: 0,
            events: EventQueue::new(arrivals.event_rate(scenario)),
            hops: Hops::new(),
            services: services.map(|s| ServiceState::new(s, scenario)).collect(),
            pods: Vec::new(),
            slots: Vec::new(),
            nodes: node::nodes(scenario),
            unscheduled: Vec::new(),
            settling: Vec::new(),
            arrivals,
            clients: Clients::new(scenario, seed),
            payloads,
            faults: faults::timeline(scenario),
            api_errors: 0.0,
            api_down: false,
            sharing: false,
            watching_memory: false,
            scrapes: Scrapes::new(scenario.services.len(), &scenario.control),
            recorder: Recorder::new(scenario),
            window_arrived: (0, 0),
            last: None,
            queued: Level::default(),
            in_flight: Level::default(),
            placed: Level::default(),
            reserved: Level::default(),
            hop_count: 0,
            roots: Census::default(),
            streams: Streams {
                work: stream("work"),
                network: stream("network"),
                startup: stream("startup"),
                scrape: stream("scrape"),
                faults: stream("faults"),
                api: stream("api"),
            },
        };
        emulator.start_up(scenario);
        emulator
    }

    /// Initial replicas and the first event of everything that repeats.
    fn start_up(&mut self, scenario: &Scenario) {
        self.plan_faults();
        self.plan_scrapes();
        self.plan_clients();
        for (number, service) in scenario.services.iter().enumerate() {
            let replicas = &service.replicas;
            self.services[number].desired = replicas.at_start();
            self.reconcile(number);
            for pod in self.services[number].pods.clone() {
                if self.pods[pod as usize].life == Life::Starting {
                    self.on_ready(pod);
                }
            }
        }
    }

    /// What only the emulator knows of the episode.
    #[must_use]
    pub fn record(&self) -> &EpisodeRecord {
        &self.recorder.record
    }

    /// Where all requests are.
    #[must_use]
    pub fn census(&self) -> Census {
        let mut census = self.roots;
        for hop in self.hops.all() {
            if hop.place == Place::Free || hop.class == SLOW {
                continue;
            }
            census.in_service += u64::from(hop.parent == CLIENT);
            if hop.place == Place::Queue {
                let mut root = hop;
                while root.parent < ORPHAN {
                    root = &self.hops[root.parent];
                }
                census.queued += u64::from(root.parent == CLIENT);
            }
        }
        census.in_service -= census.queued;
        census
    }

    /// Hops so far: requests admitted to one service.
    #[must_use]
    pub fn hops(&self) -> u64 {
        self.hop_count
    }

    /// Records that it holds memory for: hops, pods, servers and events. Bounded by the load, not
    /// by the length of the episode.
    #[must_use]
    pub fn records_held(&self) -> usize {
        self.hops.capacity() + self.pods.capacity() + self.slots.capacity() + self.events.capacity()
    }

    /// Makes every scrape fail until switched off again, as [`crate::scenario::Effect::MetricOutage`].
    pub fn set_metric_outage(&mut self, on: bool) {
        self.scrapes.down = on;
    }

    /// Makes every call to the API server fail until switched off again.
    pub fn set_api_down(&mut self, on: bool) {
        self.api_down = on;
    }

    /// Lets time pass up to `until`.
    fn run(&mut self, until: f64) {
        loop {
            let (event, arrival) = (self.events.next_time(), self.arrivals.next);
            if arrival <= event {
                if arrival > until {
                    break;
                }
                self.now = arrival;
                self.on_arrival();
            } else {
                if event > until {
                    break;
                }
                if let Some((time, event)) = self.events.pop() {
                    self.now = time;
                    self.handle(event);
                }
            }
            while let Some((hop, outcome)) = self.settling.pop() {
                self.settle(hop, outcome);
            }
        }
        self.now = until;
    }

    #[inline]
    fn handle(&mut self, event: Event) {
        if event.kind() == Kind::Done {
            return self.on_done(event.index() as u32, event.epoch());
        }
        self.handle_other(event);
    }

    fn handle_other(&mut self, event: Event) {
        let (index, epoch) = (event.index(), event.epoch());
        let number = index as u32;
        let of_pod = matches!(
            event.kind(),
            Kind::Ready | Kind::Crash | Kind::Restart | Kind::Drained
        );
        if of_pod && !Event::same_epoch(self.pods[index].epoch, epoch) {
            return;
        }
        match event.kind() {
            Kind::Done => self.on_done(number, epoch),
            Kind::Shared => self.on_shared(number, epoch),
            Kind::Hangup => self.on_hangup(number, epoch),
            Kind::Arrive => self.on_arrive(number),
            Kind::Lost => self.settle(number, Outcome::Lost),
            Kind::Send => self.on_send(number, epoch),
            Kind::GiveUp => self.on_give_up(number, epoch),
            Kind::Scrape => self.on_scrape(index),
            Kind::Onset => self.on_onset(index),
            Kind::Relief => self.on_relief(index),
            Kind::Strike => self.on_strike(index),
            Kind::Ready => self.on_ready(number),
            Kind::Crash => self.crash(number),
            Kind::Restart => self.on_restart(number),
            Kind::Drained => self.kill_pod(number),
            Kind::Share => self.on_share(),
            Kind::OutOfMemory => {
                self.watching_memory = false;
                self.on_out_of_memory();
            }
        }
    }

    /// Writes the row of the window that ends now, and brings the integrals up to date.
    fn end_window(&mut self) {
        self.windows_passed += 1;
        let services = self.services.iter_mut().map(ServiceState::end_window);
        let services = services.collect();
        self.recorder.close(self.now);
        let record = &mut self.recorder.record;
        let span = self.now - record.time_s;
        let (legit, attack) = self.window_arrived;
        record.windows.push(WindowRow {
            time_s: self.now,
            legit_rps: (record.arrived - legit) as f64 / span,
            attack_rps: (record.attack_arrived - attack) as f64 / span,
            services,
        });
        self.window_arrived = (record.arrived, record.attack_arrived);
        record.time_s = self.now;
        record.queued_request_s = self.queued.integral(self.now);
        record.in_flight_request_s = self.in_flight.integral(self.now);
        record.pod_s = self.placed.integral(self.now);
        record.cpu_core_s = self.reserved.integral(self.now);
        record.cpu_used_core_s = self.services.iter().map(|s| s.gone_core_s).sum();
        for pod in self.pods.iter_mut().filter(|p| p.life != Life::Gone) {
            pod.touch(self.now);
            record.cpu_used_core_s += pod.core_s;
        }
    }

    fn call_api(&mut self, operation: &dyn Fn() -> String) -> Result<(), ClusterError> {
        let failed = self.api_errors > 0.0 && self.streams.api.r#gen::<f64>() < self.api_errors;
        if failed || self.api_down {
            return Err(ClusterError::Api {
                operation: operation(),
            });
        }
        Ok(())
    }
}

impl Cluster for Emulator {
    fn observe(&mut self) -> Result<Observation, ClusterError> {
        self.call_api(&|| "list pods".to_owned())?;
        Ok(self.last.clone().unwrap_or_else(|| self.look()))
    }

    fn scale(&mut self, service: usize, replicas: u32) -> Result<(), ClusterError> {
        let Some(state) = self.services.get(service) else {
            return Err(ClusterError::UnknownService { service });
        };
        let name = state.name.clone();
        self.call_api(&|| format!("scale service {name}"))?;
        if self.last.is_none() {
            self.services[service].desired = replicas;
            self.reconcile(service);
        }
        Ok(())
    }

    fn advance(&mut self) -> bool {
        if self.last.is_some() {
            return false;
        }
        for service in &mut self.services {
            service.restarts_before = service.restarts;
        }
        let until = f64::from(self.windows_passed + 1) * self.window_s;
        let over = until >= self.end_s - 1e-9;
        self.run(until.min(self.end_s));
        self.end_window();
        if over {
            self.last = Some(self.look());
            // Nobody new arrives; those who wait get their answer or give up.
            self.run(self.end_s + self.timeout_s);
            self.recorder.close_all();
        }
        !over
    }
}
