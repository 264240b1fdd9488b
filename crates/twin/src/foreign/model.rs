//! The three models of single services and their errors.

use karma_cluster::Watch;
use karma_nn::{Mlp, Scratch};

use super::{
    OneStep, ServiceErrors,
    rows::{Service, Transition},
};
use crate::{
    error::Result,
    fit::FitSettings,
    linear::{LeastSquares, Weights},
    train::{Lesson, ensemble},
};

/// Inputs of the published linear model.
const LINEAR: usize = 8;

/// Inputs of the network beside the service's own number.
const INPUTS: usize = 17;

/// Targets: processor use, latency.
const TARGETS: usize = 2;

/// Errors of the three models on every service.
pub(super) fn errors(
    services: &[Service],
    seed: u64,
    watch: &dyn Watch,
) -> Result<Vec<ServiceErrors>> {
    let linear: Vec<[Weights; TARGETS]> = services.iter().map(fit_linear).collect();
    let twin = Twin::fit(services, &linear, seed, watch)?;
    Ok(services
        .iter()
        .enumerate()
        .map(|(number, service)| {
            let mut sums = [[0.0; 3]; TARGETS];
            let mut rows = [0; TARGETS];
            for t in &service.validation {
                let guess = twin.predict(number, t, &linear[number]);
                let x = linear_inputs(t);
                for target in 0..TARGETS {
                    let (now, next) = pair(t, target);
                    let guesses = [now, linear[number][target].at(0, &x), guess[target]];
                    if !next.is_finite() || guesses.iter().any(|g| !g.is_finite()) {
                        continue;
                    }
                    rows[target] += 1;
                    for (sum, guess) in sums[target].iter_mut().zip(guesses) {
                        *sum += (guess - next).abs();
                    }
                }
            }
            let one_step = |target: usize| {
                let [persistence, linear, twin] =
                    sums[target].map(|sum: f64| sum / f64::from(rows[target].max(1)));
                OneStep {
                    persistence,
                    linear,
                    twin,
                    rows: rows[target] as usize,
                }
            };
            ServiceErrors {
                service: service.name.clone(),
                pods: service.pods(),
                identified: service.identified(),
                cpu_cores: one_step(0),
                log_latency: one_step(1),
            }
        })
        .collect())
}

/// A target now and then.
fn pair(t: &Transition, target: usize) -> (f64, f64) {
    if target == 0 {
        (t.now.cpu_cores, t.next.cpu_cores)
    } else {
        (t.now.log_latency, t.next.log_latency)
    }
}

fn linear_inputs(t: &Transition) -> [f64; LINEAR] {
    [
        1.0,
        t.now.cpu_cores,
        t.now.log_latency,
        t.now.pods,
        t.next.rps,
        t.next.pods,
        t.next.rps / t.next.pods,
        t.now.rps / t.now.pods,
    ]
}

fn fit_linear(service: &Service) -> [Weights; TARGETS] {
    std::array::from_fn(|target| {
        let mut fit = LeastSquares::new(LINEAR, 1);
        for t in &service.training {
            let (x, (_, next)) = (linear_inputs(t), pair(t, target));
            if next.is_finite() && x.iter().all(|v| v.is_finite()) {
                fit.add(&x, &[next]);
            }
        }
        fit.solve(0.0)
    })
}

/// The twin of single services: what a request burns (the utilization law), corrected by an ensemble
/// that is shared by all services.
struct Twin {
    members: Vec<Mlp>,
    services: usize,
    scales: Vec<Scale>,
    mean: Vec<f32>,
    inverse: Vec<f32>,
}

/// Typical sizes of one service, of its training runs.
struct Scale {
    rps: f64,
    cpu_cores: f64,
    /// Cores per request per second.
    demand: f64,
    log_latency: f64,
    pods: f64,
    identified: bool,
    /// Deviations of the residuals.
    residual: [f64; TARGETS],
}

impl Twin {
    fn fit(
        services: &[Service],
        linear: &[[Weights; TARGETS]],
        seed: u64,
        watch: &dyn Watch,
    ) -> Result<Self> {
        let mut twin = Self {
            members: Vec::new(),
            services: services.len(),
            scales: services
                .iter()
                .zip(linear)
                .map(|(s, l)| Scale::of(s, l))
                .collect(),
            mean: vec![0.0; INPUTS],
            inverse: vec![1.0; INPUTS],
        };
        let rows: Vec<(usize, &Transition)> = services
            .iter()
            .enumerate()
            .flat_map(|(number, s)| s.training.iter().map(move |t| (number, t)))
            .collect();
        twin.standardize(&rows);
        let width = INPUTS + services.len();
        let mut x = vec![0.0; rows.len() * width];
        let mut y = Vec::with_capacity(rows.len() * TARGETS);
        for ((number, t), x) in rows.iter().zip(x.chunks_exact_mut(width)) {
            twin.input(*number, t, x);
            let base = base(t, &linear[*number]);
            for (target, base) in base.iter().enumerate().take(TARGETS) {
                let (_, next) = pair(t, target);
                let residual = (next - base) / twin.scales[*number].residual[target];
                y.push(residual as f32);
            }
        }
        let lesson = Lesson {
            x: &x,
            y: &y,
            inputs: width,
            outputs: TARGETS,
            // Minutes in saturation are hard to predict and few: they must not bend the rest.
            beta: 0.0,
        };
        twin.members = ensemble(&lesson, &settings(), seed, watch)?;
        Ok(twin)
    }

