//! Processor sharing: every request in a pod gets an equal part of its rate.
//!
//! The pod's clock shows the work that each request present has had, so the next to be done is the
//! one with the least reading to reach, whoever comes and goes meanwhile. One event per pod is
//! valid. It is replaced when the next end comes earlier, and moves itself when that comes later.

use super::{
    Emulator,
    hop::SHARE,
    pod::Sharer,
    queue::{Event, Kind},
    serve::DONE_S,
};

impl Emulator {
    /// A pod admits a request among the others.
    pub(super) fn share(&mut self, at: u32) {
        let work = self.bring_work(at);
        let hop = &mut self.hops[at];
        let service = &mut self.services[usize::from(hop.service)];
        let pod = &mut self.pods[hop.pod as usize];
        pod.busy += 1;
        if pod.busy > service.concurrency {
            // Beyond its servers a request does not wait, but makes all others wait as much.
            service.queued += 1;
            self.queued.rise(self.now);
        }
        hop.slot = SHARE;
        let Some(work) = work else {
            return;
        };
        pod.touch(self.now);
        pod.working += 1;
        pod.sharers.push(Sharer {
            finish: pod.clock + work,
            hop: at,
        });
        let number = hop.pod;
        self.pace(number);
        self.expect_shared(number);
    }

    /// The next request of a pod may be done.
    pub(super) fn on_shared(&mut self, number: u32, epoch: u32) {
        let pod = &mut self.pods[number as usize];
        if !Event::same_epoch(pod.shared_epoch, epoch) {
            return;
        }
        pod.shared_at = f64::INFINITY;
        pod.touch(self.now);
        let done = pod.sharers.peek().map(|next| next.finish - pod.clock);
        let ended = match done {
            Some(left) if left <= DONE_S => pod.sharers.pop(),
            _ => None,
        };
        if ended.is_some() {
            pod.working -= 1;
            self.pace(number);
        }
        self.expect_shared(number);
        if let Some(sharer) = ended {
            self.worked(sharer.hop);
        }
    }

    /// Sets pace and processor use from speed and requests present. The clock must be up to date.
    pub(super) fn pace(&mut self, number: u32) {
        let pod = &mut self.pods[number as usize];
        let service = &self.services[usize::from(pod.service)];
        let servers = f64::from(service.concurrency);
        let working = f64::from(pod.working);
        let busy = if service.shared {
            pod.pace = pod.speed * servers / working.max(1.0);
            if pod.working > 0 { servers } else { 0.0 }
        } else {
            pod.pace = pod.speed;
            working
        };
        pod.slowness = 1.0 / pod.pace;
        pod.cores = busy * service.server_cores * pod.speed + pod.stress_cores;
    }

    /// Makes sure that an event comes no later than the pod's next end.
    pub(super) fn expect_shared(&mut self, number: u32) {
        let pod = &mut self.pods[number as usize];
        let Some(next) = pod.sharers.peek() else {
            return;
        };
        let at = self.now + (next.finish - pod.clock).max(0.0) * pod.slowness;
        if at < pod.shared_at {
            pod.shared_epoch = pod.shared_epoch.wrapping_add(1);
            pod.shared_at = at;
            let event = Event::new(Kind::Shared, number, pod.shared_epoch);
            self.events.push(at, event);
        }
    }
}
