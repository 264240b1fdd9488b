//! What is wrong with a file, and how it is told.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::Place;

/// Most characters of a message or of a key path: both may quote what is in the file.
const MOST_CHARACTERS: usize = 300;

/// `text` with its middle left out where it has more than `most` characters, so that who wrote it
/// knows it again and nobody has to read all of it.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let tail = most / 3;
    let start = text.chars().take(most - tail - 1);
    start
        .chain(['…'])
        .chain(text.chars().skip(count - tail))
        .collect()
}

/// One thing wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1; 0 where the fault is the file itself.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// Key path, e.g. `services[1].replicas.max`; empty for the whole file.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault of `path`, which stands at `place` of `file`.
    #[must_use]
    pub fn at(file: &Path, place: Place, path: &str, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: place.line,
            column: place.column,
            path: shortened(path, MOST_CHARACTERS),
            message: shortened(&message.into(), MOST_CHARACTERS),
            hint: None,
        }
    }

    /// A fault of a file as a whole.
    #[must_use]
    pub fn of_file(file: &Path, message: impl Into<String>) -> Self {
        Self::at(file, Place::default(), "", message)
    }

    /// The same with a hint; an empty one is none.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        let hint = shortened(&hint.into(), MOST_CHARACTERS);
        self.hint = Some(hint).filter(|hint| !hint.is_empty());
        self
    }

    /// The same, of `file`.
    #[must_use]
    pub fn in_file(mut self, file: &Path) -> Self {
        file.clone_into(&mut self.file);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

/// Everything wrong with an input, in the order of files and lines; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refusals(pub Vec<Fault>);

impl Refusals {
    /// Sorts `faults` by line within each file, the files in the order of `files`.
    pub(crate) fn in_order(mut faults: Vec<Fault>, files: &[PathBuf]) -> Self {
        let number = |f: &Fault| files.iter().position(|file| *file == f.file);
        faults.sort_by_key(|f| (number(f), f.line, f.column));
        Self(faults)
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}
