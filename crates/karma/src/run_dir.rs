//! The run directory: one scenario, the files of every step, and how far they are.

mod outputs;

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    files,
    input::Input,
    manifest::{Hashes, Manifest, Record, State, Step, Timing, first_difference},
    status::{Blame, Failure, Outcome},
};

/// Name of the resolved scenario in a run directory.
pub(crate) const SCENARIO: &str = "scenario.yaml";

/// Whether work that was done before is done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redo {
    /// No: it is left alone.
    Never,
    /// Yes, everything from this step on (`--force`).
    From(Step),
}

/// What there is to do in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// Everything.
    New,
    /// What an earlier command left undone.
    Resumed,
    /// Nothing: it was done.
    Done,
}

/// An open run directory. Nobody else works in it meanwhile.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    /// What to type after the name of a step to do it here.
    words: String,
    manifest: Manifest,
    timing: Timing,
    _lock: File,
}

impl RunDir {
    /// Opens the run directory `path` for `input`: a new one where it is empty, the same one where
    /// it was made from the same inputs. The work begins with `first`; `words` is what to type
    /// after the name of a step to do it here.
    pub(crate) fn open(
        path: &Path,
        input: &Input,
        first: Step,
        words: String,
        redo: Redo,
    ) -> Outcome<Self> {
        if let Some(needed) = first.before().next()
            && !path.join(Manifest::FILE).exists()
            && !path.is_file()
        {
            return Err(lacks(path, first, needed, &words));
        }
        let lock = lock(path)?;
        let now = Manifest::new(
            &input.scenario.name,
            input.scenario.seed,
            input
                .files()
                .map(|(name, text)| (name.to_owned(), files::hash(text)))
                .collect(),
        );
        let manifest = if path.join(Manifest::FILE).exists() {
            Self::reopen(path, input, now, &words, redo)?
        } else if is_empty(path)? {
            now
        } else {
            return Err(Failure::refused(format_args!(
                "{} holds files but no {}: it is no run directory",
                path.display(),
                Manifest::FILE
            ))
            .hint("name an empty or new directory with --out"));
        };
        // The manifest comes first: with it, whatever else is missing is known to be missing.
        manifest.write(path).refuse().map_err(in_the_way)?;
        for (name, text) in input.files() {
            let written = files::replace(&path.join(name), text);
            written.refuse().map_err(in_the_way)?;
        }
        Ok(Self {
            timing: Timing::read(path),
            path: path.to_owned(),
            words,
            manifest,
            _lock: lock,
        })
    }

