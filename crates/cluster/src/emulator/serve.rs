//! The way of a request: sent, queued, served, calling, settled.
//!
//! Nothing here calls itself: requests that end while another is being settled wait in `settling`
//! until the event's own work is done.

use rand::Rng;

use super::{
    Emulator,
    hop::{CLIENT, Hop, NONE, ORPHAN, Outcome, Place, SHARE, SLOW, Sender},
    pod::Life,
    queue::{Event, Kind},
};

/// Work smaller than this is done: the rounding of clocks.
pub(super) const DONE_S: f64 = 1e-9;

impl Emulator {
    /// Sends `hop` to its service. A caller waits at most until `patience` for one that the network
    /// loses. Returns whether it is on its way; if not it was refused, and is counted so.
    ///
    /// Inlined, with [`Self::reach`], so that the record is written once, where it stays.
    #[inline(always)]
    pub(super) fn send(&mut self, hop: Hop, patience: f64) -> bool {
        let disturbance = &self.services[usize::from(hop.service)].disturbance;
        if disturbance.loss > 0.0 || disturbance.delay_s > 0.0 || disturbance.jitter_s > 0.0 {
            return self.send_through_disturbance(hop, patience);
        }
        self.reach(hop)
    }

    #[cold]
    fn send_through_disturbance(&mut self, hop: Hop, patience: f64) -> bool {
        let disturbance = self.services[usize::from(hop.service)].disturbance;
        if self.streams.network.r#gen::<f64>() < disturbance.loss {
            if hop.class == SLOW {
                return true;
            }
            let at = self.hops.add(hop);
            self.events
                .push(patience.min(hop.deadline), Event::new(Kind::Lost, at, 0));
            return true;
        }
        let spread = disturbance.jitter_s * (2.0 * self.streams.network.r#gen::<f64>() - 1.0);
        let delay = (disturbance.delay_s + spread).max(0.0);
        let at = self.hops.add(hop);
        self.events
            .push(self.now + delay, Event::new(Kind::Arrive, at, 0));
        true
    }

    /// `hop` reaches its service now. Returns whether a pod took it.
    #[inline(always)]
    fn reach(&mut self, hop: Hop) -> bool {
        let service = &mut self.services[usize::from(hop.service)];
        service.counters.arrived += u64::from(hop.class != SLOW);
        if let Some(rank) = service.choose_pod() {
            let at = self.hops.add(hop);
            self.admit(at, rank);
            true
        } else {
            service.counters.errors += u64::from(hop.class != SLOW);
            false
        }
    }

    /// A request that the network delayed reaches its service.
    pub(super) fn on_arrive(&mut self, at: u32) {
        let hop = &mut self.hops[at];
        hop.arrived = self.now;
        let class = hop.class;
        let service = &mut self.services[usize::from(hop.service)];
        service.counters.arrived += u64::from(class != SLOW);
        match service.choose_pod() {
            Some(rank) => self.admit(at, rank),
            None => self.settle(at, Outcome::Refused),
        }
    }

    /// The ready pod at `rank` takes a request.
    #[inline]
    fn admit(&mut self, at: u32, rank: usize) {
        let hop = &mut self.hops[at];
        let service = &mut self.services[usize::from(hop.service)];
        service.loads[rank] += 1;
        hop.pod = service.ready[rank];
        let pod = &mut self.pods[hop.pod as usize];
        pod.alive += 1;
        self.hop_count += 1;
        self.in_flight.rise(self.now);
        if service.shared {
            self.share(at);
        } else if pod.busy < service.concurrency {
            self.start(at);
        } else {
            hop.place = Place::Queue;
            hop.next = NONE;
            let tail = pod.tail;
            pod.tail = at;
            pod.waiting += 1;
            if tail == NONE {
                pod.head = at;
            }
            service.queued += 1;
            self.queued.rise(self.now);
            if tail != NONE {
                self.hops[tail].next = at;
            }
        }
    }

