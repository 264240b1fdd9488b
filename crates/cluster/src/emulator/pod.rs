//! One pod: servers, queue, processor clock, and its life as the API server shows it.

use std::{cmp::Ordering, collections::BinaryHeap};

use super::hop::NONE;

/// State in the life of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Fits on no node yet.
    Unscheduled,
    /// On a node, its container not ready yet.
    Starting,
    /// Takes traffic.
    Ready,
    /// Made to stand still by a fault.
    Failing,
    /// Crashed; its container is started again later.
    BackOff,
    /// Takes no more traffic and finishes what it has.
    Terminating,
    /// No more.
    Gone,
}

/// A request in a pod with processor sharing, by the reading of the pod's clock at which its work
/// is done. Ordered so that the greatest is the first to be done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sharer {
    pub(super) finish: f64,
    pub(super) hop: u32,
}

impl Eq for Sharer {}

impl Ord for Sharer {
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .finish
            .total_cmp(&self.finish)
            .then(other.hop.cmp(&self.hop))
    }
}

impl PartialOrd for Sharer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// One server of a pod with discipline `fifo`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// Reading of the pod's clock at which the work is done; infinite while no work is being done.
    pub(super) finish: f64,
    /// The hop that holds it; the next free slot, or `NONE`, while it is free.
    pub(super) hop: u32,
    pub(super) pod: u32,
    pub(super) epoch: u32,
}

/// What serving reads and writes.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    pub(super) service: u16,
    pub(super) life: Life,
    /// Place among the ready pods of its service, or `NONE`.
    pub(super) rank: u32,
    /// Servers held (`fifo`); requests admitted and not yet freed (`ps`).
    pub(super) busy: u32,
    /// Of these, the ones that compute.
    pub(super) working: u32,
    /// Requests in the queue.
    pub(super) waiting: u32,
    pub(super) head: u32,
    pub(super) tail: u32,
    pub(super) free_slot: u32,
    /// Hops here in any state, waiting for calls too.
    pub(super) alive: u32,

    /// The clock: seconds of work that one server has done at full speed.
    pub(super) clock: f64,
    /// When clock and CPU time were last brought up to date.
    pub(super) touched: f64,
    /// Speed of the clock.
    pub(super) pace: f64,
    /// One over it.
    pub(super) slowness: f64,
    /// Cores in use.
    pub(super) cores: f64,
    /// CPU time used, in core seconds.
    pub(super) core_s: f64,
    /// Of these, used by stress.
    pub(super) stress_cores: f64,
    /// Share of full speed that stress and contention leave.
    pub(super) speed: f64,

    pub(super) first_slot: u32,
    pub(super) sharers: BinaryHeap<Sharer>,
    pub(super) shared_epoch: u32,
    /// Instant of the pod's valid `Shared` event; infinite where there is none.
    pub(super) shared_at: f64,

    /// Voids the events of former states.
    pub(super) epoch: u32,
    pub(super) node: u32,
    /// Number within the service, unique over the episode.
    pub(super) number: u64,
    pub(super) started: Option<f64>,
    /// Instant of the last change of the Ready condition.
    pub(super) ready_changed: f64,
    /// When the container last started.
    pub(super) container_started: f64,
    /// Crashes since the last quiet time.
    pub(super) crashes: u32,
    /// CPU samples that scrapes took, newest last: instant and CPU time.
    pub(super) samples: Vec<(f64, f64)>,
}

impl Pod {
    /// A record without a life, whose servers start at `first_slot`.
    pub(super) fn vacant(service: usize, first_slot: u32) -> Self {
        Self {
            service: service as u16,
            life: Life::Gone,
            rank: NONE,
            busy: 0,
            working: 0,
            waiting: 0,
            head: NONE,
            tail: NONE,
            free_slot: NONE,
            alive: 0,
            clock: 0.0,
            touched: 0.0,
            pace: 1.0,
            slowness: 1.0,
            cores: 0.0,
            core_s: 0.0,
            stress_cores: 0.0,
            speed: 1.0,
            first_slot,
            sharers: BinaryHeap::new(),
            shared_epoch: 0,
            shared_at: f64::INFINITY,
            epoch: 0,
            node: NONE,
            number: 0,
            started: None,
            ready_changed: 0.0,
            container_started: 0.0,
            crashes: 0,
            samples: Vec::new(),
        }
    }

    /// Brings clock and CPU time up to `now`.
    #[inline]
    pub(super) fn touch(&mut self, now: f64) {
        let span = now - self.touched;
        self.clock += span * self.pace;
        self.core_s += span * self.cores;
        self.touched = now;
    }

    /// Enters `life`; events of the state before are void.
    pub(super) fn enter(&mut self, life: Life) {
        self.life = life;
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// Whether its container runs.
    pub(super) fn runs(&self) -> bool {
        matches!(
            self.life,
            Life::Starting | Life::Ready | Life::Failing | Life::Terminating
        )
    }
}
