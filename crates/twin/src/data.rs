//! Rows that the network learns from.

use crate::{
    features::{self, FEATURES, OUTPUTS},
    lanes::Situation,
    neural::{Model, Scalers},
    noise,
    physics::{Physics, Prior, known},
    runs::Run,
    walk::transitions,
};

/// Inputs and residuals, one row per transition and service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    /// Raw features, `rows × FEATURES`; NaN where missing.
    pub(crate) features: Vec<f32>,
    /// Residuals against the queueing model; NaN where missing.
    pub(crate) residuals: Vec<[f32; OUTPUTS]>,
    pub(crate) service: Vec<u16>,
    /// Regime of the noise.
    pub(crate) regime: Vec<u8>,
}

impl Rows {
    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.service.len()
    }
}

/// The rows of `runs`. What a service receives is taken as measured; what it will show is asked for.
pub(crate) fn rows(physics: &Physics, runs: &[&Run]) -> Rows {
    let mut rows = Rows::default();
    let services = physics.plan.len();
    let mut s = Situation::<1>::idle(services);
    let mut priors = vec![Prior::ZERO; services];
    let mut inflow = vec![[f32::NAN]; services];
    for run in runs {
        transitions(physics, run, |transition| {
            s.set(0, &transition.from);
            let measured = transition.next.iter().map(|m| m.in_rate_rps);
            for ((inflow, measured), plan) in
                inflow.iter_mut().zip(measured).zip(&physics.plan.services)
            {
                *inflow = if plan.callers.is_empty() {
                    [known(measured, 0.0)]
                } else {
                    [measured]
                };
            }
            let requested = physics.requested_share(&s);
            physics.predict(&s, &physics.processor_share(&s), &inflow, &mut priors);
            for (service, next) in transition.next.iter().enumerate() {
                if next.in_rate_rps.is_nan() || next.replicas_ready.is_nan() {
                    continue;
                }
                let prior = features::transformed_prior(&priors[service]);
                let features = features::of(physics, service, &s, &requested, &priors, &prior);
                rows.features.extend_from_slice(features.as_flattened());
                let target = features::transformed(next);
                rows.residuals
                    .push(std::array::from_fn(|k| target[k] - prior[k][0]));
                rows.service.push(service as u16);
                rows.regime
                    .push(noise::regime(priors[service].utilization[0]) as u8);
            }
        });
    }
    rows
}

impl Scalers {
    /// Means and deviations of `rows`, of present values only.
    pub(crate) fn of(rows: &Rows, services: usize) -> Self {
        let mut inputs = vec![Moments::default(); FEATURES];
        for row in rows.features.chunks_exact(FEATURES) {
            for (moments, x) in inputs.iter_mut().zip(row) {
                moments.add(*x);
            }
        }
        let mut residual = vec![[Moments::default(); OUTPUTS]; services];
        for (row, service) in rows.residuals.iter().zip(&rows.service) {
            for (moments, y) in residual[usize::from(*service)].iter_mut().zip(row) {
                moments.add(*y);
            }
        }
        Self {
            mean: inputs.iter().map(Moments::mean).collect(),
            // A feature that never changes says nothing; far from its only value it must not shout.
            inverse: inputs
                .iter()
                .map(|m| {
                    if m.deviation() > 1e-6 {
                        1.0 / m.deviation()
                    } else {
                        0.0
                    }
                })
                .collect(),
            residual: residual
                .iter()
                .map(|moments| moments.map(|m| m.about_zero().max(1e-4)))
                .collect(),
        }
    }
}

/// Sums of present values.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f32) {
        if !value.is_nan() {
            let value = f64::from(value);
            self.count += 1.0;
            self.sum += value;
            self.squares += value * value;
        }
    }

    fn mean(&self) -> f32 {
        (self.sum / self.count.max(1.0)) as f32
    }

    fn deviation(&self) -> f32 {
        let mean = self.sum / self.count.max(1.0);
        (self.squares / self.count.max(1.0) - mean * mean)
            .max(0.0)
            .sqrt() as f32
    }

    /// Root mean square.
    fn about_zero(&self) -> f32 {
        (self.squares / self.count.max(1.0)).sqrt() as f32
    }
}

impl Model {
    /// Standardized inputs of `rows`, `rows × inputs`.
    pub(crate) fn standardized(&self, rows: &Rows) -> Vec<f32> {
        let inputs = self.inputs();
        let mut x = vec![0.0; rows.len() * inputs];
        for ((out, raw), service) in x
            .chunks_exact_mut(inputs)
            .zip(rows.features.chunks_exact(FEATURES))
            .zip(&rows.service)
        {
            let mut row = [[0.0]; FEATURES];
            row.as_flattened_mut().copy_from_slice(raw);
            self.scalers.standardize(&mut row);
            out[..FEATURES].copy_from_slice(row.as_flattened());
            out[FEATURES + usize::from(*service)] = 1.0;
        }
        x
    }
}
