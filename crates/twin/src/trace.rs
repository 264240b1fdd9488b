//! Traces: the common long-row schema in memory and in files.

mod actions;
mod check;
mod column;
mod csv;
mod hash;
mod mapping;
mod parquet;
pub mod schema;
mod time;
mod unit;

use std::collections::BTreeMap;

pub use check::{hold_latency, hold_replicas};
pub use column::{Numbers, Texts};
pub use csv::{Dropped, InputFile, LoadReport, inputs_hash, read_csv_mapped};
pub(crate) use hash::hex;
pub use mapping::{ColumnRule, FilePattern, Mapping, TimeFormat, TimeRule, WindowEdge, Zeros};
pub use schema::{Number, Text};
pub use unit::to_common;

/// Rows of (source, run, app, service, instant), column by column. A value that was not measured is
/// null, never 0. A column of which nothing was ever set takes no memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    ts_ms: Vec<i64>,
    quality: Vec<u32>,
    numbers: Vec<Option<Numbers>>,
    texts: Vec<Option<Texts>>,
}

/// Consecutive rows of one service in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Run.
    pub run: String,
    /// Service.
    pub service: String,
    /// Its rows, in order of time.
    pub rows: Vec<usize>,
}

impl Trace {
    /// A trace without rows.
    #[must_use]
    pub fn new() -> Self {
        Self {
            numbers: vec![None; Number::ALL.len()],
            texts: vec![None; Text::ALL.len()],
            ..Self::default()
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ts_ms.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ts_ms.is_empty()
    }

    /// Instants, ends of windows, ms.
    #[must_use]
    pub fn ts_ms(&self) -> &[i64] {
        &self.ts_ms
    }

    /// Flags of [`schema::quality`] by row.
    #[must_use]
    pub fn quality(&self) -> &[u32] {
        &self.quality
    }

    /// Appends a row of nulls that ends at `ts_ms`; fill it with [`Self::set`] and
    /// [`Self::set_text`].
    pub fn push_row(&mut self, ts_ms: i64) {
        if self.numbers.is_empty() {
            *self = Self::new();
        }
        self.ts_ms.push(ts_ms);
        self.quality.push(0);
        for column in self.numbers.iter_mut().flatten() {
            column.push(None);
        }
        for column in self.texts.iter_mut().flatten() {
            column.push(None);
        }
    }

    /// Sets a number of the newest row.
    ///
    /// # Panics
    /// If there is no row.
    pub fn set(&mut self, field: Number, value: Option<f64>) {
        let row = self.len() - 1;
        self.set_at(field, row, value);
    }

    /// Sets a number of `row`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn set_at(&mut self, field: Number, row: usize, value: Option<f64>) {
        let len = self.len();
        let column = &mut self.numbers[field as usize];
        if value.is_some() || column.is_some() {
            column
                .get_or_insert_with(|| Numbers::nulls(len))
                .set(row, value);
        }
    }

    /// Adds flags to the newest row.
    pub fn flag(&mut self, flags: u32) {
        if let Some(quality) = self.quality.last_mut() {
            *quality |= flags;
        }
    }

    /// Sets a text of the newest row.
    ///
    /// # Panics
    /// If there is no row.
    pub fn set_text(&mut self, field: Text, text: &str) {
        let len = self.len();
        let column = self.texts[field as usize].get_or_insert_with(|| Texts::nulls(len));
        column.replace_last(text);
    }

    /// A number.
    #[must_use]
    pub fn get(&self, field: Number, row: usize) -> Option<f64> {
        self.numbers[field as usize].as_ref()?.get(row)
    }

    /// A text.
    #[must_use]
    pub fn text(&self, field: Text, row: usize) -> Option<&str> {
        self.texts[field as usize].as_ref()?.get(row)
    }

    /// A column of numbers; `None` where all of it is null.
    #[must_use]
    pub fn numbers(&self, field: Number) -> Option<&Numbers> {
        self.numbers.get(field as usize)?.as_ref()
    }

    /// A column of texts; `None` where all of it is null.
    #[must_use]
    pub fn texts(&self, field: Text) -> Option<&Texts> {
        self.texts.get(field as usize)?.as_ref()
    }

    /// Bits of the fields present in `row`.
    #[must_use]
    pub fn mask(&self, row: usize) -> u64 {
        Number::ALL
            .iter()
            .filter(|field| self.get(**field, row).is_some())
            .fold(0, |mask, field| mask | field.bit())
    }

