//! Parquet files: the one place where they are read, and where ours are sealed.
//!
//! What is read may be damaged. Ours carry a seal that tells; the decoder, which takes what it reads
//! on trust in places, meets only what has none or an unbroken one, and is contained.

mod contained;
mod decode;
mod seal;

use std::{io::Write, path::Path};

use karma_cluster::files::{self, replace};
use polars::prelude::DataFrame;

use self::seal::Seal;
use crate::error::{Result, TwinError};

/// Reads all columns of the Parquet file `path`.
///
/// # Errors
/// [`TwinError::File`] when it cannot be read, [`TwinError::Broken`] when it is damaged or no Parquet
/// file.
pub fn read(path: &Path) -> Result<DataFrame> {
    let bytes = files::read(path, u64::MAX).map_err(|source| TwinError::File {
        path: path.to_owned(),
        source,
    })?;
    let whole = match Seal::of(&bytes) {
        Seal::Broken => Err("its bytes are not those that were written".to_owned()),
        Seal::Whole => decode::all(&bytes),
        Seal::Absent => decode::check_pages(&bytes).and_then(|()| decode::all(&bytes)),
    };
    whole.map_err(|reason| TwinError::Broken {
        path: path.to_owned(),
        reason: format!("damaged, or no Parquet file: {reason}"),
    })
}

/// Seals the Parquet file `bytes` and writes it to `path`: temporary name, sync, rename.
///
/// # Errors
/// [`TwinError::File`] when the file cannot be written.
///
/// # Panics
/// If `bytes` are no Parquet file.
pub fn write(path: &Path, mut bytes: Vec<u8>) -> Result<()> {
    seal::set(&mut bytes);
    replace(path, |file| file.write_all(&bytes)).map_err(|source| TwinError::File {
        path: path.to_owned(),
        source,
    })
}
