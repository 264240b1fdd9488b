//! Events in order of time.

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// The work in a server is done. Index: slot; epoch: the slot's.
    Done,
    /// The next request of a pod with processor sharing is done. Index: pod; epoch: its sharing's.
    Shared,
    /// A slow connection ends. Index: hop; epoch: the hop's.
    Hangup,
    /// A request delayed by the network reaches its service. Index: hop.
    Arrive,
    /// A caller notices that its request was lost. Index: hop.
    Lost,
    /// A client of the closed loop sends. Index: client; epoch: the client's.
    Send,
    /// A client of the closed loop gives up. Index: client; epoch: the client's.
    GiveUp,
    /// A service is scraped. Index: service.
    Scrape,
    /// A fault begins. Index: fault.
    Onset,
    /// A fault ends. Index: fault.
    Relief,
    /// A fault strikes again. Index: fault.
    Strike,
    /// A pod becomes ready. Index: pod; epoch: the pod's.
    Ready,
    /// A pod crashes by itself. Index: pod; epoch: the pod's.
    Crash,
    /// A pod's back-off ends. Index: pod; epoch: the pod's.
    Restart,
    /// A terminating pod runs out of time. Index: pod; epoch: the pod's.
    Drained,
    /// Nodes share out their processors anew.
    Share,
    /// The kernel looks for pods above their memory limit.
    OutOfMemory,
}

/// An event in 8 bytes: kind, 24 bits of epoch, index. An event whose epoch is no longer that of
/// its subject is void.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event(u64);

/// Epochs count modulo this.
const EPOCH_MASK: u32 = 0x00ff_ffff;

impl Event {
    #[inline]
    pub(super) fn new(kind: Kind, index: u32, epoch: u32) -> Self {
        Self((kind as u64) << 56 | u64::from(epoch & EPOCH_MASK) << 32 | u64::from(index))
    }

    /// Whether a subject's epoch is still the one that an event carries.
    #[inline]
    pub(super) fn same_epoch(subject: u32, carried: u32) -> bool {
        subject & EPOCH_MASK == carried
    }

    #[inline]
    pub(super) fn kind(self) -> Kind {
        const KINDS: [Kind; 17] = [
            Kind::Done,
            Kind::Shared,
            Kind::Hangup,
            Kind::Arrive,
            Kind::Lost,
            Kind::Send,
            Kind::GiveUp,
            Kind::Scrape,
            Kind::Onset,
            Kind::Relief,
            Kind::Strike,
            Kind::Ready,
            Kind::Crash,
            Kind::Restart,
            Kind::Drained,
            Kind::Share,
            Kind::OutOfMemory,
        ];
        KINDS[(self.0 >> 56) as usize]
    }

    #[inline]
    pub(super) fn index(self) -> usize {
        self.0 as u32 as usize
    }

    #[inline]
    pub(super) fn epoch(self) -> u32 {
        (self.0 >> 32) as u32 & EPOCH_MASK
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    time: f64,
    event: Event,
}

/// A 4-ary heap of 16-byte entries.
#[derive(Clone, Debug, Default)]
pub(super) struct EventQueue {
    heap: Vec<Entry>,
}

impl EventQueue {
    /// Instant of the next event; infinite where there is none.
    #[inline]
    pub(super) fn next_time(&self) -> f64 {
        self.heap.first().map_or(f64::INFINITY, |entry| entry.time)
    }

    #[inline]
    pub(super) fn push(&mut self, time: f64, event: Event) {
        let entry = Entry { time, event };
        let mut at = self.heap.len();
        self.heap.push(entry);
        while at > 0 {
            let parent = (at - 1) / 4;
            if self.heap[parent].time <= time {
                break;
            }
            self.heap[at] = self.heap[parent];
            at = parent;
        }
        self.heap[at] = entry;
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<(f64, Event)> {
        let last = self.heap.pop()?;
        let Some(&first) = self.heap.first() else {
            return Some((last.time, last.event));
        };
        let len = self.heap.len();
        let mut at = 0;
        loop {
            let child = 4 * at + 1;
            if child >= len {
                break;
            }
            let mut least = child;
            for other in child + 1..(child + 4).min(len) {
                if self.heap[other].time < self.heap[least].time {
                    least = other;
                }
            }
            if self.heap[least].time >= last.time {
                break;
            }
            self.heap[at] = self.heap[least];
            at = least;
        }
        self.heap[at] = last;
        Some((first.time, first.event))
    }

    /// Entries that it holds memory for.
    pub(super) fn capacity(&self) -> usize {
        self.heap.capacity()
    }
}