    /// Compares what is recorded with what is `now` given.
    fn reopen(
        path: &Path,
        input: &Input,
        now: Manifest,
        words: &str,
        redo: Redo,
    ) -> Outcome<Manifest> {
        let recorded = Manifest::read(path)
            .refuse()
            .map_err(|failure| failure.hint("remove the directory, or name another with --out"))?;
        let difference = recorded.difference(&now).or_else(|| {
            let changed = first_difference(&recorded.inputs, &now.inputs)?;
            let text = files::read(&path.join(SCENARIO)).ok();
            let difference = text.and_then(|text| input.difference(&text));
            Some(difference.unwrap_or(changed))
        });
        let Some(difference) = difference else {
            return Ok(recorded);
        };
        match redo {
            Redo::From(Step::Fit) => {
                for step in recorded.steps.keys() {
                    files::remove(&path.join(step.place()))?;
                }
                files::remove(&path.join(Timing::FILE))?;
                Ok(now)
            }
            Redo::From(_) | Redo::Never => Err(Failure::refused(format_args!(
                "{} was made from other inputs: {difference}",
                path.display()
            ))
            .hint(format!(
                "name another directory with --out, or redo all of it with `karma run {words} --force`"
            ))),
        }
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Seconds per step so far.
    pub(crate) fn timing(&self) -> &Timing {
        &self.timing
    }

    /// What to type to do `step` here once more.
    pub(crate) fn way_to_redo(&self, step: Step) -> String {
        format!("karma {step} {} --force", self.words)
    }

    /// Begins `step`, which depends on `settings` and on the files of the steps before.
    pub(crate) fn begin(&mut self, step: Step, settings: Hashes, redo: Redo) -> Outcome<Begun> {
        let inputs = self.inputs_of(step, settings)?;
        if let Redo::From(first) = redo
            && step >= first
        {
            self.forget_from(step)?;
        }
        let begun = match self.manifest.steps.get(&step) {
            None => {
                files::remove(&self.path.join(step.place()))?;
                Begun::New
            }
            Some(record) => {
                if let Some(difference) = first_difference(&record.inputs, &inputs) {
                    return Err(Failure::refused(format_args!(
                        "{step} was made from other inputs: {difference}"
                    ))
                    .hint(format!("redo it with `{}`", self.way_to_redo(step))));
                }
                if record.state == State::Finished && self.missing(step, record)?.is_none() {
                    return Ok(Begun::Done);
                }
                Begun::Resumed
            }
        };
        let record = Record {
            state: State::Started,
            inputs,
            outputs: Hashes::new(),
        };
        self.manifest.steps.insert(step, record);
        self.manifest.write(&self.path)?;
        Ok(begun)
    }

    /// Forgets that `step` was begun: its input was refused.
    pub(crate) fn abandon(&mut self, step: Step) -> Outcome<()> {
        self.forget_from(step)?;
        Ok(self.manifest.write(&self.path)?)
    }

    /// Records that `step` finished after `seconds`, and what it wrote.
    pub(crate) fn finish(&mut self, step: Step, seconds: f64) -> Outcome<()> {
        let outputs = outputs::written(&self.path, step)?;
        if let Some(record) = self.manifest.steps.get_mut(&step) {
            record.state = State::Finished;
            record.outputs = outputs;
        }
        self.manifest.write(&self.path)?;
        self.pause(step, seconds)
    }

    /// Records that `step` worked for `seconds`.
    pub(crate) fn pause(&mut self, step: Step, seconds: f64) -> Outcome<()> {
        let written = self.timing.add(&self.path, step, seconds);
        written.map_err(|error| in_the_way(error.into()))
    }

    /// Adds the state of the steps before to `settings`: one hash over the outputs of each.
    fn inputs_of(&self, step: Step, settings: Hashes) -> Outcome<Hashes> {
        let mut inputs = settings;
        for before in step.before() {
            let record = self.manifest.steps.get(&before);
            let Some(record) = record.filter(|record| record.state == State::Finished) else {
                return Err(lacks(&self.path, step, before, &self.words));
            };
            if let Some(missing) = self.missing(before, record)? {
                return Err(Failure::refused(format_args!(
                    "{step} reads the files of {before}, and {} is missing",
                    missing.display()
                ))
                .hint(format!(
                    "put it back, or make it again with `karma {before} {}`",
                    self.words
                )));
            }
            let outputs = serde_json::to_vec(&record.outputs)?;
            inputs.insert(before.name().to_owned(), files::hash(&outputs));
        }
        Ok(inputs)
    }

    /// Drops `step` and what follows from it.
    fn forget_from(&mut self, step: Step) -> Result<()> {
        for dropped in Step::ALL.into_iter().filter(|other| *other >= step) {
            if self.manifest.steps.remove(&dropped).is_some() {
                files::remove(&self.path.join(dropped.place()))?;
                self.timing.wall_s.remove(&dropped);
            }
        }
        Ok(())
    }

    /// The first file that `step` wrote and that is gone; what else is wrong there is refused.
    fn missing(&self, step: Step, record: &Record) -> Outcome<Option<PathBuf>> {
        outputs::missing(&self.path, step, &record.outputs).map_err(|failure| {
            failure.hint(format!("make it again with `{}`", self.way_to_redo(step)))
        })
    }
}

/// Adds to a file that cannot be written what to do about it.
fn in_the_way(failure: Failure) -> Failure {
    failure.hint("remove what is in the way, or name another directory with --out")
}

/// The refusal of `step` in the run directory `path`, where `needed` has not finished.
fn lacks(path: &Path, step: Step, needed: Step, words: &str) -> Failure {
    Failure::refused(format_args!(
        "{step} reads the files of {needed}, and {} has none",
        path.display()
    ))
    .hint(format!(
        "do `karma {needed} {words}` first, or everything with `karma run {words}`"
    ))
}

/// Makes the directory where it is absent, and keeps others out while the result lives.
fn lock(path: &Path) -> Outcome<File> {
    if path.exists() && !path.is_dir() {
        return Err(Failure::refused(format_args!(
            "{} is a file, where the run directory should be",
            path.display()
        ))
        .hint("name a directory with --out"));
    }
    let lock = fs::create_dir_all(path)
        .and_then(|()| File::open(path))
        .with_context(|| format!("cannot make the run directory {}", path.display()))
        .refuse()?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Failure::refused(format_args!(
            "another karma works in {}",
            path.display()
        ))),
        // A file system without locks keeps nobody out, which is no reason not to work there.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(lock),
    }
}

fn is_empty(path: &Path) -> Result<bool> {
    Ok(files::list(path, path)?.is_empty())
}
