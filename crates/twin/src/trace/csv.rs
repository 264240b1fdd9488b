//! Reading CSV files by a mapping file.

use std::{collections::BTreeMap, fs, path::Path};

use polars::prelude::{CsvParseOptions, CsvReadOptions, DataFrame, SerReader};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Number, Text, Trace, hex, hold_replicas,
    mapping::{ColumnRule, FilePattern, Mapping, WindowEdge, Zeros},
    time, unit,
};
use crate::error::{Result, TwinError};

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    /// Path below the directory.
    pub name: String,
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
}

/// Rows that were left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Why.
    pub reason: String,
    /// How many.
    pub rows: usize,
}

/// What was read and what was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadReport {
    /// Files, sorted by name.
    pub files: Vec<InputFile>,
    /// SHA-256 over the sorted list of names and hashes.
    pub inputs_sha256: String,
    /// Rows kept.
    pub rows: usize,
    /// Rows left out, by reason.
    pub dropped: Vec<Dropped>,
    /// Runs that nothing may be fitted to, as the mapping says.
    pub validation_runs: Vec<String>,
    /// Whether weights fitted to this may be passed on.
    pub may_ship: bool,
}

/// Reads the CSV files below `dir` that `mapping` describes. With `keep_zeros` a 0 stays a value
/// even where the mapping knows that it stands for nothing: only to repeat published numbers.
///
/// # Errors
/// [`TwinError`] when no file matches, a column is neither mapped nor ignored, a unit does not fit,
/// a value is no number, or the rows break a rule of [`Trace::check`].
pub fn read_csv_mapped(
    dir: &Path,
    mapping: &Mapping,
    keep_zeros: bool,
) -> Result<(Trace, LoadReport)> {
    if mapping.format != 1 {
        let reason = format!(
            "mapping has format {}, this version reads 1",
            mapping.format
        );
        return Err(TwinError::Trace(reason));
    }
    let mut trace = Trace::new();
    let mut files = Vec::new();
    let mut dropped = BTreeMap::new();
    let mut validation_runs = Vec::new();
    let mut foreign = BTreeMap::new();
    for found in find_files(dir, mapping)? {
        if found.validate && !validation_runs.contains(&found.run) {
            validation_runs.push(found.run.clone());
        }
        let path = dir.join(&found.name);
        let bytes = fs::read(&path).map_err(|source| TwinError::File {
            path: path.clone(),
            source,
        })?;
        files.push(InputFile {
            name: found.name.clone(),
            sha256: hex(&Sha256::digest(&bytes)),
        });
        let mut reader = FileReader {
            mapping,
            keep_zeros,
            found: &found,
            path: &path,
            dropped: &mut dropped,
            foreign: &mut foreign,
        };
        reader.read(bytes, &mut trace)?;
    }
    append_foreign(&mut trace, mapping, &foreign);
    hold_replicas(&mut trace);
    trace.check()?;
    fill_actions(&mut trace);
    let report = LoadReport {
        inputs_sha256: inputs_hash(&files),
        files,
        rows: trace.len(),
        dropped: dropped
            .into_iter()
            .map(|(reason, rows)| Dropped { reason, rows })
            .collect(),
        validation_runs,
        may_ship: mapping.may_ship,
    };
    Ok((trace, report))
}

/// A hash of input files that does not depend on where they lie: SHA-256 over the sorted lines
/// `name sha256`.
#[must_use]
pub fn inputs_hash(files: &[InputFile]) -> String {
    let mut lines: Vec<String> = files
        .iter()
        .map(|f| format!("{} {}\n", f.name, f.sha256))
        .collect();
    lines.sort_unstable();
    hex(&Sha256::digest(lines.concat().as_bytes()))
}

/// A file and what its path says.
struct Found {
    name: String,
    run: String,
    service: String,
    policy: Option<String>,
    validate: bool,
}

