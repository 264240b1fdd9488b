//! Arrivals: the legitimate request rate over time, attack rates on top, and variants to train on.
//!
//! Rates are per second of the episode, all entries together. What a load does beyond its rate
//! (when single requests arrive, how much work they bring) is the emulator's.

pub mod capacity;
pub mod trace;
pub mod variant;
pub(crate) mod volume;

use std::f64::consts::TAU;

use rand_distr::{Distribution, StandardNormal};

pub(crate) use capacity::visits_from;
pub use capacity::{capacity, visits};
pub use variant::training_variant;

use crate::{
    scenario::{Effect, Point, Scenario, Shape},
    seed,
};

/// Legitimate requests per second for every second of an episode of `scenario` (one context).
///
/// The shape times a slow random factor `max(0, 1 + noise · x)`, x a stationary Ornstein-Uhlenbeck
/// process of unit variance with the workload's `noise_memory`. `seed` draws the factor alone, and
/// the same seed gives the same rates. Of a closed loop, which has no rate of its own, the rate
/// that its clients would reach without queueing, at most [`capacity()`].
///
/// # Panics
/// If the values of a trace were not loaded ([`crate::scenario::load`] loads them).
#[must_use]
pub fn rates(scenario: &Scenario, seed: u64) -> Vec<f64> {
    let seconds = episode_seconds(scenario);
    let shape = shape_rates(scenario, seconds);
    let workload = &scenario.workload;
    if workload.noise <= 0.0 {
        return shape;
    }
    let memory = workload.noise_memory.seconds();
    let keep = if memory > 0.0 {
        (-1.0 / memory).exp()
    } else {
        0.0
    };
    let fresh = (1.0 - keep * keep).sqrt();
    let mut stream = seed::derive(seed, "workload noise", 0);
    let mut normal = || -> f64 { StandardNormal.sample(&mut stream) };
    let mut x = normal();
    shape
        .into_iter()
        .map(|rate| {
            let noisy = rate * (1.0 + workload.noise * x).max(0.0);
            x = keep * x + fresh * normal();
            noisy
        })
        .collect()
}

/// Attack requests per second on top of the legitimate rates `legit`: floods and yo-yo floods of
/// all entries. Slow connections are not requests and not counted.
#[must_use]
pub fn attack_rates(scenario: &Scenario, legit: &[f64]) -> Vec<f64> {
    let mut rates = vec![0.0; legit.len()];
    for fault in &scenario.faults {
        let (start, length) = (fault.at.seconds(), fault.duration.seconds());
        for (second, (rate, legit)) in rates.iter_mut().zip(legit).enumerate() {
            let into = second as f64 - start;
            if into < 0.0 || into >= length {
                continue;
            }
            *rate += legit * extra(&fault.effect, into);
        }
    }
    rates
}

/// Attack rate over legitimate rate, `into` seconds after the onset of `effect`.
fn extra(effect: &Effect, into: f64) -> f64 {
    match effect {
        Effect::DdosFlood { factor, .. } => (factor - 1.0).max(0.0),
        Effect::YoYo {
            factor,
            period,
            duty,
            ..
        } if into.rem_euclid(period.seconds().max(1.0)) < duty * period.seconds() => {
            (factor - 1.0).max(0.0)
        }
        _ => 0.0,
    }
}

fn episode_seconds(scenario: &Scenario) -> usize {
    scenario.duration.seconds().round().max(1.0) as usize
}

/// The shape of the workload, without noise.
fn shape_rates(scenario: &Scenario, seconds: usize) -> Vec<f64> {
    let at = |f: &dyn Fn(f64) -> f64| (0..seconds).map(|s| f(s as f64)).collect();
    match &scenario.workload.shape {
        Shape::Constant { rate } => vec![*rate; seconds],
        Shape::Points { rate, points } => at(&|s| rate * factor_at(points, s)),
        Shape::Sine {
            rate,
            amplitude,
            period,
        } => at(&|s| (rate * (1.0 + amplitude * (TAU * s / period.seconds()).sin())).max(0.0)),
        Shape::Closed {
            clients,
            think_time,
        } => {
            let rate = capacity::closed_rate(scenario, f64::from(*clients), think_time.seconds());
            vec![rate; seconds]
        }
        Shape::Trace(trace) => trace::episode(trace, seconds),
    }
}

/// Linear between points, constant before the first and after the last.
fn factor_at(points: &[Point], second: f64) -> f64 {
    let after = points.partition_point(|p| p.at.seconds() <= second);
    let (Some(next), Some(last)) = (points.get(after), after.checked_sub(1).map(|i| points[i]))
    else {
        return match points.get(after).or(points.last()) {
            Some(only) => only.factor,
            None => 1.0,
        };
    };
    let span = next.at.seconds() - last.at.seconds();
    last.factor + (next.factor - last.factor) * (second - last.at.seconds()) / span
}
