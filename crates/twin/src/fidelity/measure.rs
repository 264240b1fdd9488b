//! Errors and coverage on unseen runs.

use karma_cluster::{ServiceMetrics, seed};
use rayon::prelude::*;

use super::{CONTROLLED, HORIZON, MetricFidelity, ModelErrors};
use crate::{
    baseline::Linear,
    dice::Dice,
    dynamics::{Dynamics, Frame, Persistence, Scratch},
    given::Given,
    math::ln_1p,
    neural::Model,
    plan::Nodes,
    pods::Pods,
    runs::Run,
    walk::transitions,
};

/// Draws that an interval is taken from.
const DRAWS: usize = 40;

/// Windows between the starts of open-loop roll-outs.
const STRIDE: usize = 5;

/// Errors of the twin and the models beside it, on `runs` that nothing was fitted to.
pub(crate) fn measure(
    model: &Model,
    linear: &Linear,
    runs: &[&Run],
    seed: u64,
) -> (usize, Vec<MetricFidelity>) {
    let shortest = runs.iter().map(|run| run.len() - 1).min().unwrap_or(0);
    let horizon = HORIZON.min(shortest / 2).max(1);
    let queueing = Model {
        members: Vec::new(),
        ..model.clone()
    };
    let models: [&dyn Dynamics; 4] = [model, &Persistence, linear, &queueing];
    let sums = runs
        .par_iter()
        .enumerate()
        .map(|(number, run)| {
            let starts = Starts::of(model, run);
            let mut sums = Sums::default();
            sums.errors(&starts, run, &models, horizon);
            sums.coverage(
                &starts,
                run,
                model,
                seed::derive_seed(seed, "coverage", number as u64),
            );
            sums
        })
        .collect::<Vec<_>>()
        .iter()
        .fold(Sums::default(), |all, one| all.plus(one));
    let metrics = CONTROLLED
        .iter()
        .enumerate()
        .map(|(metric, name)| MetricFidelity {
            metric: (*name).to_owned(),
            space: space(metric).to_owned(),
            one_step: sums.one[metric].errors(),
            twenty_step: sums.twenty[metric].errors(),
            coverage_90: sums.covered[metric] as f64 / sums.drawn[metric].max(1) as f64,
        })
        .collect();
    (horizon, metrics)
}

/// The space in which errors of a controlled metric are taken.
fn space(metric: usize) -> &'static str {
    match metric {
        0 => "ln(1 + n)",
        1 => "millicores",
        2 => "1/s",
        3 => "ln(1 + ms)",
        4 => "pods",
        _ => "ln(1 + 1/s)",
    }
}

/// The controlled metrics in their spaces.
fn controlled(m: &ServiceMetrics) -> [f32; CONTROLLED.len()] {
    let log = |v: f32| if v.is_nan() { v } else { ln_1p(v) };
    [
        log(m.queued),
        m.cpu_millicores,
        m.out_rate_rps,
        log(m.latency_p95_ms),
        m.replicas_ready,
        log(m.errors_ps),
    ]
}

/// Everything that a roll-out needs, for every transition of a run.
struct Starts {
    services: usize,
    now: Vec<ServiceMetrics>,
    before: Vec<ServiceMetrics>,
    pods: Vec<Pods>,
    desired: Vec<u32>,
    given: Vec<Given>,
    inflow: Vec<f32>,
    nodes: Nodes,
    /// Whether everything that was measured before the window is there.
    whole: Vec<bool>,
}

impl Starts {
    fn of(model: &Model, run: &Run) -> Self {
        let plan = &model.physics.plan;
        let mut starts = Self {
            services: run.services,
            now: Vec::new(),
            before: Vec::new(),
            pods: Vec::new(),
            desired: Vec::new(),
            given: Vec::new(),
            inflow: Vec::new(),
            nodes: plan.nodes_of(run.context.as_deref()),
            whole: Vec::new(),
        };
        let mut last = vec![0.0_f32; run.services];
        transitions(&model.physics, run, |transition| {
            starts.now.extend_from_slice(transition.from.now);
            starts.before.extend_from_slice(transition.from.earlier);
            starts.pods.extend_from_slice(transition.pods_before);
            starts.desired.extend_from_slice(transition.from.desired);
            starts.given.extend_from_slice(transition.from.given);
            for (service, next) in transition.next.iter().enumerate() {
                let arrives = plan.services[service].callers.is_empty();
                if arrives && !next.in_rate_rps.is_nan() {
                    // Arrivals that were not measured are held.
                    last[service] = next.in_rate_rps;
                }
                starts
                    .inflow
                    .push(if arrives { last[service] } else { f32::NAN });
            }
            let seen = transition.from.now.iter().all(|m| !m.in_rate_rps.is_nan());
            starts.whole.push(seen && transition.t > 0);
        });
        starts
    }

    /// The cells of transition `t`.
    fn span(&self, t: usize) -> std::ops::Range<usize> {
        t * self.services..(t + 1) * self.services
    }

    /// Rolls `model` on from the transitions `from`, `steps` windows far, and gives the metrics then.
    fn roll(
        &self,
        model: &dyn Dynamics,
        from: &[usize],
        steps: usize,
        scratch: &mut Scratch,
    ) -> Vec<ServiceMetrics> {
        let mut now = self.gather(&self.now, from, 0);
        let mut before = self.gather(&self.before, from, 0);
        let mut pods = self.gather(&self.pods, from, 0);
        let nodes = vec![self.nodes; from.len()];
        for step in 0..steps {
            model.advance(
                &mut Frame {
                    now: &mut now,
                    before: &mut before,
                    pods: &mut pods,
                    desired: &self.gather(&self.desired, from, step),
                    given: &self.gather(&self.given, from, step),
                    inflow: &self.gather(&self.inflow, from, step),
                    nodes: &nodes,
                    dice: None,
                    members: None,
                },
                scratch,
            );
        }
        now
    }

