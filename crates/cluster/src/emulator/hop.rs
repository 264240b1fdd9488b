//! Hops: a request at one service. One record a hop, in a slab with a free list.

/// No index.
pub(super) const NONE: u32 = u32::MAX;
/// [`Hop::parent`] of a hop that a client sent.
pub(super) const CLIENT: u32 = NONE - 1;
/// [`Hop::parent`] of a hop whose caller died: it goes on, and its answer goes nowhere.
pub(super) const ORPHAN: u32 = NONE - 2;

/// Class of legitimate requests.
pub(super) const LEGITIMATE: u8 = 0;
/// Class of connections that hold a server and send nothing; other classes are attacks.
pub(super) const SLOW: u8 = u8::MAX;
/// Payloads of attacks that classes tell apart: all but the two above.
pub(crate) const PAYLOADS: usize = SLOW as usize - 1;

/// [`Hop::slot`] of a request admitted to a pod with processor sharing.
pub(super) const SHARE: u32 = NONE - 1;

/// Where a hop is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: the record is free.
    #[default]
    Free,
    /// On the way to a pod, or lost on it.
    Network,
    /// In a pod's queue.
    Queue,
    /// In a server.
    Service,
    /// Waiting for the answer of a call.
    Call,
    /// Its pod died; about to be settled.
    Dead,
}

/// A request at one service, in one cache line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hop {
    /// When its caller or client sent it.
    pub(super) sent: f64,
    /// When it arrived at its service.
    pub(super) arrived: f64,
    /// When its client gives up; of a slow connection, how long it is held.
    pub(super) deadline: f64,
    /// The hop that called, or [`CLIENT`] or [`ORPHAN`].
    pub(super) parent: u32,
    /// Next in the pod's queue, or in the free list.
    pub(super) next: u32,
    /// Its pod, or [`NONE`].
    pub(super) pod: u32,
    /// The server it holds, or [`NONE`].
    pub(super) slot: u32,
    /// The closed-loop client that sent it, or [`NONE`].
    pub(super) client: u32,
    /// Counts how often the record was reused.
    pub(super) epoch: u32,
    /// Its service.
    pub(super) service: u16,
    /// The call it is at.
    pub(super) call: u16,
    /// Tries of that call after the first.
    pub(super) tries: u16,
    /// Legitimate, slow, or which attack.
    pub(super) class: u8,
    /// Where it is.
    pub(super) place: Place,
}

impl Hop {
    /// A request on its way, sent at `now`.
    #[inline]
    pub(super) fn new(service: usize, class: u8, now: f64, deadline: f64) -> Self {
        Self {
            sent: now,
            arrived: now,
            deadline,
            parent: CLIENT,
            next: NONE,
            pod: NONE,
            slot: NONE,
            client: NONE,
            epoch: 0,
            service: service as u16,
            call: 0,
            tries: 0,
            class,
            place: Place::Network,
        }
    }
}

/// Of a hop that a client or attacker sent: who, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    pub(super) class: u8,
    pub(super) client: u32,
    pub(super) sent: f64,
}

impl Sender {
    #[inline]
    pub(super) fn of(hop: &Hop) -> Self {
        Self {
            class: hop.class,
            client: hop.client,
            sent: hop.sent,
        }
    }
}

/// How a hop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Well.
    Answered,
    /// Its work, or a call, failed.
    Failed,
    /// Its client gave up before it was answered.
    Late,
    /// No pod would take it.
    Refused,
    /// It was lost on the network, or died with its pod.
    Lost,
}

/// All hops.
#[derive(Clone, Debug)]
pub(super) struct Hops {
    all: Vec<Hop>,
    free: u32,
}

impl Hops {
    pub(super) fn new() -> Self {
        Self {
            all: Vec::with_capacity(1024),
            free: NONE,
        }
    }

    #[inline]
    pub(super) fn add(&mut self, mut hop: Hop) -> u32 {
        if self.free == NONE {
            self.all.push(hop);
            return (self.all.len() - 1) as u32;
        }
        let at = self.free;
        let record = &mut self.all[at as usize];
        self.free = record.next;
        hop.epoch = record.epoch;
        *record = hop;
        at
    }

    #[inline]
    pub(super) fn remove(&mut self, at: u32) {
        let record = &mut self.all[at as usize];
        record.place = Place::Free;
        record.epoch = record.epoch.wrapping_add(1);
        record.next = self.free;
        self.free = at;
    }

    pub(super) fn capacity(&self) -> usize {
        self.all.capacity()
    }

    /// Every record, free ones too.
    pub(super) fn all(&self) -> &[Hop] {
        &self.all
    }

    /// Every record, free ones too.
    pub(super) fn all_mut(&mut self) -> &mut [Hop] {
        &mut self.all
    }
}

impl std::ops::Index<u32> for Hops {
    type Output = Hop;
    #[inline]
    fn index(&self, at: u32) -> &Hop {
        &self.all[at as usize]
    }
}

impl std::ops::IndexMut<u32> for Hops {
    #[inline]
    fn index_mut(&mut self, at: u32) -> &mut Hop {
        &mut self.all[at as usize]
    }
}
