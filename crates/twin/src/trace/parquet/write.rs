//! The file of a trace, from its columns.

use std::ops::Range;

use polars_parquet::parquet::{
    error::{ParquetError, ParquetResult},
    fallible_streaming_iterator,
    metadata::{ColumnDescriptor, SchemaDescriptor},
    schema::{
        Repetition,
        types::{
            IntegerType, ParquetType, PhysicalType, PrimitiveConvertedType, PrimitiveLogicalType,
        },
    },
    write::{DynIter, DynStreamingIterator, FileWriter, Version, WriteOptions},
};
use rayon::prelude::*;

use super::{
    MASK, QUALITY, TS,
    pages::{Chunk, Pages},
};
use crate::trace::{Number, Numbers, Text, Trace, schema::Kind};

/// Rows of a row group: the pieces in which a file is made, whatever the number of threads.
const GROUP: usize = 1 << 18;

/// A column of the file.
#[derive(Clone, Copy)]
enum Field {
    Instant,
    Text(Text),
    Number(Number),
    Mask,
    Quality,
}

/// The bytes of a Parquet file with the rows of `trace`.
pub(super) fn encode(trace: &Trace) -> ParquetResult<Vec<u8>> {
    let fields: Vec<Field> = std::iter::once(Field::Instant)
        .chain(Text::ALL.iter().copied().map(Field::Text))
        .chain(Number::ALL.iter().copied().map(Field::Number))
        .chain([Field::Mask, Field::Quality])
        .collect();
    let types = fields.iter().map(|field| type_of(*field));
    let schema = SchemaDescriptor::new("root".into(), types.collect::<ParquetResult<_>>()?);
    let options = WriteOptions {
        write_statistics: false,
        version: Version::V1,
    };
    let mut writer = FileWriter::new(
        Vec::new(),
        schema.clone(),
        options,
        Some("KARMA".to_owned()),
    );
    for first in (0..trace.len()).step_by(GROUP) {
        let rows = GROUP.min(trace.len() - first);
        let columns = fields
            .par_iter()
            .zip(schema.columns())
            .map(|(field, column)| pages(trace, *field, column, first, rows))
            .collect::<ParquetResult<Vec<Pages>>>()?;
        let columns = columns.iter().map(|pages| {
            let pages = pages.iter().map(Ok::<_, ParquetError>);
            let pages = fallible_streaming_iterator::convert(pages);
            Ok(DynStreamingIterator::new(pages))
        });
        writer.write(rows as u64, DynIter::new(columns))?;
    }
    writer.end(None)?;
    Ok(writer.into_inner())
}

fn type_of(field: Field) -> ParquetResult<ParquetType> {
    use PrimitiveLogicalType as Logical;
    let unsigned = |of| Some(Logical::Integer(of));
    let (name, physical, logical) = match field {
        Field::Instant => (TS, PhysicalType::Int64, None),
        Field::Text(text) => (text.name(), PhysicalType::ByteArray, Some(Logical::String)),
        Field::Number(number) => {
            let physical = match number.kind() {
                Kind::F64 => PhysicalType::Double,
                Kind::F32 => PhysicalType::Float,
                Kind::I32 => PhysicalType::Int32,
            };
            (number.name(), physical, None)
        }
        Field::Mask => (MASK, PhysicalType::Int64, unsigned(IntegerType::UInt64)),
        Field::Quality => (QUALITY, PhysicalType::Int32, unsigned(IntegerType::UInt32)),
    };
    let repetition = match field {
        Field::Text(_) | Field::Number(_) => Repetition::Optional,
        Field::Instant | Field::Mask | Field::Quality => Repetition::Required,
    };
    // Older readers look for this instead of the logical type.
    let converted = match field {
        Field::Text(_) => Some(PrimitiveConvertedType::Utf8),
        Field::Mask => Some(PrimitiveConvertedType::Uint64),
        Field::Quality => Some(PrimitiveConvertedType::Uint32),
        Field::Instant | Field::Number(_) => None,
    };
    ParquetType::try_from_primitive(name.into(), physical, repetition, converted, logical, None)
}

/// The pages of `rows` rows of one column, from row `first`.
fn pages(
    trace: &Trace,
    field: Field,
    column: &ColumnDescriptor,
    first: usize,
    rows: usize,
) -> ParquetResult<Pages> {
    let chunk = Chunk {
        descriptor: &column.descriptor,
        rows,
    };
    let range = first..first + rows;
    match field {
        Field::Instant => {
            let instants = trace.ts_ms[range].iter();
            chunk.values(instants.map(|ts| ts.to_le_bytes()), None)
        }
        Field::Mask => {
            let masks = masks(trace, range);
            chunk.values(masks.iter().map(|mask| mask.to_le_bytes()), None)
        }
        Field::Quality => {
            let flags = trace.quality[range].iter();
            chunk.values(flags.map(|flags| flags.to_le_bytes()), None)
        }
        Field::Text(text) => match trace.texts(text) {
            Some(texts) => chunk.texts(texts, first),
            None => chunk.nulls(),
        },
        Field::Number(number) => match trace.numbers(number) {
            Some(numbers) => number_pages(&chunk, number.kind(), numbers, first),
            None => chunk.nulls(),
        },
    }
}

/// [`Trace::mask`] of `rows`, column by column.
fn masks(trace: &Trace, rows: Range<usize>) -> Vec<u64> {
    let mut masks = vec![0_u64; rows.len()];
    for &field in Number::ALL {
        let Some(column) = trace.numbers(field) else {
            continue;
        };
        for (mask, present) in masks.iter_mut().zip(&column.parts().1[rows.clone()]) {
            *mask |= if *present { field.bit() } else { 0 };
        }
    }
    masks
}

fn number_pages(
    chunk: &Chunk<'_>,
    kind: Kind,
    numbers: &Numbers,
    first: usize,
) -> ParquetResult<Pages> {
    let (values, present) = numbers.parts();
    let range = first..first + chunk.rows;
    let present = &present[range.clone()];
    let values = values[range].iter().zip(present);
    let values = values.filter_map(|(value, present)| present.then_some(*value));
    match kind {
        Kind::F64 => chunk.values(values.map(f64::to_le_bytes), Some(present)),
        Kind::F32 => {
            let values = values.map(|value| (value as f32).to_le_bytes());
            chunk.values(values, Some(present))
        }
        Kind::I32 => {
            let values = values.map(|value| (value.round() as i32).to_le_bytes());
            chunk.values(values, Some(present))
        }
    }
}