    /// A request enters service: the work that it brings. None where its sender only holds on, until
    /// it hangs up.
    #[inline]
    pub(super) fn bring_work(&mut self, at: u32) -> Option<f64> {
        let hop = &mut self.hops[at];
        hop.place = Place::Service;
        if hop.class == SLOW {
            let event = Event::new(Kind::Hangup, at, hop.epoch);
            self.events.push(self.now + hop.deadline, event);
            return None;
        }
        let service = &self.services[usize::from(hop.service)];
        let work = service.draw_work(&mut self.streams.work);
        Some(work * self.payloads[usize::from(hop.class)])
    }

    /// A free server of its pod takes a request.
    #[inline]
    fn start(&mut self, at: u32) {
        let work = self.bring_work(at);
        let hop = &mut self.hops[at];
        let service = &self.services[usize::from(hop.service)];
        let pod = &mut self.pods[hop.pod as usize];
        pod.touch(self.now);
        let number = pod.free_slot;
        let slot = &mut self.slots[number as usize];
        pod.free_slot = slot.hop;
        pod.busy += 1;
        slot.hop = at;
        hop.slot = number;
        let Some(work) = work else {
            return;
        };
        pod.working += 1;
        pod.cores += service.server_cores * pod.speed;
        slot.finish = pod.clock + work;
        let event = Event::new(Kind::Done, number, slot.epoch);
        self.events.push(self.now + work * pod.slowness, event);
    }

    /// The work in a server may be done.
    #[inline]
    pub(super) fn on_done(&mut self, number: u32, epoch: u32) {
        let slot = &mut self.slots[number as usize];
        if !Event::same_epoch(slot.epoch, epoch) {
            return;
        }
        let pod = &mut self.pods[slot.pod as usize];
        pod.touch(self.now);
        let left = slot.finish - pod.clock;
        if left > DONE_S {
            // The pod was slowed down meanwhile.
            let event = Event::new(Kind::Done, number, epoch);
            self.events.push(self.now + left * pod.slowness, event);
            return;
        }
        slot.finish = f64::INFINITY;
        pod.working -= 1;
        pod.cores -= self.services[usize::from(pod.service)].server_cores * pod.speed;
        if pod.working == 0 {
            pod.cores = pod.stress_cores;
        }
        let at = slot.hop;
        self.worked(at);
    }

    /// The work of a request is done: it fails, calls, or is answered.
    #[inline]
    pub(super) fn worked(&mut self, at: u32) {
        let hop = &mut self.hops[at];
        let service = &self.services[usize::from(hop.service)];
        let outcome = if service.draw_error(&mut self.streams.work) {
            Some(Outcome::Failed)
        } else {
            if !service.calls.is_empty() {
                hop.place = Place::Call;
            }
            self.proceed(at)
        };
        if let Some(outcome) = outcome {
            self.settle(at, outcome);
        }
    }

