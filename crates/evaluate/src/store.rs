//! `summary.json` and `episodes.parquet`.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use karma_cluster::files::replace;
use polars::prelude::{Column, DataFrame, ParquetWriter};

use crate::{
    error::{EvaluateError, Result},
    metric::Metric,
    summary::{EpisodeRow, Summary},
};

impl Summary {
    /// Writes `summary.json`.
    ///
    /// # Errors
    /// [`EvaluateError::File`] where the disk refuses.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_vec(self).map_err(|source| EvaluateError::Summary {
            path: path.to_owned(),
            source,
        })?;
        text.push(b'\n');
        replace(path, |file| file.write_all(&text)).map_err(|source| file_error(path, source))
    }

    /// Reads `summary.json`. The rows of single episodes are not in it.
    ///
    /// # Errors
    /// [`EvaluateError`] where the file cannot be read or is something else.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).map_err(|source| file_error(path, source))?;
        serde_json::from_slice(&text).map_err(|source| EvaluateError::Summary {
            path: path.to_owned(),
            source,
        })
    }

    /// Writes `episodes.parquet`: one row per episode, a column per metric, null where it does not
    /// apply.
    ///
    /// # Errors
    /// [`EvaluateError`] where the disk or the writer refuses.
    pub fn write_episodes(&self, path: &Path) -> Result<()> {
        let table_error = |error: polars::error::PolarsError| EvaluateError::Table {
            path: path.to_owned(),
            message: error.to_string(),
        };
        let mut table = table(&self.episodes).map_err(table_error)?;
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes)
            .finish(&mut table)
            .map_err(table_error)?;
        replace(path, |file| file.write_all(&bytes)).map_err(|source| file_error(path, source))
    }
}

fn table(rows: &[EpisodeRow]) -> polars::error::PolarsResult<DataFrame> {
    let texts = |text: fn(&EpisodeRow) -> &str| rows.iter().map(text).collect::<Vec<_>>();
    let mut columns = vec![
        Column::new("context".into(), texts(|row| &row.context)),
        Column::new("controller".into(), texts(|row| row.contender.key())),
        Column::new(
            "index".into(),
            rows.iter().map(|row| row.index).collect::<Vec<_>>(),
        ),
        Column::new(
            "seed".into(),
            rows.iter().map(|row| row.seed).collect::<Vec<_>>(),
        ),
    ];
    for metric in Metric::ALL {
        let values: Vec<Option<f64>> = rows.iter().map(|row| row.metrics.get(metric)).collect();
        columns.push(Column::new(metric.key().into(), values));
    }
    columns.push(Column::new(
        "recovery_censored".into(),
        rows.iter()
            .map(|row| row.metrics.recovery_censored)
            .collect::<Vec<_>>(),
    ));
    DataFrame::new(rows.len(), columns)
}

fn file_error(path: &Path, source: io::Error) -> EvaluateError {
    EvaluateError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{metric::EpisodeMetrics, summary::Contender};

    #[test]
    fn a_metric_that_does_not_apply_is_null_in_the_table() {
        let mut metrics = EpisodeMetrics::default();
        metrics.set(Metric::SuccessPct, 99.5);
        let row = EpisodeRow {
            context: "ddos".to_owned(),
            contender: Contender::Team,
            index: 0,
            seed: 7,
            metrics,
        };
        let table = table(&[row]);
        assert!(table.is_ok_and(|table| {
            let nulls = |name| table.column(name).map(|c| c.null_count()).ok();
            table.height() == 1 && nulls("success_pct") == Some(0) && nulls("recovery_s") == Some(1)
        }));
    }
}
