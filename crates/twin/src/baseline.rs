//! The linear model that the twin is measured against: least squares, one per service.

use crate::{
    dynamics::{Dynamics, Frame, Scratch},
    features::{self, OUTPUTS},
    linear::{LeastSquares, Weights},
    math::exp_m1,
    plan::Plan,
    runs::Run,
};

use karma_cluster::ServiceMetrics;

/// Constant, ten metrics now, desired replicas then, arrivals at the entries then, arrivals per
/// replica then.
const INPUTS: usize = 14;
/// The eight metrics of the network, arrivals, ready pods.
const TARGETS: usize = OUTPUTS + 2;

/// Least squares on the metrics of one service, desired replicas and arrivals.
pub(crate) struct Linear {
    entries: Vec<usize>,
    weights: Vec<Weights>,
}

impl Linear {
    /// Fits one linear model per service to `runs`.
    pub(crate) fn fit(plan: &Plan, runs: &[&Run]) -> Self {
        let entries: Vec<usize> = (0..plan.len())
            .filter(|s| plan.services[*s].entry)
            .collect();
        let weights = (0..plan.len())
            .map(|service| {
                let mut fit = LeastSquares::new(INPUTS, TARGETS);
                let mut desired = Vec::new();
                for run in runs {
                    for t in 0..run.len().saturating_sub(1) {
                        run.desired(t + 1, &mut desired);
                        let arrivals = entries.iter().map(|e| run.at(t + 1)[*e].in_rate_rps).sum();
                        let x = inputs(&run.at(t)[service], desired[service], arrivals);
                        let y = targets(&run.at(t + 1)[service]);
                        if x.iter().chain(&y).all(|v| v.is_finite()) {
                            fit.add(&x, &y);
                        }
                    }
                }
                fit.solve(1e-6)
            })
            .collect();
        Self { entries, weights }
    }
}

fn inputs(now: &ServiceMetrics, desired: u32, arrivals: f32) -> [f64; INPUTS] {
    let t = features::transformed(now);
    let desired = desired as f32;
    [
        1.0,
        t[0],
        t[1],
        t[2],
        t[3],
        t[4],
        t[5],
        t[6],
        t[7],
        now.in_rate_rps,
        now.replicas_ready,
        desired,
        arrivals,
        arrivals / desired.max(1.0),
    ]
    .map(f64::from)
}

fn targets(next: &ServiceMetrics) -> [f64; TARGETS] {
    let t = features::transformed(next);
    let mut targets = [0.0; TARGETS];
    for (target, t) in targets.iter_mut().zip(t) {
        *target = f64::from(t);
    }
    targets[OUTPUTS] = f64::from(next.in_rate_rps);
    targets[OUTPUTS + 1] = f64::from(next.replicas_ready);
    targets
}

impl Dynamics for Linear {
    fn advance(&self, frame: &mut Frame<'_>, _: &mut Scratch) {
        let services = self.weights.len();
        for game in 0..frame.nodes.len() {
            let arrivals = self
                .entries
                .iter()
                .map(|e| frame.inflow[game * services + e])
                .sum();
            for (service, weights) in self.weights.iter().enumerate() {
                let at = game * services + service;
                let now = frame.now[at];
                frame.before[at] = now;
                // What was not measured counts as nothing: a line has no other word for it.
                let x = inputs(&now, frame.desired[at], arrivals)
                    .map(|v| if v.is_finite() { v } else { 0.0 });
                let y: [f32; TARGETS] = std::array::from_fn(|k| weights.at(k, &x) as f32);
                frame.now[at] = ServiceMetrics {
                    replicas_desired: frame.desired[at] as f32,
                    replicas_ready: y[OUTPUTS + 1].max(0.0),
                    queued: exp_m1(y[0]),
                    cpu_millicores: y[1].max(0.0),
                    memory_mib: y[2].max(0.0),
                    in_rate_rps: y[OUTPUTS].max(0.0),
                    out_rate_rps: y[3].max(0.0),
                    latency_p50_ms: exp_m1(y[4]),
                    latency_p95_ms: exp_m1(y[5]),
                    latency_p99_ms: exp_m1(y[6]),
                    errors_ps: exp_m1(y[7]),
                    ..now
                };
            }
        }
    }
}
