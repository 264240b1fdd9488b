//! The fitted twin and its two files.

use std::path::Path;

use crate::error::Result;

/// A fitted twin: transition model, scalers and where they came from.
#[derive(Clone, Debug)]
pub struct Twin {}

impl Twin {
    /// Writes `twin.safetensors` and `twin.json` into `dir`: temporary names, sync, rename.
    ///
    /// # Errors
    /// [`TwinError::File`](crate::TwinError::File) when a file cannot be written.
    pub fn save(&self, _dir: &Path) -> Result<()> {
        todo!("lands next")
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// [`TwinError::Broken`](crate::TwinError::Broken) when a file is damaged or of another version.
    pub fn load(_dir: &Path) -> Result<Self> {
        todo!("lands next")
    }
}
