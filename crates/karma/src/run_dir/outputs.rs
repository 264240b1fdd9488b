//! The files that a step wrote: what they were, and whether they still are.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    files,
    manifest::{Hashes, Step},
    status::{Blame, Failure, Outcome},
};

/// Names and hashes of everything that `step` wrote into the run directory `run`.
pub(super) fn written(run: &Path, step: Step) -> Result<Hashes> {
    let place = run.join(step.place());
    let written = if place.is_file() {
        vec![PathBuf::from(step.place())]
    } else {
        files::list(run, &place)?
    };
    written
        .into_iter()
        .map(|file| {
            let hash = files::hash_file(&run.join(&file))?;
            Ok((file.to_string_lossy().into_owned(), hash))
        })
        .collect()
}

/// The first of the files `recorded` of `step` that is gone from the run directory `run`. One that
/// has other content is refused, and so is one in whose place, or above it, lies something else.
pub(super) fn missing(run: &Path, step: Step, recorded: &Hashes) -> Outcome<Option<PathBuf>> {
    for (name, recorded) in recorded {
        let path = run.join(name);
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => {
                return Err(Failure::refused(format_args!(
                    "{} is a directory, where {step} wrote a file",
                    path.display()
                )));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(path)),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                let file = path.ancestors().find(|above| above.is_file());
                return Err(Failure::refused(format_args!(
                    "{} is a file, where {step} made a directory",
                    file.unwrap_or(&path).display()
                )));
            }
            Err(error) => {
                let told = Err(error).with_context(|| format!("cannot read {}", path.display()));
                return told.refuse();
            }
        }
        if files::hash_file(&path).refuse()? != *recorded {
            return Err(Failure::refused(format_args!(
                "{} is not what {step} wrote: it has other content",
                path.display()
            )));
        }
    }
    Ok(None)
}
