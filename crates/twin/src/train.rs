//! Training the ensemble: Gaussian likelihood of residuals.

use std::{
    f32::consts::PI,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

use karma_cluster::{Interrupted, Watch, seed};
use karma_nn::{Activation, AdamStep, Learner, Mlp, MlpShape, Objective, SLOTS, kernel};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use crate::{
    data::Rows,
    error::{Result, TwinError},
    features::OUTPUTS,
    fit::FitSettings,
    neural::{LOG_VARIANCE, Model},
};

/// Share of the variance that a residual is weighted by. At 0, the plain likelihood, rows that are
/// hard to predict hardly teach the mean at all (Seitzer et al. 2022, "On the pitfalls of
/// heteroscedastic uncertainty estimation").
const BETA: f32 = 0.5;

/// Normalized errors are clipped here: one outlier must not move a mean.
const ERROR_CLIP: f32 = 5.0;

/// Longest gradient.
const CLIP_NORM: f32 = 1.0;

/// Fits the members of `model` to `rows`.
pub(crate) fn train(
    model: &mut Model,
    rows: &Rows,
    settings: &FitSettings,
    seed: u64,
    watch: &dyn Watch,
) -> Result<()> {
    let x = model.standardized(rows);
    let y: Vec<f32> = rows
        .residuals
        .iter()
        .zip(&rows.service)
        .flat_map(|(residual, service)| {
            let scale = model.scalers.residual[usize::from(*service)];
            std::array::from_fn::<f32, OUTPUTS, _>(|k| residual[k] / scale[k])
        })
        .collect();
    let lesson = Lesson {
        x: &x,
        y: &y,
        inputs: model.inputs(),
        outputs: OUTPUTS,
        beta: BETA,
    };
    model.members = ensemble(&lesson, settings, seed, watch)?;
    Ok(())
}

/// What an ensemble learns: standardized inputs and normalized targets, NaN where there is none.
pub(crate) struct Lesson<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) y: &'a [f32],
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Share of the variance that a residual is weighted by.
    pub(crate) beta: f32,
}

/// Trains the members of an ensemble: `2 × outputs` numbers each, means and then log-variances.
pub(crate) fn ensemble(
    lesson: &Lesson<'_>,
    settings: &FitSettings,
    seed: u64,
    watch: &dyn Watch,
) -> Result<Vec<Mlp>> {
    let shape = MlpShape {
        inputs: lesson.inputs,
        hidden: vec![settings.hidden; settings.layers],
        outputs: 2 * lesson.outputs,
        activation: Activation::Relu,
        recurrent: false,
    };
    let done = AtomicU64::new(0);
    let members: Vec<Option<Mlp>> = (0..settings.members as u64)
        .into_par_iter()
        .map(|member| {
            let member = Member {
                lesson,
                shape: &shape,
                settings,
                stream: seed::derive_seed(seed, "twin member", member),
            };
            member.train(watch, &done)
        })
        .collect();
    members
        .into_iter()
        .map(|mlp| mlp.ok_or(TwinError::Interrupted(Interrupted)))
        .collect()
}

/// One member in training.
struct Member<'a> {
    lesson: &'a Lesson<'a>,
    shape: &'a MlpShape,
    settings: &'a FitSettings,
    stream: u64,
}

impl Member<'_> {
    fn train(&self, watch: &dyn Watch, done: &AtomicU64) -> Option<Mlp> {
        let mut stream = seed::derive(self.stream, "initial weights", 0);
        let mut mlp = Mlp::new(self.shape.clone(), &mut stream, 0.1);
        let mut learner = Learner::new(&mlp);
        let rows = self.lesson.y.len() / self.lesson.outputs;
        let mut order: Vec<u32> = (0..rows as u32).collect();
        let batch = self.settings.batch.min(order.len()).max(1);
        let per_epoch = (order.len() / batch).max(1);
        let epochs = self.settings.epochs;
        let total = (epochs * per_epoch) as f32;
        let mut works = vec![0.0_f64; SLOTS];
        for epoch in 0..epochs {
            if watch.stopped() {
                return None;
            }
            works.fill(0.0);
            order.shuffle(&mut seed::derive(self.stream, "rows", epoch as u64));
            for (number, rows) in order.chunks_exact(batch).enumerate() {
                let likelihood = Likelihood {
                    lesson: self.lesson,
                    rows,
                };
                learner.gradient(&mlp, rows.len(), &likelihood, &mut works);
                let progress = (epoch * per_epoch + number) as f32 / total;
                let adam = AdamStep {
                    learning_rate: self.settings.learning_rate
                        * 0.5
                        * (1.0 + (PI * progress).cos()),
                    clip_norm: CLIP_NORM,
                };
                // A step that is not finite was not made: the next batch goes on from there.
                let _ = learner.step(&mut mlp, adam);
            }
            let rows = (per_epoch * batch * self.lesson.outputs) as f64;
            let note = format!("loss {:.3}", works.iter().sum::<f64>() / rows);
            let epochs_done = done.fetch_add(1, Ordering::Relaxed) + 1;
            let all = (self.settings.members * epochs) as u64;
            watch.progress("fit", epochs_done, all, &note);
        }
        Some(mlp)
    }
}

