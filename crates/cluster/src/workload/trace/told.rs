//! A recorded workload in words: what was read, and what of it is played.

use super::{evaluation_rows, peak, training_rows};
use crate::{
    scenario::{TraceScale, TraceWorkload},
    units::Seconds,
};

/// What the loaded `trace` holds, the rates that its factor makes of it, and the slices that evaluation
/// and training play of it in episodes of length `episode`.
#[must_use]
pub fn told(trace: &TraceWorkload, episode: Seconds) -> String {
    let interval = trace.interval.seconds();
    let span = |rows: usize| Seconds(rows as f64 * interval);
    let values = |rates: &[f64]| rates.iter().filter(|rate| !rate.is_nan()).count();
    let count = values(&trace.rates);
    let factor = match trace.scale {
        TraceScale::Factor(factor) => factor,
        TraceScale::Auto => 1.0,
    };
    let valid = trace.rates.iter().filter(|rate| !rate.is_nan());
    let mean = factor * valid.sum::<f64>() / count.max(1) as f64;
    let most = factor * peak(&trace.rates, interval);

    let slice = trace.duration.unwrap_or(episode).seconds();
    let (start, end) = evaluation_rows(trace, slice);
    let evaluated = values(&trace.rates[start..end]);
    let left = training_rows(trace, slice).len();
    // What an episode has to play more than once.
    let again = |rows: usize| {
        if span(rows) < episode {
            format!(
                " ({}, repeated to fill an episode of {episode})",
                span(rows)
            )
        } else {
            String::new()
        }
    };
    format!(
        "{count} values of {} each{}; times {factor} they are {mean:.0} requests/s on average, {most:.0} \
         at their peak; evaluation plays {} to {}{}, training plays slices of the rest{}",
        trace.interval,
        holes(trace.rates.len() - count),
        span(start),
        span(end),
        again(evaluated),
        again(left),
    )
}

/// That holes are not played.
fn holes(count: usize) -> String {
    match count {
        0 => ", no holes".to_owned(),
        1 => ", 1 hole is skipped with its time".to_owned(),
        _ => format!(", {count} holes are skipped with their time"),
    }
}
