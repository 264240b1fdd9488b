//! Recorded transitions, exactly: the paper's first model.
//!
//! Where the whole cause of a window was recorded before (metrics, arrivals, desired replicas, what
//! was done), what followed then is what follows now. Measured metrics are real numbers, so that this
//! hardly ever happens; fidelity counts how often. Games do not look up.

use std::collections::BTreeMap;

use karma_cluster::ServiceMetrics;

use crate::{
    dynamics::{Dynamics, Frame, Scratch},
    given::Given,
    plan::Plan,
    runs::Run,
};

/// Recorded transitions, and a model for everything else.
pub(crate) struct Lookup<'a> {
    otherwise: &'a dyn Dynamics,
    services: usize,
    recorded: BTreeMap<Vec<u32>, Vec<ServiceMetrics>>,
}

impl<'a> Lookup<'a> {
    /// Remembers every transition of `runs`.
    pub(crate) fn new(otherwise: &'a dyn Dynamics, plan: &Plan, runs: &[&Run]) -> Self {
        let mut recorded = BTreeMap::new();
        for run in runs {
            each_cause(plan, run, |cause, next| {
                recorded.entry(cause).or_insert_with(|| next.to_vec());
            });
        }
        Self {
            otherwise,
            services: plan.len(),
            recorded,
        }
    }

    /// How many transitions of `runs` were recorded before, and how many there are.
    pub(crate) fn hits(&self, plan: &Plan, runs: &[&Run]) -> (usize, usize) {
        let (mut hits, mut all) = (0, 0);
        for run in runs {
            each_cause(plan, run, |cause, _| {
                hits += usize::from(self.recorded.contains_key(&cause));
                all += 1;
            });
        }
        (hits, all)
    }
}

impl Dynamics for Lookup<'_> {
    fn advance(&self, frame: &mut Frame<'_>, scratch: &mut Scratch) {
        let found: Vec<Option<&Vec<ServiceMetrics>>> = (0..frame.nodes.len())
            .map(|game| {
                let span = game * self.services..(game + 1) * self.services;
                let cause = cause(
                    &frame.now[span.clone()],
                    &frame.inflow[span.clone()],
                    &frame.desired[span.clone()],
                    &frame.given[span],
                );
                self.recorded.get(&cause)
            })
            .collect();
        self.otherwise.advance(frame, scratch);
        for (game, next) in found.into_iter().enumerate() {
            if let Some(next) = next {
                let span = game * self.services..(game + 1) * self.services;
                frame.now[span].copy_from_slice(next);
            }
        }
    }
}

/// Every bit that a transition depends on.
fn cause(now: &[ServiceMetrics], arrivals: &[f32], desired: &[u32], given: &[Given]) -> Vec<u32> {
    // One NaN is as good as another.
    let bits = |v: f32| if v.is_nan() { u32::MAX } else { v.to_bits() };
    let mut cause: Vec<u32> = now.iter().flat_map(|m| m.to_array().map(bits)).collect();
    cause.extend(arrivals.iter().map(|v| bits(*v)));
    cause.extend_from_slice(desired);
    cause.extend(given.iter().flat_map(|g| g.to_array().map(bits)));
    cause
}

/// Calls `visit` with cause and effect of every transition of a run.
fn each_cause(plan: &Plan, run: &Run, mut visit: impl FnMut(Vec<u32>, &[ServiceMetrics])) {
    let mut desired = Vec::new();
    for t in 0..run.len().saturating_sub(1) {
        let next = run.at(t + 1);
        run.desired(t + 1, &mut desired);
        let arrivals: Vec<f32> = next
            .iter()
            .zip(&plan.services)
            .map(|(m, plan)| {
                if plan.callers.is_empty() {
                    m.in_rate_rps
                } else {
                    f32::NAN
                }
            })
            .collect();
        visit(
            cause(run.at(t), &arrivals, &desired, run.given(t + 1)),
            next,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dynamics::Persistence,
        plan::{Nodes, ServicePlan},
        pods::Pods,
    };

    fn metrics(rate: f32) -> ServiceMetrics {
        ServiceMetrics {
            in_rate_rps: rate,
            replicas_ready: 2.0,
            replicas_desired: 2.0,
            ..ServiceMetrics::MISSING
        }
    }

    #[test]
    fn what_was_recorded_follows_again_and_the_rest_is_left_to_the_other_model() {
        let plan = Plan {
            services: vec![ServicePlan::alone("a")],
            order: vec![0],
            window_s: 15.0,
            timeout_s: 2.0,
            slo_ms: 500.0,
            nodes: Vec::new(),
        };
        let run = Run {
            name: "r".to_owned(),
            context: None,
            services: 1,
            metrics: vec![metrics(1.0), metrics(2.0), metrics(3.0)],
            given: vec![Given::default(); 3],
        };
        let lookup = Lookup::new(&Persistence, &plan, &[&run]);
        assert_eq!(lookup.hits(&plan, &[&run]), (2, 2));
        for (rate, expected) in [(1.0, 2.0), (1.5, 1.5)] {
            let (mut now, mut before) = ([metrics(rate)], [metrics(rate)]);
            let mut pods = [Pods::all_ready(2.0)];
            let nodes = Nodes {
                count: 1.0,
                millicores: 1e4,
                mib: 1e4,
            };
            lookup.advance(
                &mut Frame {
                    now: &mut now,
                    before: &mut before,
                    pods: &mut pods,
                    desired: &[2],
                    given: &[Given::default()],
                    inflow: &[2.0],
                    nodes: &[nodes],
                    dice: None,
                    members: None,
                },
                &mut Scratch::default(),
            );
            assert_eq!(now[0].in_rate_rps, expected);
        }
    }
}
