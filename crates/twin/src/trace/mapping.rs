//! The mapping file: how somebody else's CSV files become the common schema.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a mapping file says. It describes files; it holds no data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Version of this format; 1.
    pub format: u32,
    /// Name of the data set.
    pub source: String,
    /// Name of the application.
    pub app: String,
    /// Whether weights fitted to these files may be passed on.
    #[serde(default)]
    pub may_ship: bool,
    /// Seconds between rows.
    pub interval_s: f64,
    /// Which files, and what their paths say.
    pub files: Vec<FilePattern>,
    /// Where the instant stands.
    pub time: TimeRule,
    /// What the columns mean.
    pub columns: BTreeMap<String, ColumnRule>,
    /// Columns to leave out. A column that is neither mapped nor left out is refused.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// Drop rows whose instant is not after the one before, instead of refusing the file. Only for
    /// sets whose description names such rows.
    #[serde(default)]
    pub drop_unsorted: bool,
}

/// Files below the directory, by a pattern in which `{name}` captures one part of the path (never a
/// `/`) and `*` and `?` match as in a shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilePattern {
    /// Path relative to the directory, e.g. `results/ob/{service}/{step}/train.csv`.
    pub path: String,
    /// Run, with captures filled in, e.g. `results/ob/{step}`.
    pub run: String,
    /// Service, with captures filled in.
    #[serde(default = "service_capture")]
    pub service: String,
    /// What decided the replicas, with captures filled in; unknown where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Keep these runs for measuring; nothing is fitted to them.
    #[serde(default)]
    pub validate: bool,
}

fn service_capture() -> String {
    "{service}".to_owned()
}

/// Where the instant of a row stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeRule {
    /// Column.
    pub column: String,
    /// How it is written.
    pub format: TimeFormat,
    /// Which end of the window it names.
    #[serde(default)]
    pub marks: WindowEdge,
}

/// How an instant is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// `YYYY-MM-DD HH:MM:SS`, read as UTC.
    DateTime,
    /// Seconds since 1970.
    EpochS,
    /// Milliseconds since 1970.
    EpochMs,
    /// Seconds since the start of the run.
    RelativeS,
}

/// Which end of its window an instant names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowEdge {
    /// The start: one interval is added.
    Start,
    /// The end.
    #[default]
    End,
}

/// What a column means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnRule {
    /// Field of the common schema.
    pub field: String,
    /// Unit of the column; the field's own where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What a 0 in the column stands for.
    #[serde(default)]
    pub zeros: Zeros,
    /// Service that the column belongs to instead of the file's, e.g. `__app__`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Whether files without this column are accepted.
    #[serde(default)]
    pub optional: bool,
}

/// What a 0 stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Zeros {
    /// A value.
    #[default]
    Value,
    /// Nothing measured.
    Null,
}