    fn gather<T: Copy>(&self, cells: &[T], from: &[usize], step: usize) -> Vec<T> {
        from.iter()
            .flat_map(|t| cells[self.span(t + step)].iter().copied())
            .collect()
    }
}

/// Sums of absolute errors of four models.
#[derive(Clone, Copy, Debug, Default)]
struct ErrorSums {
    sums: [f64; 4],
    rows: usize,
}

impl ErrorSums {
    fn errors(&self) -> ModelErrors {
        let mean = |model: usize| self.sums[model] / self.rows.max(1) as f64;
        ModelErrors {
            twin: mean(0),
            persistence: mean(1),
            linear: mean(2),
            queueing: mean(3),
            rows: self.rows,
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Sums {
    one: [ErrorSums; CONTROLLED.len()],
    twenty: [ErrorSums; CONTROLLED.len()],
    covered: [usize; CONTROLLED.len()],
    drawn: [usize; CONTROLLED.len()],
}

impl Sums {
    fn plus(mut self, other: &Self) -> Self {
        for metric in 0..CONTROLLED.len() {
            for (mine, theirs) in [
                (&mut self.one[metric], &other.one[metric]),
                (&mut self.twenty[metric], &other.twenty[metric]),
            ] {
                for (mine, theirs) in mine.sums.iter_mut().zip(theirs.sums) {
                    *mine += theirs;
                }
                mine.rows += theirs.rows;
            }
            self.covered[metric] += other.covered[metric];
            self.drawn[metric] += other.drawn[metric];
        }
        self
    }

    fn errors(&mut self, starts: &Starts, run: &Run, models: &[&dyn Dynamics; 4], horizon: usize) {
        let mut scratch = Scratch::default();
        let all = starts.whole.len();
        let whole = |t: &usize| starts.whole[*t];
        let one: Vec<usize> = (0..all).filter(whole).collect();
        let far: Vec<usize> = (0..(all + 1).saturating_sub(horizon))
            .step_by(STRIDE)
            .filter(whole)
            .collect();
        for (from, steps, near) in [(one, 1, true), (far, horizon, false)] {
            if from.is_empty() {
                continue;
            }
            let predicted: Vec<Vec<ServiceMetrics>> = models
                .iter()
                .map(|model| starts.roll(*model, &from, steps, &mut scratch))
                .collect();
            for (place, t) in from.iter().enumerate() {
                for (service, seen) in run.at(t + steps).iter().enumerate() {
                    let cell = place * run.services + service;
                    let guesses: [[f32; CONTROLLED.len()]; 4] =
                        std::array::from_fn(|m| controlled(&predicted[m][cell]));
                    for (metric, seen) in controlled(seen).iter().enumerate() {
                        let into = if near {
                            &mut self.one[metric]
                        } else {
                            &mut self.twenty[metric]
                        };
                        let known = guesses.iter().all(|guess| !guess[metric].is_nan());
                        if seen.is_nan() || !known {
                            continue;
                        }
                        into.rows += 1;
                        for (sum, guess) in into.sums.iter_mut().zip(&guesses) {
                            *sum += f64::from((guess[metric] - seen).abs());
                        }
                    }
                }
            }
        }
    }

    /// Draws one window ahead from every member and counts what falls between the 5th and the 95th
    /// percentile of the draws.
    fn coverage(&mut self, starts: &Starts, run: &Run, model: &Model, seed: u64) {
        if model.members.is_empty() {
            return;
        }
        let mut scratch = Scratch::default();
        for t in (0..starts.whole.len()).filter(|t| starts.whole[*t]) {
            let from = vec![t; DRAWS];
            let (mut now, mut before, mut pods) = (
                starts.gather(&starts.now, &from, 0),
                starts.gather(&starts.before, &from, 0),
                starts.gather(&starts.pods, &from, 0),
            );
            let mut dice: Vec<Dice> = (0..DRAWS)
                .map(|draw| Dice(seed::derive_seed(seed, "draw", (t * DRAWS + draw) as u64)))
                .collect();
            let members: Vec<u8> = (0..DRAWS)
                .map(|draw| (draw * model.members.len() / DRAWS) as u8)
                .collect();
            // A sampled game has whole pods.
            for pods in &mut pods {
                pods.round();
            }
            model.advance(
                &mut Frame {
                    now: &mut now,
                    before: &mut before,
                    pods: &mut pods,
                    desired: &starts.gather(&starts.desired, &from, 0),
                    given: &starts.gather(&starts.given, &from, 0),
                    inflow: &starts.gather(&starts.inflow, &from, 0),
                    nodes: &[starts.nodes; DRAWS],
                    dice: Some(&mut dice),
                    members: Some(&members),
                },
                &mut scratch,
            );
            for (service, seen) in run.at(t + 1).iter().enumerate() {
                for (metric, seen) in controlled(seen).into_iter().enumerate() {
                    if seen.is_nan() {
                        continue;
                    }
                    let mut draws: [f32; DRAWS] = std::array::from_fn(|draw| {
                        controlled(&now[draw * run.services + service])[metric]
                    });
                    draws.sort_unstable_by(f32::total_cmp);
                    self.drawn[metric] += 1;
                    let inside = draws[1] <= seen && seen <= draws[DRAWS - 2];
                    self.covered[metric] += usize::from(inside);
                }
            }
        }
    }
}
