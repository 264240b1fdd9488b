//! The queueing model's numbers, counted on the training runs.

use karma_cluster::ServiceMetrics;

use crate::{
    lanes::Situation,
    linear::LeastSquares,
    physics::{Calibration, INFLOW_INPUTS, InflowModel, Physics, Prior, known},
    plan::{Plan, ServicePlan},
    pods::{AGES, PodHazards},
    runs::Run,
    walk::{Transition, transitions},
};

/// Fewest windows that a number is taken from; below, what was declared stands.
const ENOUGH: usize = 20;

/// Weight of the declared start-up time, in pods.
const DECLARED_WEIGHT: f64 = 3.0;

/// Windows with another count of ready pods than usual that show what a replica does.
const IDENTIFYING: usize = 5;

/// Counts everything that queueing needs on `runs`.
pub(crate) fn calibrate(plan: Plan, runs: &[&Run]) -> Physics {
    let services = plan
        .services
        .iter()
        .enumerate()
        .map(|(service, declared)| service_numbers(declared, service, &plan, runs))
        .collect();
    let mut physics = Physics { plan, services };
    count_hazards(&mut physics, runs);
    fit_inflow(&mut physics, runs);
    physics
}

fn service_numbers(
    declared: &ServicePlan,
    service: usize,
    plan: &Plan,
    runs: &[&Run],
) -> Calibration {
    let mut busiest = Vec::new();
    let (mut cpu, mut served) = (0.0, 0.0);
    let mut memory = Vec::new();
    let mut base: [Vec<f32>; 3] = Default::default();
    let mut ready = Vec::new();
    for run in runs {
        for t in 1..run.len() {
            let (before, now) = (run.at(t - 1), run.at(t));
            let (m, given) = (&now[service], &run.given(t)[service]);
            ready.extend((!m.replicas_ready.is_nan()).then_some(m.replicas_ready));
            let calm = given.cpu_stress == 0.0 && given.payload == 1.0 && given.slow == 0.0;
            let steady = m.replicas_ready == before[service].replicas_ready
                && m.replicas_desired == before[service].replicas_desired;
            if !calm || !steady || m.replicas_ready.is_nan() || m.replicas_ready < 1.0 {
                continue;
            }
            let room = declared.queue_per_pod * m.replicas_ready;
            // Behind a long queue a pod works all the time.
            if m.queued > 0.3 * room && before[service].queued > 0.3 * room {
                busiest.push(m.cpu_millicores / m.replicas_ready);
            }
            let answered = m.errors_ps <= 0.01 * m.in_rate_rps;
            let counted = m.cpu_millicores.is_finite() && m.in_rate_rps > 1.0;
            if answered && counted && m.queued < 0.1 * room {
                cpu += f64::from(m.cpu_millicores);
                served += f64::from(m.in_rate_rps);
                if let Some(own) = own_latency(plan, service, now) {
                    for (base, own) in base.iter_mut().zip(own) {
                        base.push(own);
                    }
                }
            }
            if m.replicas_pending == 0.0 && m.memory_mib.is_finite() && given.memory_mib == 0.0 {
                memory.push(m.memory_mib / m.replicas_ready);
            }
        }
    }
    busiest.retain(|cpu: &f32| cpu.is_finite());
    let declared_millicores = declared.limit_millicores / declared.rate_per_replica;
    let millicores_per_rps = if served > 0.0 {
        (cpu / served) as f32
    } else {
        declared_millicores
    };
    // What a pod serves follows from what it burns when busy and what a request burns. What it
    // answers would not do: under overload, work is done for clients that have left.
    let at_work = median(&mut busiest, declared.rate_per_replica * millicores_per_rps);
    let rate_per_replica = (at_work / millicores_per_rps).max(1e-3);
    let work_ms = 1000.0 * declared.servers / rate_per_replica;
    let usual_ready = median(&mut ready, 1.0).max(1.0);
    let unusual = ready.iter().filter(|r| **r != usual_ready).count();
    Calibration {
        rate_per_replica,
        millicores_per_rps,
        mib_per_pod: median(&mut memory, declared.request_mib),
        // Exponential work where the trace says nothing: ln 2, ln 20, ln 100 times the mean.
        base_ms: std::array::from_fn(|i| {
            median(&mut base[i], work_ms * [0.69, 3.0, 4.6][i]).max(0.1)
        }),
        hazards: declared_hazards(declared, plan.window_s),
        inflow: None,
        identified: unusual >= IDENTIFYING,
        usual_ready,
    }
}

