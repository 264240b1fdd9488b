//! Pods of a recorded run: ages from the counts that were seen.

use super::{Pods, older};
use crate::given::Given;

/// Age by which a pod that has a node is as good as surely ready.
const NEVER: usize = 8;

/// Counts as the API server shows them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) ready: f32,
    pub(crate) pending: f32,
    pub(crate) failed: f32,
}

impl Pods {
    /// Follows what was observed at the end of a window whose action and faults are known, after
    /// [`act`](super::act). What cannot be seen (ages, which of the pending ones have a node) is
    /// carried over. Returns the ready pods right after the action.
    pub(crate) fn follow(&mut self, given: &Given, seen: Seen) -> f32 {
        let at_start = if given.kills > 0.0 {
            self.ready
        } else {
            self.ready.min(seen.ready)
        };
        // Same shift as in `start`, nobody ready yet.
        let before = std::mem::take(&mut self.starting);
        for (age, count) in before.into_iter().enumerate() {
            self.starting[older(age)] += count;
        }
        self.kill(given.kills);
        self.failing_given = given.failing;
        // The oldest are taken to be the ones that became ready or vanished.
        let mut excess = self.pending() - seen.pending;
        for starting in self.starting.iter_mut().rev() {
            let taken = starting.min(excess.max(0.0));
            *starting -= taken;
            excess -= taken;
        }
        if excess > 0.0 {
            self.unscheduled = (self.unscheduled - excess).max(0.0);
        } else {
            self.starting[1] -= excess;
        }
        // Nothing starts for that long: these never had a node.
        for starting in &mut self.starting[NEVER..] {
            self.unscheduled += std::mem::take(starting);
        }
        self.ready = seen.ready;
        self.failing = seen.failed.min(given.failing);
        self.back_off = seen.failed - self.failing;
        at_start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::{Nodes, ServicePlan},
        pods::act,
    };

    #[test]
    fn following_observations_keeps_the_counts_seen() {
        let mut pods = Pods::all_ready(3.0);
        let seen = Seen {
            ready: 4.0,
            pending: 1.0,
            failed: 0.0,
        };
        let plan = [ServicePlan::alone("a")];
        let nodes = Nodes {
            count: 1.0,
            millicores: 8000.0,
            mib: 16_384.0,
        };
        act(&plan, nodes, std::slice::from_mut(&mut pods), &[5]);
        pods.follow(&Given::default(), seen);
        assert_eq!((pods.ready, pods.pending(), pods.total()), (4.0, 1.0, 5.0));
        assert_eq!(pods.starting[2], 1.0);
    }
}