fn find_files(dir: &Path, mapping: &Mapping) -> Result<Vec<Found>> {
    // As `glob` gives paths back, and with nothing in the folder's own name taken for a pattern.
    let root = dir.canonicalize().map_err(|source| TwinError::File {
        path: dir.to_owned(),
        source,
    })?;
    let escaped = glob::Pattern::escape(&root.to_string_lossy());
    let mut all: Vec<Found> = Vec::new();
    for pattern in &mapping.files {
        let shell = format!("{escaped}/{}", stars(&pattern.path));
        let paths = glob::glob(&shell)
            .map_err(|e| TwinError::Trace(format!("pattern {:?}: {e}", pattern.path)))?;
        let before = all.len();
        for path in paths.filter_map(std::result::Result::ok) {
            let Ok(relative) = path.strip_prefix(&root) else {
                continue;
            };
            let name = relative.to_string_lossy().replace('\\', "/");
            if all.iter().any(|found| found.name == name) {
                continue;
            }
            all.extend(describe(pattern, &name)?);
        }
        if all.len() == before {
            let reason = format!("no file below {} matches {}", dir.display(), pattern.path);
            return Err(TwinError::Trace(reason));
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// The pattern with every `{capture}` replaced by `*`.
fn stars(pattern: &str) -> String {
    let mut text = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        text.push('*');
        rest = after.split_once('}').map_or("", |(_, rest)| rest);
    }
    text + rest
}

fn describe(pattern: &FilePattern, name: &str) -> Result<Option<Found>> {
    let Some(captures) = captures(&pattern.path, name) else {
        return Ok(None);
    };
    let fill = |template: &str| fill(template, &captures);
    Ok(Some(Found {
        name: name.to_owned(),
        run: fill(&pattern.run)?,
        service: fill(&pattern.service)?,
        policy: pattern.policy.as_deref().map(fill).transpose()?,
        validate: pattern.validate,
    }))
}

/// What the captures of `pattern` stand for in `name`, one part of the path each.
fn captures(pattern: &str, name: &str) -> Option<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut parts = name.split('/');
    for piece in pattern.split('/') {
        let part = parts.next()?;
        if let Some((prefix, rest)) = piece.split_once('{') {
            let (key, suffix) = rest.split_once('}')?;
            let value = part.strip_prefix(prefix)?.strip_suffix(suffix)?;
            found.insert(key.to_owned(), value.to_owned());
        }
    }
    parts.next().is_none().then_some(found)
}

fn fill(template: &str, captures: &BTreeMap<String, String>) -> Result<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((key, after)) = after.split_once('}') else {
            return Err(TwinError::Trace(format!("unclosed {{ in {template:?}")));
        };
        let Some(value) = captures.get(key) else {
            let reason = format!("{template:?} needs {{{key}}}, which the path does not capture");
            return Err(TwinError::Trace(reason));
        };
        text.push_str(before);
        text.push_str(value);
        rest = after;
    }
    Ok(text + rest)
}

/// Values of columns that belong to another service than their file's: (run, service, instant).
type Foreign = BTreeMap<(String, String, i64), BTreeMap<Number, f64>>;

struct FileReader<'a> {
    mapping: &'a Mapping,
    keep_zeros: bool,
    found: &'a Found,
    path: &'a Path,
    dropped: &'a mut BTreeMap<String, usize>,
    foreign: &'a mut Foreign,
}

/// A mapped column of the file at hand.
struct Mapped<'a> {
    rule: &'a ColumnRule,
    field: Number,
    factor: f64,
    values: Vec<Option<f64>>,
}

impl<'a> FileReader<'a> {
    fn broken(&self, reason: impl Into<String>) -> TwinError {
        TwinError::Broken {
            path: self.path.to_owned(),
            reason: reason.into(),
        }
    }