/// Gaussian negative log-likelihood of one batch.
struct Likelihood<'a> {
    lesson: &'a Lesson<'a>,
    rows: &'a [u32],
}

impl Objective for Likelihood<'_> {
    /// Sum of the losses, for the log.
    type Work = f64;

    fn input<'a>(&'a self, row: usize, _: &'a mut [f32]) -> &'a [f32] {
        let at = self.rows[row] as usize * self.lesson.inputs;
        &self.lesson.x[at..at + self.lesson.inputs]
    }

    fn prefetch(&self, row: usize) {
        let at = self.rows[row] as usize * self.lesson.inputs;
        kernel::prefetch(&self.lesson.x[at..at + self.lesson.inputs]);
    }

    fn loss(&self, rows: Range<usize>, out: &[f32], d_out: &mut [f32], work: &mut f64) {
        let share = 1.0 / self.rows.len() as f32;
        let outputs = self.lesson.outputs;
        for ((row, out), d_out) in rows
            .zip(out.chunks_exact(2 * outputs))
            .zip(d_out.chunks_exact_mut(2 * outputs))
        {
            let at = self.rows[row] as usize * outputs;
            let target = &self.lesson.y[at..at + outputs];
            for k in 0..outputs {
                let (d_mean, d_log_variance, loss) =
                    likelihood(target[k], out[k], out[outputs + k], self.lesson.beta);
                d_out[k] = d_mean * share;
                d_out[outputs + k] = d_log_variance * share;
                *work += f64::from(loss);
            }
        }
    }
}

/// Derivatives by mean and log-variance, and the loss; zeros where there is no target.
#[inline]
fn likelihood(target: f32, mean: f32, raw: f32, beta: f32) -> (f32, f32, f32) {
    if target.is_nan() {
        return (0.0, 0.0, 0.0);
    }
    let log_variance = raw.clamp(LOG_VARIANCE.0, LOG_VARIANCE.1);
    let deviation = crate::math::exp(0.5 * log_variance);
    let error = ((mean - target) / deviation).clamp(-ERROR_CLIP, ERROR_CLIP);
    let weight = crate::math::exp(beta * log_variance);
    let mut d_log_variance = weight * 0.5 * (1.0 - error * error);
    // Outside its bounds a log-variance is only pulled back.
    if (raw < LOG_VARIANCE.0 && d_log_variance > 0.0)
        || (raw > LOG_VARIANCE.1 && d_log_variance < 0.0)
    {
        d_log_variance = 0.0;
    }
    (
        weight * error / deviation,
        d_log_variance,
        0.5 * (log_variance + error * error),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derivatives_are_those_of_the_loss() {
        let (target, mean, raw) = (0.7_f32, 0.2_f32, -0.4_f32);
        let loss =
            |mean: f32, raw: f32| f64::from(0.5 * (raw + (mean - target).powi(2) * (-raw).exp()));
        let weight = f64::from((BETA * raw).exp());
        let (d_mean, d_raw, value) = likelihood(target, mean, raw, BETA);
        let h = 1e-2_f32;
        let by_mean = (loss(mean + h, raw) - loss(mean - h, raw)) / (2.0 * f64::from(h));
        let by_raw = (loss(mean, raw + h) - loss(mean, raw - h)) / (2.0 * f64::from(h));
        assert!((f64::from(d_mean) - weight * by_mean).abs() < 1e-3);
        assert!((f64::from(d_raw) - weight * by_raw).abs() < 1e-3);
        assert!((f64::from(value) - loss(mean, raw)).abs() < 1e-5);
        assert_eq!(likelihood(f32::NAN, mean, raw, BETA), (0.0, 0.0, 0.0));
    }
}
