//! Traces as Parquet files.
//!
//! polars is compiled without optimization (it only moves tables, and is half of the first build),
//! so what is done once per value is done here: [`mod@write`] makes the pages of a file itself, and
//! reading takes whole columns out of a frame.

mod pages;
mod write;

use std::path::Path;

use polars::prelude::{Column, DataFrame, DataType};
use rayon::prelude::*;

use super::{Number, Numbers, Text, Texts, Trace};
use crate::{
    error::{Result, TwinError},
    parquet,
};

/// The instant, the set of present fields, the quality flags: columns of every file.
const TS: &str = "ts_ms";
const MASK: &str = "mask";
const QUALITY: &str = "quality";

impl Trace {
    /// Reads a Parquet file in the common schema and checks it.
    ///
    /// # Errors
    /// [`TwinError`] when the file is missing, damaged, not in the schema, or breaks a rule of
    /// [`Trace::check`].
    pub fn read_parquet(path: &Path) -> Result<Self> {
        let trace = from_frame(path, &parquet::read(path)?)?;
        trace.check()?;
        Ok(trace)
    }

    /// Writes a Parquet file in the common schema: temporary name, sync, rename.
    ///
    /// # Errors
    /// [`TwinError::File`] when the file cannot be written.
    pub fn write_parquet(&self, path: &Path) -> Result<()> {
        let bytes = write::encode(self).map_err(|e| broken(path, e.to_string()))?;
        parquet::write(path, bytes)
    }
}

fn from_frame(path: &Path, frame: &DataFrame) -> Result<Trace> {
    let mut trace = Trace::new();
    let instants = frame
        .column(TS)
        .map_err(|_| broken(path, format!("column {TS} is missing")))?;
    let instants = instants
        .i64()
        .map_err(|e| broken(path, format!("column {TS}: {e}")))?;
    if instants.null_count() > 0 {
        return Err(broken(path, format!("column {TS} holds nulls")));
    }
    for chunk in instants.downcast_iter() {
        trace.ts_ms.extend_from_slice(chunk.values());
    }
    trace.quality = vec![0; trace.len()];
    let names = frame.get_column_names();
    let read: Vec<Result<Read>> = names
        .par_iter()
        .map(|name| read_column(path, frame, name))
        .collect();
    for column in read {
        match column? {
            Read::Text(field, texts) => trace.texts[field as usize] = texts,
            Read::Number(field, numbers) => trace.numbers[field as usize] = numbers,
            Read::Quality(flags) => trace.quality = flags,
            Read::Other => {}
        }
    }
    Ok(trace)
}

/// A column as a trace keeps it.
enum Read {
    Text(Text, Option<Texts>),
    Number(Number, Option<Numbers>),
    Quality(Vec<u32>),
    Other,
}

fn read_column(path: &Path, frame: &DataFrame, name: &str) -> Result<Read> {
    let column = frame
        .column(name)
        .map_err(|e| broken(path, e.to_string()))?;
    if let Some(field) = Text::named(name) {
        return Ok(Read::Text(field, read_texts(path, column)?));
    }
    if let Some(field) = Number::named(name) {
        return Ok(Read::Number(field, read_numbers(path, column)?));
    }
    match name {
        QUALITY => {
            let flags = column.u32().map_err(|e| broken(path, e.to_string()))?;
            let mut read = Vec::with_capacity(column.len());
            for chunk in flags.downcast_iter() {
                read.extend_from_slice(chunk.values());
            }
            Ok(Read::Quality(read))
        }
        TS | MASK => Ok(Read::Other),
        _ => Err(broken(
            path,
            format!("column {name:?} is not in the schema"),
        )),
    }
}

fn read_texts(path: &Path, column: &Column) -> Result<Option<Texts>> {
    if column.null_count() == column.len() {
        return Ok(None);
    }
    let texts = column.str().map_err(|e| broken(path, e.to_string()))?;
    let mut read = Texts::default();
    for chunk in texts.downcast_iter() {
        for text in chunk.iter() {
            read.push(text);
        }
    }
    Ok(Some(read))
}

fn read_numbers(path: &Path, column: &Column) -> Result<Option<Numbers>> {
    if column.null_count() == column.len() {
        return Ok(None);
    }
    let mut values: Vec<f64> = Vec::with_capacity(column.len());
    let mut present: Vec<bool> = Vec::with_capacity(column.len());
    macro_rules! gather {
        ($chunks:expr) => {
            for chunk in $chunks
                .map_err(|e| broken(path, e.to_string()))?
                .downcast_iter()
            {
                values.extend(chunk.values().iter().map(|v| *v as f64));
                match chunk.validity() {
                    Some(bits) => present.extend(bits.iter()),
                    None => present.resize(values.len(), true),
                }
            }
        };
    }
    match column.dtype() {
        DataType::Float64 => gather!(column.f64()),
        DataType::Float32 => gather!(column.f32()),
        DataType::Int32 => gather!(column.i32()),
        DataType::Int64 => gather!(column.i64()),
        other => {
            let reason = format!("column {:?} holds {other}, not numbers", column.name());
            return Err(broken(path, reason));
        }
    }
    Ok(Some(Numbers::from_parts(values, present)))
}

fn broken(path: &Path, reason: String) -> TwinError {
    TwinError::Broken {
        path: path.to_owned(),
        reason,
    }
}