    fn read(&mut self, bytes: Vec<u8>, trace: &mut Trace) -> Result<()> {
        let frame = CsvReadOptions::default()
            .with_has_header(true)
            .with_infer_schema_length(Some(0))
            .with_parse_options(CsvParseOptions::default().with_truncate_ragged_lines(false))
            .into_reader_with_file_handle(std::io::Cursor::new(bytes))
            .finish()
            .map_err(|e| self.broken(e.to_string()))?;
        self.check_columns(&frame)?;
        let instants = self.instants(&frame)?;
        let columns = self.columns(&frame)?;
        let mut last = i64::MIN;
        for (row, &ts_ms) in instants.iter().enumerate() {
            if ts_ms <= last && self.mapping.drop_unsorted {
                *self
                    .dropped
                    .entry("instant out of order".to_owned())
                    .or_default() += 1;
                continue;
            }
            last = ts_ms;
            self.push(trace, row, ts_ms, &columns);
        }
        Ok(())
    }

    fn check_columns(&self, frame: &DataFrame) -> Result<()> {
        let mapping = self.mapping;
        let known = |name: &str| {
            mapping.columns.contains_key(name)
                || mapping.time.column == name
                || mapping.ignore.iter().any(|ignored| ignored == name)
        };
        let names = frame.get_column_names();
        if let Some(name) = names.iter().find(|name| !known(name.as_str())) {
            return Err(self.broken(format!(
                "column {name:?} is neither mapped nor ignored by the mapping"
            )));
        }
        for (name, rule) in &mapping.columns {
            if !rule.optional && !names.iter().any(|n| n.as_str() == name) {
                return Err(self.broken(format!("column {name:?} is missing")));
            }
        }
        Ok(())
    }

    fn texts(&self, frame: &DataFrame, name: &str) -> Result<Vec<Option<String>>> {
        let column = frame.column(name).map_err(|e| self.broken(e.to_string()))?;
        let texts = column.str().map_err(|e| self.broken(e.to_string()))?;
        Ok(texts
            .downcast_iter()
            .flat_map(|chunk| chunk.iter().map(|t| t.map(str::to_owned)))
            .collect())
    }

    fn instants(&self, frame: &DataFrame) -> Result<Vec<i64>> {
        let rule = &self.mapping.time;
        let shift = match rule.marks {
            WindowEdge::Start => (self.mapping.interval_s * 1000.0).round() as i64,
            WindowEdge::End => 0,
        };
        self.texts(frame, &rule.column)?
            .iter()
            .enumerate()
            .map(|(row, text)| {
                let text = text.as_deref().unwrap_or_default();
                time::parse(text, rule.format)
                    .map(|ts| ts + shift)
                    .ok_or_else(|| {
                        let line = row + 2;
                        self.broken(format!("line {line}: {text:?} is not an instant"))
                    })
            })
            .collect()
    }

    fn columns(&self, frame: &DataFrame) -> Result<Vec<Mapped<'a>>> {
        let mapping = self.mapping;
        let mut columns = Vec::new();
        for (name, rule) in &mapping.columns {
            if frame.get_column_index(name).is_none() {
                continue;
            }
            let field = Number::named(&rule.field)
                .ok_or_else(|| self.broken(format!("no field is called {:?}", rule.field)))?;
            let factor = unit::to_common(field, rule.unit.as_deref(), self.mapping.interval_s)
                .ok_or_else(|| {
                    let unit = rule.unit.as_deref().unwrap_or_default();
                    let accepted = unit::accepted(field).join(", ");
                    self.broken(format!(
                        "unit {unit:?} does not fit {}; accepted: {accepted}",
                        rule.field
                    ))
                })?;
            columns.push(Mapped {
                rule,
                field,
                factor,
                values: self.values(frame, name)?,
            });
        }
        Ok(columns)
    }

    fn values(&self, frame: &DataFrame, name: &str) -> Result<Vec<Option<f64>>> {
        let texts = self.texts(frame, name)?;
        let parse = |(row, text): (usize, &Option<String>)| {
            let text = text.as_deref().map(str::trim).unwrap_or_default();
            // "NaN" parses as a number and becomes null with every other value that is not finite.
            match (text.is_empty(), text.parse::<f64>()) {
                (true, _) => Ok(None),
                (false, Ok(value)) => Ok(Some(value).filter(|v| v.is_finite())),
                (false, Err(_)) => Err(self.broken(format!(
                    "line {}: {text:?} in column {name:?} is not a number",
                    row + 2
                ))),
            }
        };
        texts.iter().enumerate().map(parse).collect()
    }

    fn push(&mut self, trace: &mut Trace, row: usize, ts_ms: i64, columns: &[Mapped<'_>]) {
        trace.push_row(ts_ms);
        describe_row(trace, self.mapping, &self.found.run, &self.found.service);
        if let Some(policy) = &self.found.policy {
            trace.set_text(Text::Policy, policy);
        }
        for column in columns {
            let dropped = !self.keep_zeros && column.rule.zeros == Zeros::Null;
            let value = column.values[row].filter(|v| !(dropped && *v == 0.0));
            let value = value.map(|v| v * column.factor);
            match (&column.rule.service, value) {
                (None, value) => trace.set(column.field, value),
                (Some(_), None) => {}
                (Some(service), Some(value)) => {
                    let key = (self.found.run.clone(), service.clone(), ts_ms);
                    let row = self.foreign.entry(key).or_default();
                    if row.insert(column.field, value).is_some() {
                        let reason = format!("{} of {service} in a second file", column.rule.field);
                        *self.dropped.entry(reason).or_default() += 1;
                    }
                }
            }
        }
    }
}