/// p50, p95, p99 of a service less what the model adds for its callees.
fn own_latency(plan: &Plan, service: usize, now: &[ServiceMetrics]) -> Option<[f32; 3]> {
    let m = &now[service];
    let mut own = [m.latency_p50_ms, m.latency_p95_ms, m.latency_p99_ms];
    for link in &plan.services[service].calls {
        let callee = &now[link.service];
        let (p50, p95) = (callee.latency_p50_ms, callee.latency_p95_ms);
        own[0] -= link.probability * p50;
        own[1] -= link.probability * 0.5 * (p50 + p95);
        own[2] -= link.probability * (0.4 * p50 + 0.6 * p95);
    }
    own.iter().all(|v| v.is_finite()).then_some(own)
}

/// The median, or `otherwise` of too few values.
fn median(values: &mut [f32], otherwise: f32) -> f32 {
    if values.len() < ENOUGH {
        return otherwise;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// Hazards of a declared lognormal start-up time.
fn declared_hazards(declared: &ServicePlan, window_s: f32) -> PodHazards {
    let below = |t: f64| -> f64 {
        if t <= 0.0 {
            return 0.0;
        }
        let (median, sigma) = (
            f64::from(declared.startup_median_s).max(1e-3),
            f64::from(declared.startup_sigma).max(1e-3),
        );
        normal_below((t / median).ln() / sigma)
    };
    let half = 0.5 * f64::from(window_s);
    PodHazards {
        ready: std::array::from_fn(|age| {
            let (from, to) = (below(age as f64 * half), below((age + 2) as f64 * half));
            if from < 1.0 - 1e-6 {
                ((to - from) / (1.0 - from)) as f32
            } else {
                1.0
            }
        }),
        crash: 0.0,
        restart: 0.5,
    }
}

/// Distribution function of the standard normal (Abramowitz and Stegun 7.1.26).
fn normal_below(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let poly = t
        * (0.254_829_592
            + t * (-0.284_496_736
                + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let upper = 0.5 * poly * (-z * z).exp();
    if x >= 0.0 { 1.0 - upper } else { upper }
}

/// Counts by age how many starting pods became ready, how many ready ones crashed, how many crashed
/// ones came back.
fn count_hazards(physics: &mut Physics, runs: &[&Run]) {
    let services = physics.plan.len();
    let mut exposed = vec![[0.0_f64; AGES]; services];
    let mut became = vec![[0.0_f64; AGES]; services];
    let mut crashes = vec![(0.0_f64, 0.0_f64); services];
    let mut restarts = vec![(0.0_f64, 0.0_f64); services];
    for run in runs {
        transitions(physics, run, |transition| {
            let used: f32 = physics
                .plan
                .services
                .iter()
                .zip(transition.from.desired)
                .map(|(plan, desired)| plan.request_millicores * *desired as f32)
                .sum();
            for service in 0..services {
                let next = &transition.next[service];
                if next.restarts.is_finite() {
                    let before = &transition.pods_before[service];
                    crashes[service].0 += f64::from(next.restarts);
                    crashes[service].1 += f64::from(before.ready);
                    restarts[service].0 += f64::from(next.restarts);
                    restarts[service].1 += f64::from(before.back_off);
                }
                // Where nodes are full, a pod that is not ready may not even have started.
                if used < 0.85 * transition.from.nodes.millicores {
                    count_starts(transition, service, &mut exposed, &mut became);
                }
            }
        });
    }
    for (service, fitted) in physics.services.iter_mut().enumerate() {
        for age in 0..AGES {
            let declared = f64::from(fitted.hazards.ready[age]);
            let hazard = (became[service][age] + DECLARED_WEIGHT * declared)
                / (exposed[service][age] + DECLARED_WEIGHT);
            fitted.hazards.ready[age] = hazard.clamp(0.0, 1.0) as f32;
        }
        let share = |(events, of): (f64, f64)| (events / of.max(1.0)).clamp(0.0, 1.0) as f32;
        fitted.hazards.crash = share(crashes[service]);
        if restarts[service].1 >= ENOUGH as f64 {
            fitted.hazards.restart = share(restarts[service]);
        }
    }
}

fn count_starts(
    transition: &Transition<'_>,
    service: usize,
    exposed: &mut [[f64; AGES]],
    became: &mut [[f64; AGES]],
) {
    let next = &transition.next[service];
    let given = &transition.from.given[service];
    let mut pods = transition.pods_before[service];
    let disturbed = given.kills > 0.0
        || given.failing != pods.failing_given
        || next.replicas_failed != 0.0
        || next.replicas_ready.is_nan();
    if disturbed {
        return;
    }
    pods.scale(transition.from.desired[service] as f32);
    pods.starting[0] += std::mem::take(&mut pods.unscheduled);
    let mut ready = f64::from(next.replicas_ready - pods.ready).max(0.0);
    for age in (0..AGES).rev() {
        let count = f64::from(pods.starting[age]);
        let taken = count.min(ready);
        ready -= taken;
        exposed[service][age] += count;
        became[service][age] += taken;
    }
}

/// Fits what callers send to every service that has callers.
fn fit_inflow(physics: &mut Physics, runs: &[&Run]) {
    for service in 0..physics.plan.len() {
        if physics.plan.services[service].callers.is_empty() {
            continue;
        }
        let mut fit = LeastSquares::new(INFLOW_INPUTS, 1);
        let mut rows: Vec<([f64; INFLOW_INPUTS], f64)> = Vec::new();
        for run in runs {
            each_inflow(physics, run, service, |x, y| {
                // Counts spread with their mean: weigh them by its inverse.
                let weight = 1.0 / (1.0 + x[1]).sqrt();
                fit.add(&x.map(|x| x * weight), &[y * weight]);
                rows.push((x, y));
            });
        }
        if rows.len() < ENOUGH {
            continue;
        }
        let weights = fit.solve(1e-9);
        let variance = rows
            .iter()
            .map(|(x, y)| (y - weights.at(0, x)).powi(2) / (1.0 + x[1].max(0.0)))
            .sum::<f64>()
            / rows.len() as f64;
        physics.services[service].inflow = Some(InflowModel {
            weights: std::array::from_fn(|i| weights.of(0)[i] as f32),
            deviation: variance.sqrt() as f32,
        });
    }
}

/// Inputs and target of the inflow model at every transition where both are known.
fn each_inflow(
    physics: &Physics,
    run: &Run,
    service: usize,
    mut visit: impl FnMut([f64; INFLOW_INPUTS], f64),
) {
    let mut s = Situation::<1>::idle(physics.plan.len());
    let mut priors = vec![Prior::ZERO; physics.plan.len()];
    transitions(physics, run, |transition| {
        let (now, next) = (transition.from.now, transition.next);
        let arrived = next[service].in_rate_rps;
        let callers = &physics.plan.services[service].callers;
        let known_all = callers.iter().all(|link| {
            let (now, next) = (&now[link.service], &next[link.service]);
            next.in_rate_rps.is_finite() && now.queued.is_finite() && next.queued.is_finite()
        });
        if arrived.is_nan() || !known_all {
            return;
        }
        s.set(0, &transition.from);
        let inflow: Vec<[f32; 1]> = next.iter().map(|m| [known(m.in_rate_rps, 0.0)]).collect();
        physics.predict(&s, &physics.processor_share(&s), &inflow, &mut priors);
        let forward: Vec<[f32; 1]> = priors
            .iter()
            .enumerate()
            .map(|(caller, prior)| {
                physics.forwarded(prior, &[now[caller].queued], &[next[caller].queued])
            })
            .collect();
        let sent = physics.sent(&s, service, |caller| &forward[caller]);
        visit(
            physics
                .inflow_inputs(&s, service, &sent)
                .map(|[x]| f64::from(x)),
            f64::from(arrived),
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_function_is_right() {
        for (x, p) in [
            (0.0, 0.5),
            (1.0, 0.841_345),
            (-1.96, 0.024_998),
            (3.0, 0.998_650),
        ] {
            assert!((normal_below(x) - p).abs() < 1e-5, "{x}");
        }
    }
}
