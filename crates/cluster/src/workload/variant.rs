//! Variants of a scenario to train on: the same cluster, other onsets and magnitudes.

use rand::Rng;

use crate::{
    scenario::{Effect, Scenario, Shape},
    seed::{self, Stream},
    units::Seconds,
};

use super::trace;

/// A variant of `scenario` (one context) to train on, drawn by `seed`.
///
/// The cluster and the targets of faults stay. Disturbance, faults and the points of the workload
/// move together to another onset; their magnitudes change; the load is multiplied by 0.6 to 1.3;
/// a trace gives another slice, disjoint from the one that evaluation plays.
#[must_use]
pub fn training_variant(scenario: &Scenario, seed: u64) -> Scenario {
    let mut variant = scenario.clone();
    let mut stream = seed::derive(seed, "training variant", 0);
    let shift = draw_shift(&variant, &mut stream);
    let moved = |at: Seconds| Seconds((at.seconds() + shift).max(0.0));
    let load = stream.gen_range(0.6..1.3);
    let surge = stream.gen_range(0.6..1.4);
    match &mut variant.workload.shape {
        Shape::Constant { rate } => *rate *= load,
        Shape::Sine { rate, .. } => *rate *= load,
        Shape::Points { rate, points } => {
            *rate *= load;
            for point in points {
                point.at = moved(point.at);
                point.factor = (1.0 + (point.factor - 1.0) * surge).max(0.0);
            }
        }
        Shape::Closed { clients, .. } => {
            *clients = (f64::from(*clients) * load).round().max(1.0) as u32;
        }
        Shape::Trace(trace) => {
            trace::training_slice(trace, scenario.duration.seconds(), load, &mut stream);
        }
    }
    for fault in &mut variant.faults {
        fault.at = moved(fault.at);
        vary(&mut fault.effect, &mut stream);
    }
    if let Some(window) = &mut variant.disturbance {
        window.at = moved(window.at);
    }
    variant
}

/// How far everything that happens moves: uniform over what keeps it in the episode, with a minute
/// of calm on both sides where there is room for it.
fn draw_shift(scenario: &Scenario, stream: &mut Stream) -> f64 {
    const CALM_S: f64 = 60.0;
    let mut spans: Vec<(f64, f64)> = scenario
        .faults
        .iter()
        .map(|f| (f.at.seconds(), f.at.seconds() + f.duration.seconds()))
        .collect();
    spans.extend(
        scenario
            .disturbance
            .map(|w| (w.at.seconds(), w.at.seconds() + w.duration.seconds())),
    );
    if let Shape::Points { points, .. } = &scenario.workload.shape
        && let (Some(first), Some(last)) = (points.first(), points.last())
    {
        // A point at the very start states the level before the first change; it stays with it.
        let onset = points
            .get(1)
            .filter(|_| first.at.seconds() <= 0.0)
            .unwrap_or(first);
        spans.push((onset.at.seconds(), last.at.seconds()));
    }
    let onset = spans.iter().map(|s| s.0).fold(f64::INFINITY, f64::min);
    let end = spans.iter().map(|s| s.1).fold(0.0, f64::max);
    let least = (CALM_S - onset).min(0.0);
    let most = (scenario.duration.seconds() - CALM_S - end).max(0.0);
    if onset.is_finite() && least < most {
        // Whole seconds, so that what was written in seconds stays so.
        stream.gen_range(least..most).round()
    } else {
        0.0
    }
}

/// Changes the magnitude of an effect, never its target.
fn vary(effect: &mut Effect, stream: &mut Stream) {
    let mut factor = || stream.gen_range(0.5..1.3);
    match effect {
        Effect::DdosFlood { factor: flood, .. } | Effect::YoYo { factor: flood, .. } => {
            *flood = 1.0 + (*flood - 1.0) * factor();
        }
        Effect::SlowConnections { rate, .. } => *rate *= factor(),
        Effect::PodKill { every, .. } => {
            let factor = factor();
            *every = every.map(|e| Seconds((e.seconds() * factor).round().max(1.0)));
        }
        Effect::StressCpu { load, .. } => *load = (*load * factor()).min(0.95),
        Effect::StressMemory { size, .. } => size.0 *= factor(),
        Effect::NetworkDelay {
            latency, jitter, ..
        } => {
            let factor = factor();
            latency.0 *= factor;
            jitter.0 *= factor;
        }
        Effect::NetworkLoss { loss, .. } => *loss = (*loss * factor()).min(1.0),
        Effect::ApiErrors { probability } => *probability = (*probability * factor()).min(1.0),
        Effect::PodFailure { .. } | Effect::MetricOutage { .. } => {}
    }
}
