//! Recorded request-rate traces: a file becomes rates, evaluation plays one slice of them, training
//! plays others.
//!
//! A row without a value is a hole: missing rows (where a time column tells), empty cells, NaN,
//! and in data of 1 s or finer runs of 10 or more zeros, which are outages of whoever recorded.
//! Holes are NaN in the rates and closed up when a slice is played; they are never 0.

mod error;
mod table;
mod told;

use std::{ops::RangeInclusive, path::Path, sync::Arc};

use rand::Rng;

pub use error::TraceError;
pub use told::told;

use super::{capacity, volume};
use crate::{
    files,
    scenario::{Scenario, Shape, TraceScale, TraceUnit, TraceWorkload, Workload},
    seed::Stream,
    units::Seconds,
};

/// Factors that values may be multiplied by, far beyond what a cluster could be asked for.
const FACTORS: RangeInclusive<f64> = 1e-9..=1e9;

/// How to read a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceOptions {
    /// Column name, or index from 0; the last column where absent.
    pub column: Option<String>,
    /// Time between rows.
    pub interval: Seconds,
    /// What a value is.
    pub unit: TraceUnit,
}

/// The rates of a whole trace.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceRates {
    /// Requests per second, one per interval; NaN is a hole.
    pub rates: Arc<[f64]>,
    /// Number of holes.
    pub holes: usize,
    /// The time between most rows, where a column of the file tells when they were.
    pub spacing: Option<Seconds>,
}

/// A trace with its rates.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedTrace {
    /// How it is played; the rates are filled in.
    pub workload: TraceWorkload,
    /// The time between most rows, where a column of the file tells when they were.
    pub spacing: Option<Seconds>,
}

impl LoadedTrace {
    /// What is likely not meant, in words: another interval than the file's own.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let (spacing, interval) = (self.spacing?, self.workload.interval);
        let differs = (spacing.seconds() - interval.seconds()).abs() > 0.01 * interval.seconds();
        differs.then(|| {
            format!(
                "rows of {} are {spacing} apart, the interval is {interval}: what is between is a hole",
                self.workload.file
            )
        })
    }
}

/// Reads the rates of the trace at `path`: text with one value per line, or columns separated by
/// comma, semicolon, tab or blanks, with or without a header.
///
/// # Errors
/// [`TraceError`] where the file or the column cannot be read as rates.
pub fn read(path: &Path, options: &TraceOptions) -> Result<TraceRates, TraceError> {
    let file = path.display().to_string();
    let text = files::read(path, files::MOST_DATA).map_err(|source| TraceError::Read {
        file: file.clone(),
        source,
    })?;
    let text = String::from_utf8_lossy(&text);
    let table::Column { values, spacing } = table::column(&text, &file, options)?;
    let interval = options.interval.seconds();
    let mut rates: Vec<f64> = match options.unit {
        TraceUnit::Count => values.into_iter().map(|count| count / interval).collect(),
        TraceUnit::Rps => values,
    };
    let is_zero = rates.contains(&0.0);
    if interval <= 1.0 {
        open_outages(&mut rates);
    }
    if rates.iter().all(|rate| rate.is_nan()) {
        return Err(if is_zero {
            TraceError::AllZero
        } else {
            TraceError::Empty { file }
        });
    }
    Ok(TraceRates {
        holes: rates.iter().filter(|rate| rate.is_nan()).count(),
        rates: rates.into(),
        spacing,
    })
}

/// Makes holes of runs of zeros that no user could have caused.
fn open_outages(rates: &mut [f64]) {
    const OUTAGE_ROWS: usize = 10;
    for run in rates.chunk_by_mut(|a, b| *a == 0.0 && *b == 0.0) {
        if run.len() >= OUTAGE_ROWS && run[0] == 0.0 {
            run.fill(f64::NAN);
        }
    }
}

/// Fills in the rates of `trace`, read from `path`.
///
/// # Errors
/// As [`read`].
pub fn load(path: &Path, mut trace: TraceWorkload) -> Result<LoadedTrace, TraceError> {
    let options = TraceOptions {
        column: trace.column.clone(),
        interval: trace.interval,
        unit: trace.unit,
    };
    let read = read(path, &options)?;
    trace.rates = read.rates;
    Ok(LoadedTrace {
        workload: trace,
        spacing: read.spacing,
    })
}

/// Checks the slices of a loaded `trace` in episodes of `scenario`, and writes out the factor that
/// `scale: auto` stands for.
///
/// # Errors
/// [`TraceError`] where evaluation or training would have nothing to play.
pub fn resolve(trace: &mut TraceWorkload, scenario: &Scenario) -> Result<(), TraceError> {
    const LEAST_TRAINING_S: f64 = 60.0;
    if let TraceScale::Factor(given) = trace.scale {
        factor(given)?;
    }
    let interval = trace.interval.seconds();
    let length = Seconds(trace.rates.len() as f64 * interval);
    if trace.start >= length {
        return Err(TraceError::Start {
            length,
            start: trace.start,
        });
    }
    let duration = trace.duration.unwrap_or(scenario.duration);
    if evaluation_values(trace, duration.seconds()).is_empty() {
        return Err(TraceError::Hole {
            start: trace.start,
            duration,
        });
    }
    let left = Seconds(training_rows(trace, duration.seconds()).len() as f64 * interval);
    if left.seconds() < LEAST_TRAINING_S {
        return Err(TraceError::NothingLeft { length, left });
    }
    if trace.scale == TraceScale::Auto {
        let peak = peak(&trace.rates, interval);
        if peak <= 0.0 {
            return Err(TraceError::AllZero);
        }
        trace.scale = factor(six_digits(capacity(scenario) / peak))?;
    }
    Ok(())
}

