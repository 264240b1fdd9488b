//! One CSV file as the rows of its service.

use std::{borrow::Cow, path::Path};

use karma_cluster::files;
use sha2::{Digest, Sha256};

use super::{InputFile, files::Found, origin, records::Records};
use crate::{
    error::{Result, TwinError},
    trace::{
        Number, Numbers, Text, Texts, Trace, hex,
        mapping::{ColumnRule, Mapping, WindowEdge, Zeros},
        time, unit,
    },
};

/// What a file says.
pub(super) struct Table {
    /// The file.
    pub(super) input: InputFile,
    /// The rows of its service.
    pub(super) trace: Trace,
    /// Rows left out because their instant is not after the one before.
    pub(super) unsorted: usize,
    /// Values that belong to other services, in order of rows.
    pub(super) foreign: Vec<Foreign>,
}

/// A value that belongs to another service than its file's.
pub(super) struct Foreign {
    /// The service.
    pub(super) service: String,
    /// The instant.
    pub(super) ts_ms: i64,
    /// The field.
    pub(super) field: Number,
    /// The value.
    pub(super) value: f64,
}

/// Reads the file `found` below `dir`.
pub(super) fn read(
    dir: &Path,
    mapping: &Mapping,
    found: &Found,
    keep_zeros: bool,
) -> Result<Table> {
    let path = dir.join(&found.name);
    let bytes = files::read(&path, u64::MAX).map_err(|source| TwinError::File {
        path: path.clone(),
        source,
    })?;
    let reader = Reader {
        mapping,
        keep_zeros,
        path: &path,
    };
    let (sha256, rows) = rayon::join(|| hex(&Sha256::digest(&bytes)), || reader.rows(&bytes));
    let rows = rows?;
    let kept = rows.instants.len();
    let mut trace = Trace {
        ts_ms: rows.instants,
        quality: vec![0; kept],
        ..Trace::new()
    };
    let origin = origin(mapping, &found.run, &found.service);
    let policy = found.policy.as_deref().map(|policy| (Text::Policy, policy));
    for (field, text) in origin.into_iter().chain(policy) {
        trace.texts[field as usize] = Texts::constant(text, kept);
    }
    trace.numbers[Number::DtS as usize] = Numbers::constant(mapping.interval_s, kept);
    for column in rows.columns {
        if column.rule.service.is_none() {
            let known = Some(column.values).filter(Numbers::is_known);
            trace.numbers[column.field as usize] = known;
        }
    }
    Ok(Table {
        input: InputFile {
            name: found.name.clone(),
            sha256,
        },
        trace,
        unsorted: rows.unsorted,
        foreign: rows.foreign,
    })
}

/// The rows of a file, column by column.
struct Rows<'a> {
    instants: Vec<i64>,
    columns: Vec<Column<'a>>,
    unsorted: usize,
    foreign: Vec<Foreign>,
}

/// A mapped column.
struct Column<'a> {
    name: &'a str,
    rule: &'a ColumnRule,
    field: Number,
    /// From the unit of the file to that of the common schema.
    factor: f64,
    /// Which cell of a record.
    place: usize,
    /// Values of the file's own service.
    values: Numbers,
}

struct Reader<'a> {
    mapping: &'a Mapping,
    keep_zeros: bool,
    path: &'a Path,
}

impl<'a> Reader<'a> {
    fn broken(&self, reason: impl Into<String>) -> TwinError {
        TwinError::Broken {
            path: self.path.to_owned(),
            reason: reason.into(),
        }
    }

