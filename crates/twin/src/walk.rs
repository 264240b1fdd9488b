//! Walking along recorded runs: every transition with the pods that explain its counts.

use karma_cluster::ServiceMetrics;

use crate::{
    lanes::Instant,
    physics::Physics,
    pods::{self, Change, Pods, Seen},
    runs::Run,
};

/// One recorded transition of all services: from an instant to the next.
pub(crate) struct Transition<'a> {
    /// The instant that it starts from.
    pub(crate) t: usize,
    /// What a model knows: metrics then, pods after the window.
    pub(crate) from: Instant<'a>,
    pub(crate) next: &'a [ServiceMetrics],
    /// Pods before.
    pub(crate) pods_before: &'a [Pods],
}

/// Calls `visit` with every transition of `run`.
pub(crate) fn transitions(physics: &Physics, run: &Run, mut visit: impl FnMut(&Transition<'_>)) {
    let nodes = physics.plan.nodes_of(run.context.as_deref());
    let mut pods: Vec<Pods> = run
        .at(0)
        .iter()
        .map(|m| {
            Pods::all_ready(if m.replicas_ready.is_nan() {
                1.0
            } else {
                m.replicas_ready
            })
        })
        .collect();
    let mut before = pods.clone();
    let mut expected = pods.clone();
    let mut changes = vec![Change::default(); run.services];
    let mut desired = Vec::new();
    for t in 0..run.len().saturating_sub(1) {
        let (next, given) = (run.at(t + 1), run.given(t + 1));
        run.desired(t + 1, &mut desired);
        before.copy_from_slice(&pods);
        expected.copy_from_slice(&pods);
        pods::advance(
            &physics.plan.services,
            physics.hazards(),
            nodes,
            &mut expected,
            &desired,
            given,
            None,
            &mut changes,
        );
        pods::act(&physics.plan.services, nodes, &mut pods, &desired);
        for (service, pods) in pods.iter_mut().enumerate() {
            let m = &next[service];
            if m.replicas_ready.is_nan() || m.replicas_pending.is_nan() {
                // Not seen: what was to be expected.
                *pods = expected[service];
                continue;
            }
            let seen = Seen {
                ready: m.replicas_ready,
                pending: m.replicas_pending,
                failed: if m.replicas_failed.is_nan() {
                    0.0
                } else {
                    m.replicas_failed
                },
            };
            changes[service].ready_at_start = pods.follow(&given[service], seen);
        }
        visit(&Transition {
            t,
            from: Instant {
                earlier: run.at(t.saturating_sub(1)),
                now: run.at(t),
                desired: &desired,
                given,
                pods: &pods,
                changes: &changes,
                nodes,
            },
            next,
            pods_before: &before,
        });
    }
}
