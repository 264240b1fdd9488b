//! What the Deployment controller and the kubelet do to pods: create, start, restart, drain, delete.

use rand::Rng;
use rand_distr::{Distribution, Exp1, StandardNormal};

use super::{
    Emulator,
    hop::{NONE, ORPHAN, Outcome, Place},
    pod::{Life, Pod, Slot},
    queue::{Event, Kind},
};

/// First back-off of a crashed container; it doubles with every further crash.
const BACK_OFF_S: f64 = 10.0;
/// Longest back-off.
const BACK_OFF_MAX_S: f64 = 300.0;
/// A container that ran this long starts over with the first back-off.
const QUIET_S: f64 = 600.0;

impl Emulator {
    /// Creates or deletes pods until as many live as are desired.
    pub(super) fn reconcile(&mut self, service: usize) {
        loop {
            let state = &self.services[service];
            let live = state
                .pods
                .iter()
                .filter(|&&p| self.pods[p as usize].life != Life::Terminating)
                .count();
            match live.cmp(&(state.desired as usize)) {
                std::cmp::Ordering::Less => {
                    let pod = self.create_pod(service);
                    self.unscheduled.push(pod);
                    self.schedule();
                }
                std::cmp::Ordering::Equal => return,
                std::cmp::Ordering::Greater => {
                    if let Some(pod) = self.least_wanted(service) {
                        self.terminate(pod);
                    }
                }
            }
        }
    }

    /// The pod that a ReplicaSet deletes first: unscheduled before not ready before ready, of
    /// equals the newest.
    fn least_wanted(&self, service: usize) -> Option<u32> {
        let rank = |pod: &Pod| match pod.life {
            Life::Unscheduled => 0,
            Life::BackOff => 1,
            Life::Failing => 2,
            Life::Starting => 3,
            _ => 4,
        };
        self.services[service]
            .pods
            .iter()
            .rev()
            .filter(|&&p| self.pods[p as usize].life != Life::Terminating)
            .min_by_key(|&&p| rank(&self.pods[p as usize]))
            .copied()
    }

    /// A new pod on no node, in the record of a former one where there is one.
    fn create_pod(&mut self, service: usize) -> u32 {
        let state = &mut self.services[service];
        let number = state.spare_pods.pop().unwrap_or_else(|| {
            let first_slot = self.slots.len() as u32;
            let number = self.pods.len() as u32;
            self.pods.push(Pod::vacant(service, first_slot));
            if !state.shared {
                self.slots.extend((0..state.concurrency).map(|_| Slot {
                    finish: f64::INFINITY,
                    hop: NONE,
                    pod: number,
                    epoch: 0,
                }));
            }
            number
        });
        let pod = &mut self.pods[number as usize];
        pod.number = state.pods_made;
        pod.crashes = 0;
        pod.started = None;
        pod.ready_changed = self.now;
        pod.clock = 0.0;
        pod.core_s = 0.0;
        pod.touched = self.now;
        pod.cores = 0.0;
        pod.stress_cores = 0.0;
        pod.samples.clear();
        pod.enter(Life::Unscheduled);
        state.pods_made += 1;
        state.pods.push(number);
        self.clear_servers(number);
        number
    }

    /// Starts the container of a pod that is on a node.
    pub(super) fn start_container(&mut self, number: u32) {
        let pod = &mut self.pods[number as usize];
        let service = &self.services[usize::from(pod.service)];
        let normal: f64 = StandardNormal.sample(&mut self.streams.startup);
        let delay = service.startup_median_s * (service.startup_sigma * normal).exp();
        pod.started.get_or_insert(self.now);
        pod.container_started = self.now;
        pod.touch(self.now);
        pod.samples.clear();
        pod.samples.push((self.now, pod.core_s));
        pod.enter(Life::Starting);
        let event = Event::new(Kind::Ready, number, pod.epoch);
        self.events.push(self.now + delay, event);
        self.set_speed(number);
    }

    /// A container passes its readiness probe.
    pub(super) fn on_ready(&mut self, number: u32) {
        self.make_ready(number);
        let pod = &self.pods[number as usize];
        let rate = self.services[usize::from(pod.service)].crashes_per_s;
        if rate > 0.0 {
            let delay: f64 = Exp1.sample(&mut self.streams.startup);
            let event = Event::new(Kind::Crash, number, pod.epoch);
            self.events.push(self.now + delay / rate, event);
        }
    }

    /// A pod takes traffic from now on.
    pub(super) fn make_ready(&mut self, number: u32) {
        let pod = &mut self.pods[number as usize];
        let service = &mut self.services[usize::from(pod.service)];
        pod.enter(Life::Ready);
        pod.ready_changed = self.now;
        pod.rank = service.ready.len() as u32;
        service.ready.push(number);
        service.loads.push(pod.busy + pod.waiting);
        self.set_speed(number);
    }

    /// A pod takes no more traffic.
    fn make_unready(&mut self, number: u32) {
        let pod = &mut self.pods[number as usize];
        if pod.rank == NONE {
            return;
        }
        let rank = pod.rank as usize;
        pod.rank = NONE;
        pod.ready_changed = self.now;
        let service = &mut self.services[usize::from(pod.service)];
        service.ready.swap_remove(rank);
        service.loads.swap_remove(rank);
        if let Some(&moved) = service.ready.get(rank) {
            self.pods[moved as usize].rank = rank as u32;
        }
    }