fn describe_row(trace: &mut Trace, mapping: &Mapping, run: &str, service: &str) {
    let kind = match mapping.time.format {
        super::TimeFormat::RelativeS => "relative",
        _ => "absolute",
    };
    trace.set_text(Text::TsKind, kind);
    trace.set_text(Text::Source, &mapping.source);
    trace.set_text(Text::Run, run);
    trace.set_text(Text::App, &mapping.app);
    trace.set_text(Text::Service, service);
    trace.set(Number::DtS, Some(mapping.interval_s));
}

fn append_foreign(trace: &mut Trace, mapping: &Mapping, foreign: &Foreign) {
    for ((run, service, ts_ms), values) in foreign {
        trace.push_row(*ts_ms);
        describe_row(trace, mapping, run, service);
        for (&field, &value) in values {
            trace.set(field, Some(value));
        }
    }
}

/// `action`: the change of desired replicas that follows; of all replicas where desired ones are
/// unknown; null in the last row of a run.
fn fill_actions(trace: &mut Trace) {
    let counted = |trace: &Trace, row| {
        trace
            .get(Number::Desired, row)
            .or_else(|| trace.get(Number::Total, row))
    };
    for series in trace.series() {
        for pair in series.rows.windows(2) {
            let action = counted(trace, pair[1])
                .zip(counted(trace, pair[0]))
                .map(|(next, now)| next - now);
            trace.set_at(Number::Action, pair[0], action);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_take_one_part_of_a_path_each() {
        let found = captures(
            "results/{service}/ml{step}m/x.csv",
            "results/cart/ml3m/x.csv",
        );
        let found = found.unwrap_or_default();
        assert_eq!(found.get("service").map(String::as_str), Some("cart"));
        assert_eq!(found.get("step").map(String::as_str), Some("3"));
        assert_eq!(
            stars("results/{service}/ml{step}m/x.csv"),
            "results/*/ml*m/x.csv"
        );
        assert!(captures("a/{b}", "a/b/c").is_none());
        assert!(fill("{missing}", &found).is_err());
    }

    #[test]
    fn the_hash_of_inputs_does_not_depend_on_their_order() {
        let file = |name: &str| InputFile {
            name: name.to_owned(),
            sha256: "00".to_owned(),
        };
        let (a, b) = (file("a"), file("b"));
        assert_eq!(
            inputs_hash(&[a.clone(), b.clone()]),
            inputs_hash(&[b.clone(), a.clone()])
        );
        assert_ne!(inputs_hash(&[a.clone(), b]), inputs_hash(&[a]));
    }
}
