//! Pods: how they come, go, start, crash and are killed, window by window.
//!
//! Only counts that the API server shows are used. How long pods take to start is a table of
//! hazards by age, counted on the trace.

mod follow;
mod place;

use serde::{Deserialize, Serialize};

pub(crate) use follow::Seen;
use place::place;

use crate::{
    dice::Dice,
    given::Given,
    plan::{Nodes, ServicePlan},
};

/// Ages of starting pods, in half windows: pods asked for by a controller have even ages, pods that
/// replace a killed one in the middle of a window odd ages.
pub(crate) const AGES: usize = 12;

/// Pods of one service. Whole numbers in a sampled game, expectations in a mean roll-out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pods {
    /// Taking traffic.
    pub(crate) ready: f32,
    /// Created, on no node.
    pub(crate) unscheduled: f32,
    /// Windows since the oldest of them was created.
    pub(crate) waiting: f32,
    /// Crashed, waiting to be started again.
    pub(crate) back_off: f32,
    /// Standing still on purpose.
    pub(crate) failing: f32,
    /// How many stood still on purpose when last looked at.
    pub(crate) failing_given: f32,
    /// Starting, by age in half windows.
    pub(crate) starting: [f32; AGES],
}

/// How pods of one service behave; counted on the trace.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PodHazards {
    /// Probability that a pod that has been starting for so many half windows is ready one window
    /// later.
    pub(crate) ready: [f32; AGES],
    /// Probability that a ready pod crashes within a window.
    pub(crate) crash: f32,
    /// Probability that a crashed pod is started again within a window.
    pub(crate) restart: f32,
}

/// What a window did to the pods of one service.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Change {
    /// Ready right after the controller's action.
    pub(crate) ready_at_start: f32,
    /// Containers started again.
    pub(crate) restarts: f32,
}

impl Pods {
    /// Pods that exist.
    #[inline]
    pub(crate) fn total(&self) -> f32 {
        self.ready + self.failed() + self.pending()
    }

    /// Unscheduled or starting.
    #[inline]
    pub(crate) fn pending(&self) -> f32 {
        let mut sum = self.unscheduled;
        for starting in self.starting {
            sum += starting;
        }
        sum
    }

    /// Crashed or standing still.
    #[inline]
    pub(crate) fn failed(&self) -> f32 {
        self.back_off + self.failing
    }

    /// Pods that hold room on a node.
    #[inline]
    pub(crate) fn placed(&self) -> f32 {
        self.total() - self.unscheduled
    }

    /// `ready` pods and no others.
    pub(crate) fn all_ready(ready: f32) -> Self {
        Self {
            ready,
            ..Self::default()
        }
    }

    /// Whole numbers of pods, as many in all as before.
    pub(crate) fn round(&mut self) {
        let total = self.total().round();
        self.ready = self.ready.round();
        self.back_off = self.back_off.round();
        self.failing = self.failing.round();
        for starting in &mut self.starting {
            *starting = starting.round();
        }
        let placed = self.placed();
        self.unscheduled = (total - placed).max(0.0);
        self.starting[0] += (total - placed).min(0.0).max(-self.starting[0]);
    }

    /// The controller's action: creates or deletes pods. The ones wanted least go first:
    /// unscheduled, crashed, standing still, the youngest that start, ready.
    #[inline]
    pub(crate) fn scale(&mut self, desired: f32) {
        let missing = desired - self.total();
        if missing >= 0.0 {
            self.unscheduled += missing;
            return;
        }
        let mut excess = -missing;
        let mut take = |from: &mut f32| {
            let taken = from.min(excess);
            *from -= taken;
            excess -= taken;
        };
        take(&mut self.unscheduled);
        take(&mut self.back_off);
        take(&mut self.failing);
        for starting in &mut self.starting {
            take(starting);
        }
        take(&mut self.ready);
    }

    /// One window passes for the pods that start: some become ready, the others grow older.
    #[inline]
    fn start(&mut self, hazards: &PodHazards, dice: Option<&mut Dice>) {
        let before = self.starting;
        if before == [0.0; AGES] {
            return;
        }
        let mut after = [0.0; AGES];
        let mut dice = dice;
        for (age, &count) in before.iter().enumerate() {
            if count <= 0.0 {
                continue;
            }
            let ready = match &mut dice {
                Some(dice) => dice.binomial(count, hazards.ready[age]),
                None => count * hazards.ready[age],
            };
            self.ready += ready;
            after[older(age)] += count - ready;
        }
        self.starting = after;
    }

    /// Kills `count` ready pods; their Deployment replaces them within the window.
    #[inline]
    fn kill(&mut self, count: f32) {
        let killed = count.min(self.ready);
        self.ready -= killed;
        self.starting[1] += killed;
    }

    /// Makes pods stand still, or serve again, as `given` says.
    #[inline]
    fn stand_still(&mut self, given: f32) {
        if given > self.failing_given {
            let more = (given - self.failing_given).min(self.ready);
            self.ready -= more;
            self.failing += more;
        } else if given < self.failing_given {
            let back = self.failing * (1.0 - given / self.failing_given);
            self.failing -= back;
            self.ready += back;
        }
        self.failing_given = given;
    }