    fn rows(&self, bytes: &[u8]) -> Result<Rows<'a>> {
        let text = str::from_utf8(bytes).map_err(|e| self.broken(format!("not a text: {e}")))?;
        let (mut records, mut cells) = (Records::new(text), Vec::new());
        if self.next(&mut records, &mut cells)?.is_none() {
            return Err(self.broken("empty, a header is needed"));
        }
        let names: Vec<String> = cells.iter().map(|name| name.to_string()).collect();
        self.check_columns(&names)?;
        let time = self.place(&names, &self.mapping.time.column)?;
        let mut rows = Rows {
            instants: Vec::new(),
            columns: self.columns(&names)?,
            unsorted: 0,
            foreign: Vec::new(),
        };
        let mut values = vec![None; rows.columns.len()];
        while let Some(line) = self.next(&mut records, &mut cells)? {
            if cells.len() > names.len() {
                return Err(self.broken(format!(
                    "line {line}: {} cells below a header of {}",
                    cells.len(),
                    names.len()
                )));
            }
            // Cells that lack at the end are empty.
            let cell = |place: usize| cells.get(place).map_or("", |cell| cell.as_ref());
            let now = self.instant(line, cell(time))?;
            for (value, column) in values.iter_mut().zip(&rows.columns) {
                *value = self.value(line, column, cell(column.place))?;
            }
            let is_late = rows.instants.last().is_some_and(|last| now <= *last);
            if is_late && self.mapping.drop_unsorted {
                rows.unsorted += 1;
            } else {
                rows.push(now, &values);
            }
        }
        Ok(rows)
    }

    fn next<'t>(
        &self,
        records: &mut Records<'t>,
        cells: &mut Vec<Cow<'t, str>>,
    ) -> Result<Option<usize>> {
        records.next(cells).map_err(|unclosed| {
            let line = unclosed.line;
            self.broken(format!("line {line}: a quotation mark is not closed"))
        })
    }

    fn check_columns(&self, names: &[String]) -> Result<()> {
        let mapping = self.mapping;
        let known = |name: &str| {
            mapping.columns.contains_key(name)
                || mapping.time.column == name
                || mapping.ignore.iter().any(|ignored| ignored == name)
        };
        for (place, name) in names.iter().enumerate() {
            if !known(name) {
                return Err(self.broken(format!(
                    "column {name:?} is neither mapped nor ignored by the mapping"
                )));
            }
            if names[..place].contains(name) {
                return Err(self.broken(format!("column {name:?} is there twice")));
            }
        }
        for (name, rule) in &mapping.columns {
            if !rule.optional {
                self.place(names, name)?;
            }
        }
        Ok(())
    }

    fn place(&self, names: &[String], name: &str) -> Result<usize> {
        let place = names.iter().position(|known| known == name);
        place.ok_or_else(|| self.broken(format!("column {name:?} is missing")))
    }

    /// The mapped columns that are there, without values yet.
    fn columns(&self, names: &[String]) -> Result<Vec<Column<'a>>> {
        let mut columns = Vec::new();
        for (name, rule) in &self.mapping.columns {
            let Some(place) = names.iter().position(|known| known == name) else {
                continue;
            };
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
            columns.push(Column {
                name,
                rule,
                field,
                factor,
                place,
                values: Numbers::default(),
            });
        }
        Ok(columns)
    }

    /// The instant at which the window of a row ends.
    fn instant(&self, line: usize, text: &str) -> Result<i64> {
        let rule = &self.mapping.time;
        let shift = match rule.marks {
            WindowEdge::Start => (self.mapping.interval_s * 1000.0).round() as i64,
            WindowEdge::End => 0,
        };
        time::parse(text, rule.format)
            .map(|ts| ts + shift)
            .ok_or_else(|| self.broken(format!("line {line}: {text:?} is not an instant")))
    }

    /// A value in the unit of the common schema.
    fn value(&self, line: usize, column: &Column<'_>, text: &str) -> Result<Option<f64>> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let Ok(value) = text.parse::<f64>() else {
            let name = column.name;
            return Err(self.broken(format!(
                "line {line}: {text:?} in column {name:?} is not a number"
            )));
        };
        // "NaN" parses as a number and becomes null with every other value that is not finite.
        let is_null = !value.is_finite()
            || (value == 0.0 && column.rule.zeros == Zeros::Null && !self.keep_zeros);
        Ok((!is_null).then_some(value * column.factor))
    }
}

impl Rows<'_> {
    /// Appends a row with one value per column.
    fn push(&mut self, ts_ms: i64, values: &[Option<f64>]) {
        self.instants.push(ts_ms);
        for (column, value) in self.columns.iter_mut().zip(values) {
            match (&column.rule.service, *value) {
                (None, value) => column.values.push(value),
                (Some(_), None) => {}
                (Some(service), Some(value)) => self.foreign.push(Foreign {
                    service: service.clone(),
                    ts_ms,
                    field: column.field,
                    value,
                }),
            }
        }
    }
}
