//! Who sends requests: a Poisson stream of many sources with a rate per second, and clients of a
//! closed loop.

use rand::Rng;
use rand_distr::{Distribution, Exp1};

use super::{
    Emulator,
    hop::{Hop, LEGITIMATE, NONE, Outcome, PAYLOADS, SLOW, Sender},
    queue::{Event, Kind},
};
use crate::{
    scenario::{Effect, Fault, Scenario, Shape},
    seed::{self, Stream},
    workload,
};

/// A client that failed at once waits this long before it tries again, else it would try for ever
/// at one instant.
pub(crate) const RETRY_PAUSE_S: f64 = 0.1;

/// Requests of one kind to one entry.
#[derive(Clone, Debug)]
struct Source {
    service: usize,
    class: u8,
    /// How long a slow connection is held.
    hold_s: f64,
    /// Requests per second in each second.
    rates: Vec<f64>,
}

/// All open sources as one Poisson stream.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    sources: Vec<Source>,
    /// The second that `rates` are of.
    second: usize,
    seconds: usize,
    rates: Vec<f64>,
    total: f64,
    stream: Stream,
    /// Instant of the next arrival; infinite after the last.
    pub(super) next: f64,
}

/// A client of the closed loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    service: usize,
    /// When it sent the request that it waits for.
    sent: f64,
    epoch: u32,
}

/// Clients of a closed loop, their think time, and their randomness.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    all: Vec<Client>,
    think_s: f64,
    stream: Stream,
}

impl Arrivals {
    /// The sources of `scenario`. Adds the payload factor of every class of attack to `payloads`.
    pub(super) fn new(scenario: &Scenario, seed: u64, payloads: &mut Vec<f64>) -> Self {
        let legitimate = workload::rates(scenario, seed);
        let entries = scenario.entries();
        let mut sources = Vec::new();
        if !matches!(scenario.workload.shape, Shape::Closed { .. }) {
            for &service in &entries {
                let share = 1.0 / entries.len() as f64;
                sources.push(Source {
                    service,
                    class: LEGITIMATE,
                    hold_s: 0.0,
                    rates: legitimate.iter().map(|rate| rate * share).collect(),
                });
            }
        }
        for fault in &scenario.faults {
            sources.extend(attack(scenario, fault, &legitimate, payloads));
        }
        let mut arrivals = Self {
            rates: vec![0.0; sources.len()],
            sources,
            second: 0,
            seconds: legitimate.len(),
            total: 0.0,
            stream: seed::derive(seed, "arrivals", 0),
            next: 0.0,
        };
        arrivals.enter_second();
        arrivals.plan(0.0);
        arrivals
    }

    /// About how many events a second the highest load makes.
    pub(super) fn event_rate(&self, scenario: &Scenario) -> f64 {
        let at = |second: usize| {
            let rates = self.sources.iter().map(|s| s.rates[second]);
            rates.sum::<f64>()
        };
        let highest = (0..self.seconds).map(at).fold(0.0, f64::max);
        let closed = match scenario.workload.shape {
            Shape::Closed { .. } => workload::rates(scenario, 0).first().copied(),
            _ => None,
        };
        (highest + closed.unwrap_or(0.0)) * workload::visits(scenario).iter().sum::<f64>()
    }

    fn enter_second(&mut self) {
        for (rate, source) in self.rates.iter_mut().zip(&self.sources) {
            *rate = source.rates.get(self.second).copied().unwrap_or(0.0);
        }
        self.total = self.rates.iter().sum();
    }

    /// Finds the arrival after `now`: one exponential step, measured in expected arrivals.
    #[inline]
    fn plan(&mut self, now: f64) {
        let mut step: f64 = Exp1.sample(&mut self.stream);
        let mut from = now;
        while self.second < self.seconds {
            let end = (self.second + 1) as f64;
            let room = (end - from) * self.total;
            if step < room {
                self.next = from + step / self.total;
                return;
            }
            step -= room;
            from = end;
            self.second += 1;
            self.enter_second();
        }
        self.next = f64::INFINITY;
    }

    /// Which source the arrival is of.
    #[inline]
    fn source(&mut self) -> usize {
        if self.rates.len() == 1 {
            return 0;
        }
        let mut at = self.stream.r#gen::<f64>() * self.total;
        let mut last = 0;
        for (number, &rate) in self.rates.iter().enumerate() {
            if rate > 0.0 {
                last = number;
                if at < rate {
                    break;
                }
                at -= rate;
            }
        }
        last
    }
}

