//! Nodes: where pods fit by their requests, and what is left of a processor that too many use.

use super::{
    Emulator,
    hop::NONE,
    pod::Life,
    queue::{Event, Kind},
};
use crate::scenario::Scenario;

/// Time between two divisions of the processors of crowded nodes: the period of the kernel's
/// bandwidth control.
const SHARE_PERIOD_S: f64 = 0.1;
/// Changes of a node's share up to this are not worth moving events for.
const SHARE_STEP: f64 = 0.01;
/// Rounding of sums of requests.
const FITS: f64 = 1e-9;

/// One machine.
#[derive(Clone, Debug)]
pub(super) struct Node {
    cores: f64,
    memory_mib: f64,
    /// Sums of requests of its pods.
    cores_taken: f64,
    memory_taken: f64,
    /// Sum of CPU limits of its pods: it can be crowded only where this exceeds `cores`.
    cores_limit: f64,
    /// Processor time that its pods want, as last counted.
    wanted: f64,
    /// Share of it that they get.
    share: f64,
}

/// The machines of a scenario.
pub(super) fn nodes(scenario: &Scenario) -> Vec<Node> {
    scenario
        .nodes
        .iter()
        .flat_map(|pool| {
            let node = Node {
                cores: pool.cpu.millicores() / 1000.0,
                memory_mib: pool.memory.mebibytes(),
                cores_taken: 0.0,
                memory_taken: 0.0,
                cores_limit: 0.0,
                wanted: 0.0,
                share: 1.0,
            };
            (0..pool.count).map(move |_| node.clone())
        })
        .collect()
}

impl Emulator {
    /// Puts every waiting pod that fits onto the node with most CPU left, oldest pod first. A pod
    /// that fits nowhere holds up nobody.
    pub(super) fn schedule(&mut self) {
        let mut at = 0;
        while let Some(&number) = self.unscheduled.get(at) {
            if let Some(node) = self.best_node(number) {
                self.unscheduled.remove(at);
                self.join_node(number, node);
                self.start_container(number);
            } else {
                at += 1;
            }
        }
    }

    fn best_node(&self, number: u32) -> Option<usize> {
        let service = &self.services[usize::from(self.pods[number as usize].service)];
        let left = |node: &Node| node.cores - node.cores_taken;
        let mut best: Option<usize> = None;
        for (at, node) in self.nodes.iter().enumerate() {
            let fits = left(node) + FITS >= service.cpu_request
                && node.memory_mib - node.memory_taken + FITS >= service.memory_request;
            if fits && best.is_none_or(|b| left(node) > left(&self.nodes[b])) {
                best = Some(at);
            }
        }
        best
    }

    fn join_node(&mut self, number: u32, at: usize) {
        let pod = &mut self.pods[number as usize];
        let service = &self.services[usize::from(pod.service)];
        let node = &mut self.nodes[at];
        pod.node = at as u32;
        node.cores_taken += service.cpu_request;
        node.memory_taken += service.memory_request;
        node.cores_limit += service.cpu_limit;
        self.placed.rise(self.now);
        self.reserved.change(self.now, service.cpu_request);
        if node.cores_limit > node.cores + FITS && !self.sharing {
            self.sharing = true;
            self.events
                .push(self.now + SHARE_PERIOD_S, Event::new(Kind::Share, 0, 0));
        }
    }

    pub(super) fn leave_node(&mut self, number: u32) {
        let pod = &mut self.pods[number as usize];
        if pod.node == NONE {
            return;
        }
        let service = &self.services[usize::from(pod.service)];
        let node = &mut self.nodes[pod.node as usize];
        pod.node = NONE;
        node.cores_taken -= service.cpu_request;
        node.memory_taken -= service.memory_request;
        node.cores_limit -= service.cpu_limit;
        self.placed.fall(self.now);
        self.reserved.change(self.now, -service.cpu_request);
    }

    /// Every crowded node divides its processors by what its pods want now.
    pub(super) fn on_share(&mut self) {
        for node in &mut self.nodes {
            node.wanted = 0.0;
        }
        for pod in self.pods.iter().filter(|p| p.node != NONE && p.runs()) {
            let node = &mut self.nodes[pod.node as usize];
            node.wanted += pod.cores / node.share;
        }
        self.sharing = false;
        for at in 0..self.nodes.len() {
            let node = &mut self.nodes[at];
            let crowded = node.cores_limit > node.cores + FITS;
            let share = if crowded && node.wanted > node.cores {
                node.cores / node.wanted
            } else {
                1.0
            };
            self.sharing |= crowded;
            if (share - node.share).abs() <= SHARE_STEP && (share < 1.0 || node.share == 1.0) {
                continue;
            }
            node.share = share;
            for number in 0..self.pods.len() as u32 {
                if self.pods[number as usize].node == at as u32 {
                    self.set_speed(number);
                }
            }
        }
        if self.sharing {
            self.events
                .push(self.now + SHARE_PERIOD_S, Event::new(Kind::Share, 0, 0));
        }
    }

    /// Sets a pod's speed from stress and the crowd on its node; work in service is stretched or
    /// shortened accordingly.
    pub(super) fn set_speed(&mut self, number: u32) {
        let pod = &mut self.pods[number as usize];
        let service = &self.services[usize::from(pod.service)];
        pod.touch(self.now);
        let share = if pod.node == NONE {
            1.0
        } else {
            self.nodes[pod.node as usize].share
        };
        let load = service.disturbance.cpu_load;
        let speed = (1.0 - load) * share;
        let faster = speed > pod.speed;
        pod.speed = speed;
        pod.stress_cores = if pod.runs() && pod.life != Life::Failing {
            service.cpu_limit * load * share
        } else {
            0.0
        };
        let (first, servers, working) = (pod.first_slot, service.concurrency, pod.working);
        let shared = service.shared;
        self.pace(number);
        if shared {
            self.expect_shared(number);
        } else if faster && working > 0 {
            self.expect_all(number, first..first + servers);
        }
    }

    /// Replaces the events of all busy servers of a pod by earlier ones.
    fn expect_all(&mut self, number: u32, slots: std::ops::Range<u32>) {
        let pod = &self.pods[number as usize];
        for at in slots {
            let slot = &mut self.slots[at as usize];
            if slot.finish < f64::INFINITY {
                slot.epoch = slot.epoch.wrapping_add(1);
                let left = (slot.finish - pod.clock).max(0.0);
                let event = Event::new(Kind::Done, at, slot.epoch);
                self.events.push(self.now + left * pod.slowness, event);
            }
        }
    }
}