    /// Makes the next call of a request. Returns how the request ended, if it did.
    #[inline]
    fn proceed(&mut self, at: u32) -> Option<Outcome> {
        loop {
            let hop = &self.hops[at];
            let (number, deadline) = (hop.call, hop.deadline);
            let service = &self.services[usize::from(hop.service)];
            if self.now > deadline {
                return Some(Outcome::Late);
            }
            if usize::from(number) == service.calls.len() {
                return Some(Outcome::Answered);
            }
            let call = service.calls[usize::from(number)];
            if number >= service.held_calls && hop.slot != NONE {
                self.release(at);
            }
            if call.probability < 1.0 && self.streams.network.r#gen::<f64>() >= call.probability {
                self.hops[at].call += 1;
                continue;
            }
            return self.call(at);
        }
    }

    /// Makes the current call of a request, again where refused and retries are left. Returns how
    /// the request ended, if it did.
    #[inline]
    fn call(&mut self, at: u32) -> Option<Outcome> {
        loop {
            let hop = &self.hops[at];
            let call = self.services[usize::from(hop.service)].calls[usize::from(hop.call)];
            let mut callee = Hop::new(usize::from(call.to), hop.class, self.now, hop.deadline);
            callee.parent = at;
            let patience = self.now + self.timeout_s / f64::from(call.retries + 1);
            if self.send(callee, patience) {
                return None;
            }
            let hop = &mut self.hops[at];
            if hop.tries >= call.retries {
                return Some(Outcome::Failed);
            }
            hop.tries += 1;
        }
    }

    /// The current call of a request came back. Returns how the request ended, if it did.
    #[inline]
    fn resume(&mut self, at: u32, answered: bool) -> Option<Outcome> {
        let hop = &mut self.hops[at];
        if answered {
            hop.call += 1;
            hop.tries = 0;
            return self.proceed(at);
        }
        if self.now >= hop.deadline {
            return Some(Outcome::Late);
        }
        let call = self.services[usize::from(hop.service)].calls[usize::from(hop.call)];
        if hop.tries >= call.retries {
            return Some(Outcome::Failed);
        }
        hop.tries += 1;
        self.call(at)
    }

    /// Ends a request, and everybody up the chain whom that ends.
    #[inline]
    pub(super) fn settle(&mut self, mut at: u32, mut outcome: Outcome) {
        loop {
            let hop = &self.hops[at];
            let (parent, pod, place, slot) = (hop.parent, hop.pod, hop.place, hop.slot);
            let client = Sender::of(hop);
            self.count(at, outcome);
            if slot != NONE {
                self.release(at);
            }
            if place != Place::Network {
                self.in_flight.fall(self.now);
            }
            if pod != NONE {
                let left = &mut self.pods[pod as usize];
                left.alive -= 1;
                if left.alive == 0 && left.life == Life::Terminating {
                    self.remove_pod(pod);
                }
            }
            self.hops.remove(at);
            match parent {
                ORPHAN => return,
                CLIENT => return self.answer_client(client, outcome),
                parent => match self.resume(parent, outcome == Outcome::Answered) {
                    Some(end) => (at, outcome) = (parent, end),
                    None => return,
                },
            }
        }
    }

    /// Counts the end of a request as its service sees it.
    #[inline]
    fn count(&mut self, at: u32, outcome: Outcome) {
        let hop = &self.hops[at];
        if hop.class == SLOW || (hop.place == Place::Network && outcome == Outcome::Lost) {
            return;
        }
        let service = &mut self.services[usize::from(hop.service)];
        if outcome == Outcome::Answered {
            service.counters.answered += 1;
        } else {
            service.counters.errors += 1;
        }
        if matches!(outcome, Outcome::Answered | Outcome::Failed | Outcome::Late) {
            service.count_latency(self.now - hop.arrived);
        }
    }

    /// A request gives back its server, and the next in the queue takes it.
    #[inline]
    fn release(&mut self, at: u32) {
        let hop = &mut self.hops[at];
        let number = std::mem::replace(&mut hop.slot, NONE);
        let pod = &mut self.pods[hop.pod as usize];
        let service = &mut self.services[usize::from(hop.service)];
        if pod.rank != NONE {
            service.loads[pod.rank as usize] -= 1;
        }
        pod.busy -= 1;
        if number == SHARE {
            if pod.busy >= service.concurrency {
                service.queued -= 1;
                self.queued.fall(self.now);
            }
            return;
        }
        let slot = &mut self.slots[number as usize];
        slot.hop = pod.free_slot;
        pod.free_slot = number;
        if pod.waiting > 0 {
            let pod = hop.pod;
            self.start_next(pod);
        }
    }

    /// A free server takes the next request of the queue whose client still waits. The others are
    /// dropped: this is when a service notices.
    #[inline]
    fn start_next(&mut self, number: u32) {
        loop {
            let pod = &mut self.pods[number as usize];
            let at = pod.head;
            if at == NONE {
                return;
            }
            let hop = &mut self.hops[at];
            pod.head = hop.next;
            if pod.head == NONE {
                pod.tail = NONE;
            }
            pod.waiting -= 1;
            let service = &mut self.services[usize::from(hop.service)];
            service.queued -= 1;
            self.queued.fall(self.now);
            if hop.class == SLOW || hop.deadline >= self.now {
                return self.start(at);
            }
            hop.place = Place::Call;
            if pod.rank != NONE {
                service.loads[pod.rank as usize] -= 1;
            }
            self.settling.push((at, Outcome::Late));
        }
    }

    /// A slow connection ends.
    pub(super) fn on_hangup(&mut self, at: u32, epoch: u32) {
        let hop = self.hops[at];
        if hop.place == Place::Service && hop.class == SLOW && Event::same_epoch(hop.epoch, epoch) {
            self.settle(at, Outcome::Answered);
        }
    }
}