/// The requests or connections that an attack adds.
fn attack(
    scenario: &Scenario,
    fault: &Fault,
    legitimate: &[f64],
    payloads: &mut Vec<f64>,
) -> Option<Source> {
    let (Effect::DdosFlood { entry, .. }
    | Effect::YoYo { entry, .. }
    | Effect::SlowConnections { entry, .. }) = &fault.effect
    else {
        return None;
    };
    let service = match entry {
        Some(name) => scenario.service_index(name),
        None => scenario.entries().first().copied(),
    };
    assert!(service.is_some(), "an attack enters nowhere");
    let service = service.unwrap_or(0);
    if let Effect::SlowConnections { rate, hold, .. } = fault.effect {
        let from = fault.at.seconds();
        let span = from..from + fault.duration.seconds();
        let at = |second: usize| {
            if span.contains(&(second as f64)) {
                rate
            } else {
                0.0
            }
        };
        return Some(Source {
            service,
            class: SLOW,
            hold_s: hold.seconds(),
            rates: (0..legitimate.len()).map(at).collect(),
        });
    }
    let payload = fault.effect.payload()?;
    let known = payloads.iter().skip(1).position(|&p| p == payload);
    let class = known.map_or(payloads.len(), |at| at + 1);
    if known.is_none() {
        assert!(class <= PAYLOADS, "too many payload levels");
        payloads.push(payload);
    }
    let alone = Scenario {
        faults: vec![fault.clone()],
        ..scenario.clone()
    };
    Some(Source {
        service,
        class: class as u8,
        hold_s: 0.0,
        rates: workload::attack_rates(&alone, legitimate),
    })
}

impl Clients {
    pub(super) fn new(scenario: &Scenario, seed: u64) -> Self {
        let (count, think_s) = match scenario.workload.shape {
            Shape::Closed {
                clients,
                think_time,
            } => (clients as usize, think_time.seconds()),
            _ => (0, 0.0),
        };
        let entries = scenario.entries();
        Self {
            all: (0..count)
                .map(|number| Client {
                    service: entries[number % entries.len()],
                    sent: f64::NAN,
                    epoch: 0,
                })
                .collect(),
            think_s,
            stream: seed::derive(seed, "clients", 0),
        }
    }

    fn think(&mut self) -> f64 {
        let unit: f64 = Exp1.sample(&mut self.stream);
        unit * self.think_s
    }
}

impl Emulator {
    /// Lets every client of the closed loop think before its first request.
    pub(super) fn plan_clients(&mut self) {
        for number in 0..self.clients.all.len() as u32 {
            let at = self.clients.think();
            self.events.push(at, Event::new(Kind::Send, number, 0));
        }
    }

    /// The next request of the open sources arrives.
    #[inline]
    pub(super) fn on_arrival(&mut self) {
        let number = self.arrivals.source();
        self.arrivals.plan(self.now);
        let source = &self.arrivals.sources[number];
        let (service, class) = (source.service, source.class);
        if class == SLOW {
            let hop = Hop::new(service, SLOW, self.now, source.hold_s);
            self.recorder.record.attack_arrived += 1;
            self.send(hop, f64::INFINITY);
            return;
        }
        self.enter(service, class, NONE);
    }

    /// A request enters the cluster.
    #[inline]
    fn enter(&mut self, service: usize, class: u8, client: u32) {
        self.roots.arrived += 1;
        if class == LEGITIMATE {
            self.recorder.arrive(self.now);
        } else {
            self.recorder.record.attack_arrived += 1;
        }
        let deadline = self.now + self.timeout_s;
        let mut hop = Hop::new(service, class, self.now, deadline);
        hop.client = client;
        let sender = Sender::of(&hop);
        if !self.send(hop, deadline) {
            self.answer_client(sender, Outcome::Refused);
        }
    }

    /// A client or attacker gets the answer to its request, if it still waits.
    #[inline]
    pub(super) fn answer_client(&mut self, sender: Sender, outcome: Outcome) {
        if sender.class == SLOW {
            return;
        }
        let answered = outcome == Outcome::Answered;
        if answered {
            self.roots.answered += 1;
        } else {
            self.roots.failed += 1;
        }
        if sender.class == LEGITIMATE {
            self.recorder.outcome(sender.sent, self.now, answered);
        }
        if sender.client != NONE && self.clients.all[sender.client as usize].sent == sender.sent {
            self.send_again(sender.client, answered);
        }
    }

    /// A client sends its next request after thinking.
    fn send_again(&mut self, number: u32, answered: bool) {
        let pause = self.clients.think();
        let pause = if answered {
            pause
        } else {
            pause.max(RETRY_PAUSE_S)
        };
        let client = &mut self.clients.all[number as usize];
        client.sent = f64::NAN;
        client.epoch = client.epoch.wrapping_add(1);
        let event = Event::new(Kind::Send, number, client.epoch);
        self.events.push(self.now + pause, event);
    }

    pub(super) fn on_send(&mut self, number: u32, epoch: u32) {
        let client = &mut self.clients.all[number as usize];
        if !Event::same_epoch(client.epoch, epoch) || self.now >= self.end_s {
            return;
        }
        client.sent = self.now;
        let service = client.service;
        let event = Event::new(Kind::GiveUp, number, client.epoch);
        self.events.push(self.now + self.timeout_s, event);
        self.enter(service, LEGITIMATE, number);
    }

    pub(super) fn on_give_up(&mut self, number: u32, epoch: u32) {
        if Event::same_epoch(self.clients.all[number as usize].epoch, epoch) {
            self.send_again(number, false);
        }
    }
}