    /// Appends the rows of `other`.
    pub fn append(&mut self, other: &Self) {
        if self.numbers.is_empty() {
            *self = Self::new();
        }
        let (before, more) = (self.len(), other.len());
        for (&field, column) in Number::ALL.iter().zip(&mut self.numbers) {
            match (other.numbers(field).filter(|c| c.is_known()), column) {
                (Some(theirs), column) => column
                    .get_or_insert_with(|| Numbers::nulls(before))
                    .append(theirs),
                (None, Some(column)) => column.append_nulls(more),
                (None, None) => {}
            }
        }
        for (&field, column) in Text::ALL.iter().zip(&mut self.texts) {
            match (other.texts(field), column) {
                (Some(theirs), column) => column
                    .get_or_insert_with(|| Texts::nulls(before))
                    .append(theirs),
                (None, Some(column)) => column.append_nulls(more),
                (None, None) => {}
            }
        }
        self.ts_ms.extend_from_slice(&other.ts_ms);
        self.quality.extend_from_slice(&other.quality);
    }

    /// Names of the runs, sorted.
    #[must_use]
    pub fn runs(&self) -> Vec<&str> {
        self.names(Text::Run)
    }

    /// Names of the services, sorted; without what stands for an application or a cluster as a
    /// whole.
    #[must_use]
    pub fn services(&self) -> Vec<&str> {
        let mut names = self.names(Text::Service);
        names.retain(|name| !name.starts_with("__"));
        names
    }

    fn names(&self, field: Text) -> Vec<&str> {
        let distinct = self.texts(field).map_or(&[][..], Texts::distinct);
        let mut names: Vec<&str> = distinct.iter().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// The rows of every service of every run, in order of first appearance.
    #[must_use]
    pub fn series(&self) -> Vec<Series> {
        let (places, firsts) = self.places();
        let name = |field, row| self.text(field, row).unwrap_or_default().to_owned();
        let series = firsts.into_iter().map(|row| Series {
            run: name(Text::Run, row),
            service: name(Text::Service, row),
            rows: Vec::new(),
        });
        let mut found: Vec<Series> = series.collect();
        for (row, place) in places.into_iter().enumerate() {
            found[place].rows.push(row);
        }
        found
    }

    /// For every row the number of its series, and the first row of every series; series are
    /// numbered in order of first appearance.
    fn places(&self) -> (Vec<usize>, Vec<usize>) {
        let codes = |field| self.texts(field).map(Texts::codes);
        let (runs, services) = (codes(Text::Run), codes(Text::Service));
        // A map per run, by its code and one more (0 is null), stays small.
        let known = self
            .texts(Text::Run)
            .map_or(0, |runs| runs.distinct().len());
        let mut by_run: Vec<BTreeMap<u32, usize>> = vec![BTreeMap::new(); known + 1];
        let mut firsts = Vec::new();
        let mut places = Vec::with_capacity(self.len());
        for row in 0..self.len() {
            let of = |codes: Option<&[u32]>| codes.map_or(Texts::NULL, |codes| codes[row]);
            let run = of(runs).wrapping_add(1) as usize;
            let place = *by_run[run].entry(of(services)).or_insert_with(|| {
                firsts.push(row);
                firsts.len() - 1
            });
            places.push(place);
        }
        (places, firsts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_traces_have_the_rows_of_both() {
        let row = |trace: &mut Trace, ts_ms, service, rps, cpu| {
            trace.push_row(ts_ms);
            trace.set_text(Text::Service, service);
            trace.set(Number::Rps, rps);
            trace.set(Number::Cpu, cpu);
        };
        let first = |trace: &mut Trace| {
            row(trace, 1, "a", Some(1.0), None);
            row(trace, 2, "b", None, None);
            trace.flag(schema::quality::STALE);
        };
        let second = |trace: &mut Trace| {
            row(trace, 3, "b", None, Some(3.0));
            trace.set_text(Text::Label, "attack");
            row(trace, 4, "c", None, None);
        };
        let (mut one, mut other, mut both) = (Trace::new(), Trace::new(), Trace::new());
        first(&mut one);
        second(&mut other);
        first(&mut both);
        second(&mut both);
        one.append(&other);
        assert_eq!(one, both);
        let mut none = Trace::default();
        none.append(&both);
        none.append(&Trace::new());
        assert_eq!(none, both);
    }
}
