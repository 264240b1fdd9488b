//! Traces: the common long-row schema in memory and in files.

use std::path::Path;

use crate::error::Result;

/// Rows of (source, run, app, service, instant), column by column. A value that was not measured is
/// null, never 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {}

impl Trace {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        0
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads a Parquet file in the common schema.
    ///
    /// # Errors
    /// [`TwinError`](crate::TwinError) when the file is missing, truncated or not in the schema.
    pub fn read_parquet(_path: &Path) -> Result<Self> {
        todo!("lands next")
    }

    /// Writes a Parquet file in the common schema: temporary name, sync, rename.
    ///
    /// # Errors
    /// [`TwinError`](crate::TwinError) when the file cannot be written.
    pub fn write_parquet(&self, _path: &Path) -> Result<()> {
        todo!("lands next")
    }
}
