//! Which pods find a node.

use super::Pods;
use crate::plan::{Nodes, ServicePlan};

impl Pods {
    /// Moves `placed` unscheduled pods onto nodes, where they start.
    fn place(&mut self, placed: f32, age: usize) {
        self.unscheduled -= placed;
        self.starting[age] += placed;
        if self.unscheduled <= 0.0 {
            self.waiting = 0.0;
        }
    }
}

/// Puts waiting pods onto nodes as far as they fit, the longest waiting service first.
#[inline]
pub(super) fn place(plans: &[ServicePlan], nodes: Nodes, pods: &mut [Pods]) {
    if pods.iter().all(|p| p.unscheduled <= 0.0) {
        return;
    }
    place_waiting(plans, nodes, pods);
}

/// The rare part of [`place`].
fn place_waiting(plans: &[ServicePlan], nodes: Nodes, pods: &mut [Pods]) {
    let (mut millicores, mut mib) = (nodes.millicores, nodes.mib);
    for (plan, pods) in plans.iter().zip(pods.iter()) {
        millicores -= plan.request_millicores * pods.placed();
        mib -= plan.request_mib * pods.placed();
    }
    // Oldest first; services in their order among equals. Few services: selection is enough.
    let mut last = f32::INFINITY;
    loop {
        let next = pods
            .iter()
            .filter(|p| p.unscheduled > 0.0 && p.waiting < last)
            .map(|p| p.waiting)
            .fold(f32::NEG_INFINITY, f32::max);
        if next == f32::NEG_INFINITY {
            break;
        }
        for (plan, pods) in plans.iter().zip(pods.iter_mut()) {
            if pods.unscheduled <= 0.0 || pods.waiting != next {
                continue;
            }
            // A node's last free corner is too small for a pod: half a request per further node.
            let corner = (nodes.count - 1.0) * 0.5;
            let fits = (millicores / plan.request_millicores - corner)
                .min(mib / plan.request_mib - corner)
                .max(0.0)
                .floor();
            let placed = pods.unscheduled.min(fits);
            millicores -= plan.request_millicores * placed;
            mib -= plan.request_mib * placed;
            pods.place(placed, 0);
        }
        last = next;
    }
    for pods in pods.iter_mut().filter(|p| p.unscheduled > 0.0) {
        pods.waiting += 1.0;
    }
}
