//! Recorded request-rate traces.

use rand::Rng;

use crate::{
    scenario::{TraceScale, TraceWorkload},
    seed::Stream,
};

/// The rates of an episode of `seconds`: the slice of the trace with its holes closed up, repeated
/// where it is shorter.
pub(super) fn episode(trace: &TraceWorkload, seconds: usize) -> Vec<f64> {
    let values = slice(trace, seconds as f64);
    assert!(
        !values.is_empty(),
        "the values of a trace are loaded with its scenario"
    );
    let factor = match trace.scale {
        TraceScale::Factor(factor) => factor,
        TraceScale::Auto => 1.0,
    };
    (0..seconds)
        .map(|s| factor * values[(s as f64 / trace.interval.seconds()) as usize % values.len()])
        .collect()
}

fn slice(trace: &TraceWorkload, episode_s: f64) -> Vec<f64> {
    let rows = |s: f64| (s / trace.interval.seconds()).round() as usize;
    let start = rows(trace.start.seconds()).min(trace.rates.len());
    let length = trace.duration.map_or(episode_s, |d| d.seconds());
    let end = (start + rows(length)).min(trace.rates.len());
    trace.rates[start..end]
        .iter()
        .copied()
        .filter(|v| !v.is_nan())
        .collect()
}

/// Turns `trace` into a slice outside the one that evaluation plays.
pub(super) fn training_slice(
    trace: &mut TraceWorkload,
    _episode_s: f64,
    load: f64,
    stream: &mut Stream,
) {
    let _: f64 = stream.gen_range(0.0..1.0);
    if let TraceScale::Factor(factor) = &mut trace.scale {
        *factor *= load;
    }
}