/// `factor` as a scale.
fn factor(factor: f64) -> Result<TraceScale, TraceError> {
    if FACTORS.contains(&factor) {
        Ok(TraceScale::Factor(factor))
    } else {
        Err(TraceError::Factor { factor })
    }
}

impl Scenario {
    /// The scenario with the loaded `trace` as the workload of itself and of all its contexts,
    /// whose faults and nodes stay, and the factor of `scale: auto` written out.
    ///
    /// # Errors
    /// [`TraceError`] where evaluation or training would have nothing to play.
    pub fn with_workload(&self, trace: TraceWorkload) -> Result<Self, TraceError> {
        let mut trace = trace;
        resolve(&mut trace, self)?;
        let mut scenario = self.clone();
        for context in &mut scenario.contexts {
            context.workload = None;
        }
        // A recorded load brings its own noise.
        scenario.workload = Workload {
            shape: Shape::Trace(trace),
            noise: 0.0,
            noise_memory: self.workload.noise_memory,
        };
        for (_, context) in scenario.in_every_context() {
            volume::check(&context).map_err(|why| TraceError::Load {
                why: why.to_string(),
            })?;
        }
        Ok(scenario)
    }
}

/// The busiest 5 s of a trace, or its busiest row where rows are longer.
#[must_use]
pub fn peak(rates: &[f64], interval_s: f64) -> f64 {
    let rows = (5.0 / interval_s).round().max(1.0) as usize;
    let valid: Vec<f64> = rates
        .iter()
        .copied()
        .filter(|rate| !rate.is_nan())
        .collect();
    let rows = rows.min(valid.len()).max(1);
    valid
        .windows(rows)
        .map(|window| window.iter().sum::<f64>() / rows as f64)
        .fold(0.0, f64::max)
}

/// Six significant digits, so that a recorded factor can be read and written by people.
fn six_digits(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

/// The rates of an episode of `seconds`: the slice of the trace with its holes closed up, linear
/// between rows longer than a second, repeated where it is shorter than the episode.
///
/// # Panics
/// If the values were not loaded.
pub(super) fn episode(trace: &TraceWorkload, seconds: usize) -> Vec<f64> {
    let length = trace.duration.map_or(seconds as f64, Seconds::seconds);
    let values = evaluation_values(trace, length);
    assert!(
        !values.is_empty(),
        "the values of a trace are loaded with its scenario"
    );
    let factor = match trace.scale {
        TraceScale::Factor(factor) => factor,
        TraceScale::Auto => 1.0,
    };
    let interval = trace.interval.seconds();
    let total = values.len() as f64 * interval;
    (0..seconds)
        .map(|second| {
            let row = (second as f64 % total) / interval;
            let at = (row as usize).min(values.len() - 1);
            let next = values.get(at + 1).unwrap_or(&values[at]);
            factor * (values[at] + (next - values[at]) * row.fract())
        })
        .collect()
}

/// First row and row after the last of the slice that evaluation plays.
fn evaluation_rows(trace: &TraceWorkload, length_s: f64) -> (usize, usize) {
    let rows = |s: f64| (s / trace.interval.seconds()).round() as usize;
    let start = rows(trace.start.seconds()).min(trace.rates.len());
    let end = start.saturating_add(rows(length_s)).min(trace.rates.len());
    (start, end)
}

fn evaluation_values(trace: &TraceWorkload, length_s: f64) -> Vec<f64> {
    let (start, end) = evaluation_rows(trace, length_s);
    let slice = trace.rates[start..end].iter().copied();
    slice.filter(|rate| !rate.is_nan()).collect()
}

/// Rows that training may play, holes left out: those after the slice of evaluation, then those
/// before it.
#[must_use]
pub fn training_rows(trace: &TraceWorkload, length_s: f64) -> Vec<usize> {
    let (start, end) = evaluation_rows(trace, length_s);
    (end..trace.rates.len())
        .chain(0..start)
        .filter(|&row| !trace.rates[row].is_nan())
        .collect()
}

/// Turns `trace` into a random slice of what [`training_rows`] leaves, as long as an episode of
/// `episode_s` and running round where less is left. Half of the slices keep the factor times
/// `load`; the other half are stretched to a peak of 0.3 to 1 of the whole trace's, so that a long
/// quiet trace trains for its rush hours, too.
pub(super) fn training_slice(
    trace: &mut TraceWorkload,
    episode_s: f64,
    load: f64,
    stream: &mut Stream,
) {
    let interval = trace.interval.seconds();
    let rows = training_rows(trace, trace.duration.map_or(episode_s, Seconds::seconds));
    assert!(
        !rows.is_empty(),
        "a trace that leaves nothing to train on is refused"
    );
    let length = ((episode_s / interval).ceil() as usize).clamp(1, rows.len());
    let first = stream.gen_range(0..rows.len());
    let stretched = stream.gen_bool(0.5);
    let share = stream.gen_range(0.3..1.0);
    let slice: Arc<[f64]> = (0..length)
        .map(|i| trace.rates[rows[(first + i) % rows.len()]])
        .collect();
    let own = peak(&slice, interval);
    let stretch = if stretched && own > 0.0 {
        share * peak(&trace.rates, interval) / own
    } else {
        load
    };
    if let TraceScale::Factor(factor) = &mut trace.scale {
        *factor *= stretch;
    }
    trace.start = Seconds(0.0);
    trace.duration = None;
    trace.rates = slice;
}