    /// Crashes and restarts.
    #[inline]
    fn crash(&mut self, hazards: &PodHazards, crash: f32, dice: Option<&mut Dice>) -> f32 {
        if crash <= 0.0 && self.back_off <= 0.0 {
            return 0.0;
        }
        let (crashed, restarted) = match dice {
            Some(dice) => (
                dice.binomial(self.ready, crash),
                dice.binomial(self.back_off, hazards.restart),
            ),
            None => (self.ready * crash, self.back_off * hazards.restart),
        };
        self.ready -= crashed;
        self.back_off += crashed - restarted;
        self.starting[1] += restarted;
        restarted
    }
}

/// The age one window later.
#[inline]
pub(crate) fn older(age: usize) -> usize {
    if age + 2 < AGES { age + 2 } else { age }
}

/// The controller's action in one game: pods are created, deleted and put onto nodes.
#[inline]
pub(crate) fn act(plans: &[ServicePlan], nodes: Nodes, pods: &mut [Pods], desired: &[u32]) {
    for (pods, desired) in pods.iter_mut().zip(desired) {
        pods.scale(*desired as f32);
    }
    place(plans, nodes, pods);
}

/// Lets one window pass for the pods of one game. All hold one entry per service.
#[expect(
    clippy::too_many_arguments,
    reason = "parts of one game, borrowed apart"
)]
pub(crate) fn advance<'h>(
    plans: &[ServicePlan],
    hazards: impl Iterator<Item = &'h PodHazards>,
    nodes: Nodes,
    pods: &mut [Pods],
    desired: &[u32],
    given: &[Given],
    mut dice: Option<&mut Dice>,
    changes: &mut [Change],
) {
    act(plans, nodes, pods, desired);
    for (service, (pods, hazards)) in pods.iter_mut().zip(hazards).enumerate() {
        let given = &given[service];
        let ready_at_start = pods.ready;
        pods.start(hazards, dice.as_deref_mut());
        if given.kills > 0.0 {
            pods.kill(given.kills);
        }
        if given.failing != pods.failing_given {
            pods.stand_still(given.failing);
        }
        let plan = &plans[service];
        let crash = if plan.request_mib + given.memory_mib > plan.limit_mib {
            1.0
        } else {
            hazards.crash
        };
        let restarts = pods.crash(hazards, crash, dice.as_deref_mut());
        changes[service] = Change {
            ready_at_start,
            restarts,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HAZARDS: PodHazards = PodHazards {
        ready: [0.2, 0.5, 0.9, 0.9, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        crash: 0.0,
        restart: 0.5,
    };

    fn plan() -> ServicePlan {
        ServicePlan::alone("a")
    }

    fn step(pods: &mut Pods, desired: u32, given: Given, nodes: Nodes) -> Change {
        let mut changes = [Change::default()];
        let mut dice = Dice(3);
        advance(
            &[plan()],
            std::iter::once(&HAZARDS),
            nodes,
            std::slice::from_mut(pods),
            &[desired],
            &[given],
            Some(&mut dice),
            &mut changes,
        );
        changes[0]
    }

    const ROOM: Nodes = Nodes {
        count: 1.0,
        millicores: 8000.0,
        mib: 16_384.0,
    };

    #[test]
    fn pods_start_within_windows_and_leave_at_once() {
        let mut pods = Pods::all_ready(2.0);
        step(&mut pods, 8, Given::default(), ROOM);
        assert!(pods.total() == 8.0 && pods.ready < 8.0);
        for _ in 0..4 {
            step(&mut pods, 8, Given::default(), ROOM);
        }
        assert_eq!(pods, Pods::all_ready(8.0));
        let change = step(&mut pods, 3, Given::default(), ROOM);
        assert_eq!((pods.ready, change.ready_at_start), (3.0, 3.0));
    }

    #[test]
    fn what_does_not_fit_stays_pending() {
        let mut pods = Pods::all_ready(2.0);
        let nodes = Nodes {
            millicores: 2600.0,
            ..ROOM
        };
        for _ in 0..9 {
            step(&mut pods, 9, Given::default(), nodes);
        }
        assert_eq!((pods.ready, pods.unscheduled), (5.0, 4.0));
    }

    #[test]
    fn killed_pods_are_replaced_and_stopped_ones_come_back() {
        let mut pods = Pods::all_ready(4.0);
        let kill = Given {
            kills: 1.0,
            ..Given::default()
        };
        step(&mut pods, 4, kill, ROOM);
        assert_eq!((pods.ready, pods.total()), (3.0, 4.0));
        let fail = Given {
            failing: 2.0,
            ..Given::default()
        };
        let mut pods = Pods::all_ready(4.0);
        step(&mut pods, 4, fail, ROOM);
        assert_eq!((pods.ready, pods.failed()), (2.0, 2.0));
        step(&mut pods, 4, Given::default(), ROOM);
        assert_eq!((pods.ready, pods.failed()), (4.0, 0.0));
    }
}