    /// A container dies; it is started again after a back-off.
    pub(super) fn crash(&mut self, number: u32) {
        self.make_unready(number);
        let pod = &mut self.pods[number as usize];
        if self.now - pod.container_started > QUIET_S {
            pod.crashes = 0;
        }
        let back_off = BACK_OFF_S * 2_f64.powi(pod.crashes.min(30) as i32);
        pod.crashes += 1;
        pod.enter(Life::BackOff);
        let event = Event::new(Kind::Restart, number, pod.epoch);
        self.events
            .push(self.now + back_off.min(BACK_OFF_MAX_S), event);
        self.kill_hops(number);
    }

    /// A back-off is over.
    pub(super) fn on_restart(&mut self, number: u32) {
        let service = usize::from(self.pods[number as usize].service);
        self.services[service].restarts += 1;
        self.start_container(number);
    }

    /// A pod stands still: its requests are lost and it takes no more, until [`Self::recover`].
    pub(super) fn fail(&mut self, number: u32) {
        self.make_unready(number);
        self.pods[number as usize].enter(Life::Failing);
        self.kill_hops(number);
    }

    /// A pod that stood still serves again.
    pub(super) fn recover(&mut self, number: u32) {
        self.on_ready(number);
    }

    /// Deletes a pod, which may first finish what it has.
    fn terminate(&mut self, number: u32) {
        self.make_unready(number);
        let drain_s = self.drain_s;
        let pod = &mut self.pods[number as usize];
        let idle = pod.alive == 0;
        pod.enter(Life::Terminating);
        if idle {
            self.remove_pod(number);
        } else {
            let event = Event::new(Kind::Drained, number, pod.epoch);
            self.events.push(self.now + drain_s, event);
        }
    }

    /// Deletes a pod with everything in it. What it held is free; who waited for room gets it.
    pub(super) fn kill_pod(&mut self, number: u32) {
        self.make_unready(number);
        self.pods[number as usize].enter(Life::Terminating);
        self.kill_hops(number);
        self.remove_pod(number);
    }

    /// Takes a pod that holds no request off the books.
    pub(super) fn remove_pod(&mut self, number: u32) {
        let pod = &mut self.pods[number as usize];
        pod.touch(self.now);
        pod.enter(Life::Gone);
        let service = &mut self.services[usize::from(pod.service)];
        service.gone_core_s += pod.core_s;
        service.pods.retain(|&p| p != number);
        service.spare_pods.push(number);
        self.unscheduled.retain(|&p| p != number);
        self.leave_node(number);
        self.schedule();
    }

    /// Everything in a pod is lost: callers are told, and callees go on for nobody.
    fn kill_hops(&mut self, number: u32) {
        let mut doomed = Vec::new();
        for (at, hop) in self.hops.all_mut().iter_mut().enumerate() {
            if hop.place != Place::Free && hop.pod == number {
                if hop.place == Place::Queue {
                    self.queued.fall(self.now);
                    self.services[usize::from(hop.service)].queued -= 1;
                }
                (hop.place, hop.pod, hop.slot) = (Place::Dead, NONE, NONE);
                doomed.push(at as u32);
            }
        }
        self.clear_servers(number);
        if doomed.is_empty() {
            return;
        }
        for at in 0..self.hops.all().len() {
            let parent = self.hops.all()[at].parent;
            let orphaned = parent < ORPHAN && self.hops[parent].place == Place::Dead;
            if orphaned && self.hops.all()[at].place != Place::Free {
                self.hops.all_mut()[at].parent = ORPHAN;
            }
        }
        for at in doomed {
            self.settle(at, Outcome::Lost);
        }
    }

    /// Empties servers and queue of a pod.
    fn clear_servers(&mut self, number: u32) {
        let pod = &mut self.pods[number as usize];
        let service = &mut self.services[usize::from(pod.service)];
        pod.touch(self.now);
        if service.shared {
            let beyond = pod.busy.saturating_sub(service.concurrency);
            service.queued -= beyond;
            for _ in 0..beyond {
                self.queued.fall(self.now);
            }
            pod.sharers.clear();
            pod.shared_epoch = pod.shared_epoch.wrapping_add(1);
            pod.shared_at = f64::INFINITY;
        } else {
            let slots = pod.first_slot..pod.first_slot + service.concurrency;
            for at in slots.clone() {
                let slot = &mut self.slots[at as usize];
                slot.finish = f64::INFINITY;
                slot.epoch = slot.epoch.wrapping_add(1);
                slot.hop = if at + 1 < slots.end { at + 1 } else { NONE };
            }
            pod.free_slot = pod.first_slot;
        }
        (pod.busy, pod.working, pod.waiting, pod.alive) = (0, 0, 0, 0);
        (pod.head, pod.tail) = (NONE, NONE);
        self.set_speed(number);
    }

    /// Picks `count` ready pods of a service at random.
    pub(super) fn random_ready(&mut self, service: usize, count: u32) -> Vec<u32> {
        let mut ready = self.services[service].ready.clone();
        ready.sort_unstable();
        let count = (count as usize).min(ready.len());
        for i in 0..count {
            let j = self.streams.faults.gen_range(i..ready.len());
            ready.swap(i, j);
        }
        ready.truncate(count);
        ready
    }
}
