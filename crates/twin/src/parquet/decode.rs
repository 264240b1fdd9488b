//! Columns out of the bytes of a Parquet file.

use std::io::Cursor;

use polars::prelude::{
    Column, DataFrame, ParallelStrategy, ParquetReader, PolarsResult, SerReader,
};
use polars_parquet::parquet::{
    error::ParquetResult,
    metadata::ColumnChunkMetadata,
    page::CompressedPage,
    read::{PageReader, read_metadata},
};
use rayon::prelude::*;

use super::contained::contained;

/// Reads all columns of `file`. Why it cannot is told in words.
pub(super) fn all(file: &[u8]) -> Result<DataFrame, String> {
    let reader = || ParquetReader::new(Cursor::new(file));
    let (metadata, names) = contained(|| {
        let mut reader = reader();
        let metadata = reader.get_metadata()?.clone();
        let schema = reader.schema()?;
        let names: Vec<String> = schema.iter_names().map(ToString::to_string).collect();
        PolarsResult::Ok((metadata, names))
    })?;
    let column = |(index, name): (usize, &String)| {
        let read = contained(|| {
            let mut reader = reader();
            reader.set_metadata(metadata.clone());
            // Columns are what is done in parallel here, so that each is contained where it is read.
            let one = reader
                .with_projection(Some(vec![index]))
                .read_parallel(ParallelStrategy::None)
                .finish()?;
            one.column(name).cloned()
        });
        read.map_err(|reason| format!("column {name:?}: {reason}"))
    };
    let columns: Vec<Column> = names
        .par_iter()
        .enumerate()
        .map(column)
        .collect::<Result<_, String>>()?;
    // Here columns of different lengths are refused: pages say for themselves how long they are.
    DataFrame::new(metadata.num_rows, columns).map_err(|e| e.to_string())
}

/// Checks that the pages of every column of `file` have as many values as the file has rows.
///
/// The decoder makes room for as many values as a page says it has before it looks at them, and room
/// that there is not ends the process, which nothing can contain.
pub(super) fn check_pages(file: &[u8]) -> Result<(), String> {
    let metadata = contained(|| read_metadata(&mut Cursor::new(file)))?;
    for group in &metadata.row_groups {
        for column in group.parquet_columns() {
            let name = column.descriptor().path_in_schema.join(".");
            let values = contained(|| values(file, column));
            let values = values.map_err(|reason| format!("column {name:?}: {reason}"))?;
            if values != Some(group.num_rows()) {
                let rows = group.num_rows();
                return Err(format!(
                    "column {name:?} has not the {rows} values it should"
                ));
            }
        }
    }
    Ok(())
}

/// Values of all pages of `column`; `None` where a page says that it has less than none.
fn values(file: &[u8], column: &ColumnChunkMetadata) -> ParquetResult<Option<usize>> {
    let range = column.byte_range();
    let bytes = file[range.start as usize..range.end as usize].to_vec();
    let most = bytes.len();
    let mut values = 0;
    for page in PageReader::new(Cursor::new(bytes.into()), column, Vec::new(), most) {
        if let CompressedPage::Data(page) = page? {
            // A number below 0 is told as one that no page can have.
            match i32::try_from(page.num_values()) {
                Ok(count) => values += count as usize,
                Err(_) => return Ok(None),
            }
        }
    }
    Ok(Some(values))
}
