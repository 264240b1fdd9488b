//! Why a trace cannot be used.

use crate::units::Seconds;

/// Why a trace cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be read.
    #[error("{file} cannot be read")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file has no row with a value.
    #[error("{file} has no values")]
    Empty {
        /// The file.
        file: String,
    },
    /// The column does not exist.
    #[error("{file} has no column {column}; it has {known}")]
    Column {
        /// The file.
        file: String,
        /// As asked for.
        column: String,
        /// What there is.
        known: String,
    },
    /// No column was asked for, and the last one looks like times.
    #[error("{file}: the last column{name} looks like times, not like requests")]
    Time {
        /// The file.
        file: String,
        /// Its name in brackets, where there is a header.
        name: String,
    },
    /// A cell is not a request rate.
    #[error("{file}:{line}: {text:?} is not {expected}")]
    Value {
        /// The file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// The cell.
        text: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The time column does not run in steps of the interval.
    #[error("{file}:{line}: rows are {found} apart, the interval is {interval}")]
    Interval {
        /// The file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Time to the row before.
        found: Seconds,
        /// As asked for.
        interval: Seconds,
    },
    /// The slice for evaluation starts after the end.
    #[error("the trace ends after {length}, before the slice starts at {start}")]
    Start {
        /// Length of the trace.
        length: Seconds,
        /// As asked for.
        start: Seconds,
    },
    /// The slice for evaluation holds nothing but holes.
    #[error("the slice of {duration} from {start} holds no values")]
    Hole {
        /// Its start.
        start: Seconds,
        /// Its length.
        duration: Seconds,
    },
    /// Evaluation plays the whole trace.
    #[error("the trace of {length} leaves {left} to train on beside the slice for evaluation")]
    NothingLeft {
        /// Length of the trace.
        length: Seconds,
        /// Outside the slice, without holes.
        left: Seconds,
    },
    /// Every value is 0, so that no factor makes the peak the capacity.
    #[error("every value is 0")]
    AllZero,
    /// With the trace as its load the scenario cannot be played.
    #[error("{why}")]
    Load {
        /// In words.
        why: String,
    },
    /// The factor, given or found, makes nothing that a cluster could be asked for.
    #[error("a factor of {factor:?} is out of range")]
    Factor {
        /// On the values.
        factor: f64,
    },
}

impl TraceError {
    /// What to do about it; empty where nothing helps beyond the message.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "the path is relative to the file that names it",
            Self::Empty { .. } => "one value per line, or CSV; column chooses by name or index",
            Self::Time { .. } => {
                "say which column holds the requests: column, or --workload-column"
            }
            Self::Column { .. } => "name a column as the header does, or count from 0",
            Self::Value { .. } => "choose another column, or empty the cell: empty is a hole",
            Self::Interval { .. } => "set interval to the time between rows",
            Self::Start { .. } => "let the slice start earlier",
            Self::Hole { .. } => "let the slice start elsewhere",
            Self::NothingLeft { .. } => {
                "play less of it (duration) or take a longer trace: training and evaluation share none"
            }
            Self::AllZero => "choose another column, or give a factor as scale",
            Self::Load { .. } => "choose another factor as scale",
            Self::Factor { .. } => "choose a column of requests, and a factor from 1e-9 to 1e9",
        }
    }

    /// The key of `TraceWorkload` that it is about.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::Empty { .. } | Self::Value { .. } => "file",
            Self::Column { .. } | Self::Time { .. } => "column",
            Self::Interval { .. } => "interval",
            Self::Start { .. } | Self::Hole { .. } => "start",
            Self::NothingLeft { .. } => "duration",
            Self::AllZero | Self::Load { .. } | Self::Factor { .. } => "scale",
        }
    }
}