    /// Means and deviations of the inputs of the training rows.
    fn standardize(&mut self, rows: &[(usize, &Transition)]) {
        let mut sums = vec![(0.0_f64, 0.0_f64, 0.0_f64); INPUTS];
        for (number, t) in rows {
            for (sum, x) in sums.iter_mut().zip(self.scales[*number].inputs(t)) {
                if x.is_finite() {
                    sum.0 += 1.0;
                    sum.1 += x;
                    sum.2 += x * x;
                }
            }
        }
        for (i, (count, sum, squares)) in sums.into_iter().enumerate() {
            let mean = sum / count.max(1.0);
            let deviation = (squares / count.max(1.0) - mean * mean).max(0.0).sqrt();
            self.mean[i] = mean as f32;
            self.inverse[i] = if deviation > 1e-9 {
                (1.0 / deviation) as f32
            } else {
                0.0
            };
        }
    }

    fn input(&self, service: usize, t: &Transition, out: &mut [f32]) {
        let raw = self.scales[service].inputs(t);
        for (i, x) in raw.into_iter().enumerate() {
            let z = (x as f32 - self.mean[i]) * self.inverse[i];
            out[i] = if z.is_nan() { 0.0 } else { z.clamp(-5.0, 5.0) };
        }
        out[INPUTS + service] = 1.0;
    }

    fn predict(
        &self,
        service: usize,
        t: &Transition,
        linear: &[Weights; TARGETS],
    ) -> [f64; TARGETS] {
        let mut x = vec![0.0; INPUTS + self.services];
        self.input(service, t, &mut x);
        let mut scratch = Scratch::default();
        let mut mean = [0.0; TARGETS];
        for member in &self.members {
            let mut y = [0.0; 2 * TARGETS];
            member.forward(&x, 1, &mut scratch, &mut y);
            for (mean, y) in mean.iter_mut().zip(y) {
                *mean += f64::from(y) / self.members.len() as f64;
            }
        }
        let base = base(t, linear);
        std::array::from_fn(|k| base[k] + mean[k] * self.scales[service].residual[k])
    }
}

/// What the network corrects: the line for processor use, persistence for latency.
fn base(t: &Transition, linear: &[Weights; TARGETS]) -> [f64; TARGETS] {
    let mut x = linear_inputs(t);
    if x[2].is_nan() {
        // Without traffic a latency is unknown, not infinite: leave it out of the line.
        x[2] = 0.0;
    }
    [linear[0].at(0, &x), t.now.log_latency]
}

fn settings() -> FitSettings {
    FitSettings {
        members: 8,
        hidden: 32,
        layers: 2,
        epochs: 60,
        learning_rate: 2e-3,
        batch: 96,
        validation_share: 0.0,
        accuracy_seeds: 0,
        may_ship: false,
    }
}

impl Scale {
    fn of(service: &Service, linear: &[Weights; TARGETS]) -> Self {
        let mean = |f: &dyn Fn(&Transition) -> f64| {
            let values = service.training.iter().map(f).filter(|v| v.is_finite());
            let (mut sum, mut count) = (0.0, 0.0_f64);
            for value in values {
                sum += value;
                count += 1.0;
            }
            sum / count.max(1.0)
        };
        let (rps, cpu_cores) = (mean(&|t| t.next.rps), mean(&|t| t.next.cpu_cores));
        let residual = std::array::from_fn(|target| {
            let errors = |t: &Transition| (pair(t, target).1 - base(t, linear)[target]).abs();
            (1.25 * mean(&errors)).max(1e-6)
        });
        Self {
            rps: rps.max(1e-6),
            cpu_cores: cpu_cores.max(1e-6),
            demand: cpu_cores / rps.max(1e-6),
            log_latency: mean(&|t| t.now.log_latency),
            pods: f64::from(service.pods().1.max(1)),
            identified: service.identified(),
            residual,
        }
    }

    /// Raw inputs of the network; NaN where nothing was measured.
    fn inputs(&self, t: &Transition) -> [f64; INPUTS] {
        let (now, next, earlier) = (&t.now, &t.next, &t.earlier);
        let per_pod = |value: f64| if self.identified { value } else { 0.0 };
        let log = |rps: f64| (rps / self.rps + 0.05).ln();
        [
            log(next.rps),
            log(now.rps),
            log(earlier.rps),
            next.rps / self.rps,
            now.cpu_cores / self.cpu_cores,
            (now.cpu_cores - self.demand * now.rps) / self.cpu_cores,
            (earlier.cpu_cores - self.demand * earlier.rps) / self.cpu_cores,
            now.log_latency - self.log_latency,
            earlier.log_latency - self.log_latency,
            now.log_latency - earlier.log_latency,
            log(next.rps) - log(now.rps),
            per_pod(next.pods / self.pods),
            per_pod(now.pods / self.pods),
            per_pod((next.pods / now.pods).ln()),
            per_pod(log(next.rps) - next.pods.ln()),
            per_pod(log(now.rps) - now.pods.ln()),
            f64::from(u8::from(now.log_latency.is_nan())),
        ]
    }
}
