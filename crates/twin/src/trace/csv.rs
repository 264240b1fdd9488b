//! Reading CSV files by a mapping file.

mod files;
mod records;
mod table;

use std::{collections::BTreeMap, path::Path};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::table::Table;
use super::{Number, Text, Trace, hex, hold_replicas, mapping::Mapping};
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
    /// Runs, sorted.
    pub runs: Vec<String>,
    /// Services, sorted.
    pub services: Vec<String>,
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
    let found = files::find_files(dir, mapping)?;
    let tables: Vec<Result<Table>> = found
        .par_iter()
        .map(|found| table::read(dir, mapping, found, keep_zeros))
        .collect();
    let mut trace = Trace::new();
    let mut files = Vec::new();
    let mut dropped: BTreeMap<String, usize> = BTreeMap::new();
    let mut validation_runs = Vec::new();
    let mut foreign = Foreign::new();
    for (found, table) in found.iter().zip(tables) {
        let table = table?;
        if found.validate && !validation_runs.contains(&found.run) {
            validation_runs.push(found.run.clone());
        }
        files.push(table.input);
        trace.append(&table.trace);
        if table.unsorted > 0 {
            *dropped
                .entry("instant out of order".to_owned())
                .or_default() += table.unsorted;
        }
        for value in table.foreign {
            let key = (found.run.clone(), value.service, value.ts_ms);
            if foreign
                .get(&key)
                .is_some_and(|row| row.contains_key(&value.field))
            {
                let reason = format!("{} of {} in a second file", value.field.name(), key.1);
                *dropped.entry(reason).or_default() += 1;
            }
            foreign
                .entry(key)
                .or_default()
                .insert(value.field, value.value);
        }
    }
    append_foreign(&mut trace, mapping, &foreign);
    hold_replicas(&mut trace);
    trace.check()?;
    trace.fill_actions();
    let report = LoadReport {
        inputs_sha256: inputs_hash(&files),
        files,
        rows: trace.len(),
        runs: owned(&trace.runs()),
        services: owned(&trace.services()),
        dropped: dropped
            .into_iter()
            .map(|(reason, rows)| Dropped { reason, rows })
            .collect(),
        validation_runs,
        may_ship: mapping.may_ship,
    };
    Ok((trace, report))
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().copied().map(str::to_owned).collect()
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

/// Values of columns that belong to another service than their file's: (run, service, instant).
type Foreign = BTreeMap<(String, String, i64), BTreeMap<Number, f64>>;

/// What the texts of a row say about where it comes from.
fn origin<'a>(mapping: &'a Mapping, run: &'a str, service: &'a str) -> [(Text, &'a str); 5] {
    let kind = match mapping.time.format {
        super::TimeFormat::RelativeS => "relative",
        _ => "absolute",
    };
    [
        (Text::TsKind, kind),
        (Text::Source, &mapping.source),
        (Text::Run, run),
        (Text::App, &mapping.app),
        (Text::Service, service),
    ]
}

fn append_foreign(trace: &mut Trace, mapping: &Mapping, foreign: &Foreign) {
    for ((run, service, ts_ms), values) in foreign {
        trace.push_row(*ts_ms);
        for (field, text) in origin(mapping, run, service) {
            trace.set_text(field, text);
        }
        trace.set(Number::DtS, Some(mapping.interval_s));
        for (&field, &value) in values {
            trace.set(field, Some(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
