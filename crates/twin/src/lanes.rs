//! Games side by side: one number of each in a [`Column`], so that a loop over games becomes vector
//! instructions.
//!
//! Code over columns is generic over their length: [`LANES`] for games that step together, 1 where
//! a recorded run is walked. A loop over lanes holds no branch, no call that is not inlined, and no
//! fused operation, so that every instruction set and every length gives the same bits. Everything
//! that such loops are in is `#[inline(always)]`: it takes on the instruction set of its caller.

use karma_cluster::ServiceMetrics;

use crate::{
    given::Given,
    plan::Nodes,
    pods::{Change, Pods},
};

/// Games that are computed together: as many as the rows of a network's panels.
pub(crate) const LANES: usize = karma_nn::kernel::LANES;

/// One number of each of `L` games.
pub(crate) type Column<const L: usize> = [f32; L];

/// The column of what an expression gives for every lane.
macro_rules! column {
    (|$lane:ident| $value:expr) => {{
        let mut out = [0.0_f32; L];
        for $lane in 0..L {
            out[$lane] = $value;
        }
        out
    }};
}
pub(crate) use column;

/// A struct of columns; `of` another struct, that one's fields in columns.
macro_rules! columns {
    ($(#[$doc:meta])* $name:ident { $($(#[$of_field:meta])* $field:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name<const L: usize> {
            $($(#[$of_field])* pub(crate) $field: Column<L>),+
        }

        impl<const L: usize> $name<L> {
            pub(crate) const ZERO: Self = Self { $($field: [0.0; L]),+ };
        }
    };
    ($(#[$doc:meta])* $name:ident of $row:ident { $($field:ident),+ $(,)? }) => {
        columns! { $(#[$doc])* $name { $($field),+ } }

        impl<const L: usize> $name<L> {
            /// Fills one lane.
            #[inline(always)]
            fn set(&mut self, lane: usize, row: &$row) {
                $(self.$field[lane] = row.$field;)+
            }
        }
    };
}
pub(crate) use columns;

columns! {
    /// [`ServiceMetrics`] in columns.
    Metrics of ServiceMetrics {
        replicas_ready,
        replicas_failed,
        replicas_pending,
        queued,
        cpu_millicores,
        memory_mib,
        in_rate_rps,
        out_rate_rps,
        latency_p50_ms,
        latency_p95_ms,
        latency_p99_ms,
        errors_ps,
    }
}

columns! {
    /// [`ServiceMetrics`] of the window before, as far as they are read.
    Earlier of ServiceMetrics {
        replicas_ready,
        queued,
        in_rate_rps,
        out_rate_rps,
        latency_p95_ms,
        errors_ps,
    }
}

columns! {
    /// [`Given`] in columns, as far as queues feel it.
    Faults of Given {
        kills,
        failing,
        cpu_stress,
        memory_mib,
        delay_ms,
        loss,
        slow,
        payload,
    }
}

columns! {
    /// Pods at the end of the window in columns, and ready ones right after the action.
    PodCounts {
        ready,
        pending,
        failed,
        /// Those that hold room on a node.
        placed,
        ready_at_start,
    }
}

/// One service of `L` games.
#[derive(Clone, Debug)]
pub(crate) struct Station<const L: usize> {
    pub(crate) earlier: Earlier<L>,
    pub(crate) now: Metrics<L>,
    pub(crate) desired: Column<L>,
    pub(crate) given: Faults<L>,
    pub(crate) pods: PodCounts<L>,
}

/// `L` games at one instant, as the queueing model and the network read them.
#[derive(Clone, Debug)]
pub(crate) struct Situation<const L: usize> {
    /// One per service.
    pub(crate) stations: Vec<Station<L>>,
    /// What the nodes hold.
    pub(crate) millicores: Column<L>,
}

/// One game at one instant: an entry per service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instant<'a> {
    pub(crate) earlier: &'a [ServiceMetrics],
    pub(crate) now: &'a [ServiceMetrics],
    pub(crate) desired: &'a [u32],
    pub(crate) given: &'a [Given],
    /// Pods at the end of the window, and what it did to them.
    pub(crate) pods: &'a [Pods],
    pub(crate) changes: &'a [Change],
    pub(crate) nodes: Nodes,
}

impl<const L: usize> Station<L> {
    const ZERO: Self = Self {
        earlier: Earlier::ZERO,
        now: Metrics::ZERO,
        desired: [0.0; L],
        given: Faults::ZERO,
        pods: PodCounts::ZERO,
    };
}

impl<const L: usize> Situation<L> {
    /// Idle games of `services` services: lanes that no game takes stay like that.
    pub(crate) fn idle(services: usize) -> Self {
        Self {
            stations: vec![Station::ZERO; services],
            millicores: [0.0; L],
        }
    }

    /// Puts a game into a lane.
    #[inline(always)]
    pub(crate) fn set(&mut self, lane: usize, game: &Instant<'_>) {
        for (service, station) in self.stations.iter_mut().enumerate() {
            station.earlier.set(lane, &game.earlier[service]);
            station.now.set(lane, &game.now[service]);
            station.desired[lane] = game.desired[service] as f32;
            station.given.set(lane, &game.given[service]);
            let (pods, counts) = (&game.pods[service], &mut station.pods);
            let (pending, failed) = (pods.pending(), pods.failed());
            counts.ready[lane] = pods.ready;
            counts.pending[lane] = pending;
            counts.failed[lane] = failed;
            counts.placed[lane] = pods.ready + failed + pending - pods.unscheduled;
            counts.ready_at_start[lane] = game.changes[service].ready_at_start;
        }
        self.millicores[lane] = game.nodes.millicores;
    }
}
