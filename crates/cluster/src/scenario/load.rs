//! Legitimate load.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::defaults;
use crate::units::Seconds;

/// Legitimate load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Request rate over time.
    pub shape: Shape,
    /// Standard deviation of the slow random factor on the rate (it has memory), over the rate.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 2.0))]
    pub noise: f64,
    /// Correlation time of that factor.
    #[serde(default = "defaults::noise_memory")]
    pub noise_memory: Seconds,
}

/// Request rate over time, all entries together (split evenly).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Shape {
    /// The same rate throughout.
    Constant {
        /// Requests per second.
        #[schemars(range(min = 0.0))]
        rate: f64,
    },
    /// Linear between points; constant before the first and after the last.
    Points {
        /// Base rate, multiplied by each point's factor.
        #[schemars(range(min = 0.0))]
        rate: f64,
        /// Instants and factors, in order of time.
        #[schemars(length(min = 1))]
        points: Vec<Point>,
    },
    /// A sinusoid.
    Sine {
        /// Mean requests per second.
        #[schemars(range(min = 0.0))]
        rate: f64,
        /// Amplitude over mean.
        #[schemars(range(min = 0.0, max = 1.0))]
        amplitude: f64,
        /// Period.
        #[schemars(extend("exclusiveMinimum" = 0))]
        period: Seconds,
    },
    /// Clients that think, ask, and wait for the answer.
    Closed {
        /// Number of clients.
        #[schemars(range(min = 1, max = 1000000))]
        clients: u32,
        /// Mean think time (exponential); 0 for none.
        think_time: Seconds,
    },
    /// A recorded request-rate trace.
    Trace(TraceWorkload),
}

/// An instant and a factor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Instant.
    pub at: Seconds,
    /// Factor on the base rate.
    #[schemars(range(min = 0.0))]
    pub factor: f64,
}

/// A recorded request-rate trace and how to read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceWorkload {
    /// File, relative to the scenario file.
    pub file: String,
    /// Column name, or index from 0; the last column where absent.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "word"
    )]
    #[schemars(extend("type" = ["string", "integer", "null"], "x-word" = true))]
    pub column: Option<String>,
    /// Time between rows.
    #[serde(default = "defaults::one_second")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub interval: Seconds,
    /// What a value is.
    #[serde(default)]
    pub unit: TraceUnit,
    /// Where the evaluation's slice starts, from the start of the file.
    #[serde(default)]
    pub start: Seconds,
    /// Length of one slice; the episode's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Seconds>,
    /// Factor on the values; `auto` makes the peak the scenario's capacity.
    #[serde(default)]
    pub scale: TraceScale,
    /// The values as requests per second, one per interval, unscaled; NaN is a hole. Not in the
    /// file: whoever loads the scenario fills it.
    #[serde(skip)]
    pub rates: Arc<[f64]>,
}

/// What a value of a trace is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TraceUnit {
    /// Requests per interval.
    #[default]
    Count,
    /// Requests per second.
    Rps,
}

/// Factor on the values of a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TraceScale {
    /// The peak of the trace becomes the capacity of the scenario at its replica bounds.
    #[default]
    Auto,
    /// This factor.
    Factor(#[schemars(extend("exclusiveMinimum" = 0))] f64),
}

/// Text, or a whole number as text.
fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Word {
        Number(u64),
        Text(String),
    }
    let word = Option::<Word>::deserialize(deserializer)?;
    Ok(word.map(|word| match word {
        Word::Number(number) => number.to_string(),
        Word::Text(text) => text,
    }))
}
