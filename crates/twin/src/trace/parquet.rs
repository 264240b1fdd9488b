//! Traces as Parquet files.
//!
//! polars is compiled without optimization (it only moves tables, and is half of the first build),
//! so whole columns are handed over and nothing is computed there.

use std::{fs, path::Path};

use polars::prelude::{
    BooleanChunked, Column, DataFrame, DataType, Float32Chunked, Float64Chunked, Int32Chunked,
    Int64Chunked, IntoColumn, NewChunkedArray, ParquetCompression, ParquetReader, ParquetWriter,
    PlSmallStr, PolarsResult, SerReader, Series, StringChunked, UInt32Chunked, UInt64Chunked,
};

use super::{Number, Numbers, Text, Texts, Trace, schema::Kind};
use crate::error::{Result, TwinError};

/// The instant, the set of present fields, the quality flags: columns of every file.
const TS: &str = "ts_ms";
const MASK: &str = "mask";
const QUALITY: &str = "quality";

impl Trace {
    /// Reads a Parquet file in the common schema and checks it.
    ///
    /// # Errors
    /// [`TwinError`] when the file is missing, truncated, not in the schema, or breaks a rule of
    /// [`Trace::check`].
    pub fn read_parquet(path: &Path) -> Result<Self> {
        let file = fs::File::open(path).map_err(|source| file_error(path, source))?;
        let frame = ParquetReader::new(file)
            .finish()
            .map_err(|e| broken(path, format!("not a whole Parquet file: {e}")))?;
        let trace = from_frame(path, &frame)?;
        trace.check()?;
        Ok(trace)
    }

    /// Writes a Parquet file in the common schema: temporary name, sync, rename.
    ///
    /// # Errors
    /// [`TwinError::File`] when the file cannot be written.
    pub fn write_parquet(&self, path: &Path) -> Result<()> {
        let mut frame = self.to_frame().map_err(|e| broken(path, e.to_string()))?;
        karma_cluster::files::replace(path, |file| {
            ParquetWriter::new(file)
                .with_compression(ParquetCompression::Snappy)
                .finish(&mut frame)
                .map(|_| ())
                .map_err(std::io::Error::other)
        })
        .map_err(|source| file_error(path, source))
    }

    fn to_frame(&self) -> PolarsResult<DataFrame> {
        let rows = self.len();
        let mut columns = vec![Int64Chunked::from_vec(TS.into(), self.ts_ms.clone()).into_column()];
        for &field in Text::ALL {
            let name = PlSmallStr::from_static(field.name());
            columns.push(match self.texts(field) {
                Some(texts) => text_column(name, texts),
                None => Series::full_null(name, rows, &DataType::String).into_column(),
            });
        }
        for &field in Number::ALL {
            columns.push(number_column(field, self.numbers(field), rows));
        }
        columns.push(UInt64Chunked::from_vec(MASK.into(), self.masks()).into_column());
        let quality = UInt32Chunked::from_vec(QUALITY.into(), self.quality.clone());
        columns.push(quality.into_column());
        DataFrame::new(rows, columns)
    }

    /// [`Trace::mask`] of every row, column by column.
    fn masks(&self) -> Vec<u64> {
        let mut masks = vec![0_u64; self.len()];
        for &field in Number::ALL {
            let Some(column) = self.numbers(field) else {
                continue;
            };
            for (mask, present) in masks.iter_mut().zip(column.parts().1) {
                *mask |= if *present { field.bit() } else { 0 };
            }
        }
        masks
    }
}

fn text_column(name: PlSmallStr, texts: &Texts) -> Column {
    StringChunked::from_iter_options(name, (0..texts.len()).map(|row| texts.get(row))).into_column()
}

fn number_column(field: Number, column: Option<&Numbers>, rows: usize) -> Column {
    let name = PlSmallStr::from_static(field.name());
    let Some(column) = column else {
        let dtype = match field.kind() {
            Kind::F64 => DataType::Float64,
            Kind::F32 => DataType::Float32,
            Kind::I32 => DataType::Int32,
        };
        return Series::full_null(name, rows, &dtype).into_column();
    };
    let (values, present) = column.parts();
    // The only public way to a bitmap of polars' own.
    let flags = BooleanChunked::from_slice(PlSmallStr::EMPTY, present);
    let bits = flags
        .downcast_iter()
        .next()
        .map(|chunk| chunk.values().clone());
    match field.kind() {
        Kind::F64 => Float64Chunked::from_vec_validity(name, values.to_vec(), bits).into_column(),
        Kind::F32 => {
            let values = values.iter().map(|v| *v as f32).collect();
            Float32Chunked::from_vec_validity(name, values, bits).into_column()
        }
        Kind::I32 => {
            let values = values.iter().map(|v| v.round() as i32).collect();
            Int32Chunked::from_vec_validity(name, values, bits).into_column()
        }
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
    for name in frame.get_column_names() {
        let column = frame
            .column(name)
            .map_err(|e| broken(path, e.to_string()))?;
        if let Some(field) = Text::named(name) {
            trace.texts[field as usize] = read_texts(path, column)?;
        } else if let Some(field) = Number::named(name) {
            trace.numbers[field as usize] = read_numbers(path, column)?;
        } else if name == QUALITY {
            let flags = column.u32().map_err(|e| broken(path, e.to_string()))?;
            trace.quality.clear();
            for chunk in flags.downcast_iter() {
                trace.quality.extend_from_slice(chunk.values());
            }
        } else if name != TS && name != MASK {
            return Err(broken(
                path,
                format!("column {name:?} is not in the schema"),
            ));
        }
    }
    Ok(trace)
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

fn file_error(path: &Path, source: std::io::Error) -> TwinError {
    TwinError::File {
        path: path.to_owned(),
        source,
    }
}

fn broken(path: &Path, reason: String) -> TwinError {
    TwinError::Broken {
        path: path.to_owned(),
        reason,
    }
}
