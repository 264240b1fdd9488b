//! The run directory: one scenario, the files of every step, and how far they are.

mod outputs;

use std::{
    fs::{self, DirEntry, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use karma_cluster::files::PARTIAL;

use crate::{
    files,
    input::Input,
    manifest::{Hashes, Manifest, Record, State, Step, Timing, first_difference},
    status::{Blame, ExitStatus, Failure, Outcome},
    words::{self, Words},
};

/// Name of the resolved scenario in a run directory.
pub(crate) const SCENARIO: &str = "scenario.yaml";

/// Folder of a run directory with copies of the files that its scenario reads, so that the
/// directory is whole by itself.
pub(crate) const INPUTS: &str = "inputs";

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
    /// What to type to work here.
    words: Words,
    manifest: Manifest,
    timing: Timing,
    _lock: File,
}

impl RunDir {
    /// Opens the run directory `path` for `input`: a new one where it is empty, the same one where
    /// it was made from the same inputs. The work begins with `first`; `words` is what to type to
    /// work here.
    pub(crate) fn open(
        path: &Path,
        input: &Input,
        first: Step,
        words: Words,
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
        manifest.write(path).refuse().map_err(unwritten)?;
        for (name, text) in input.files() {
            let written = files::replace(&path.join(name), text);
            written.refuse().map_err(unwritten)?;
        }
        sweep(path)?;
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
        words: &Words,
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
                "name another directory with --out, or redo all of it with `karma run {} --force`{}",
                words.run,
                way_to_keep(path, &recorded, &now)
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
        format!("{} --force", self.way_to_do(step))
    }

    /// What to type to do `step` here.
    fn way_to_do(&self, step: Step) -> String {
        let words = &self.words.step;
        if step == Step::Train {
            return format!("karma {step} {words}{}", self.words.device);
        }
        if step != Step::Fit {
            return format!("karma {step} {words}");
        }
        let mut settings = self.manifest.steps.get(&step).into_iter();
        let of_traces = |name: &String| name.starts_with("trace ");
        let is_of_traces = settings.any(|record| record.inputs.keys().any(of_traces));
        // Where they lay is not recorded.
        let unknown = || is_of_traces.then(|| " --trace TRACES".to_owned());
        let traces = self.words.traces.clone().or_else(unknown);
        format!("karma {step} {words}{}", traces.unwrap_or_default())
    }

    /// Begins `step`, which depends on `settings` and on the files of the steps before.
    pub(crate) fn begin(&mut self, step: Step, settings: Hashes, redo: Redo) -> Outcome<Begun> {
        let inputs = self.inputs_of(step, settings)?;
        if let Redo::From(first) = redo
            && step >= first
        {
            self.forget_from(step)?;
        }
        let (begun, outputs) = match self.manifest.steps.get(&step) {
            None => {
                files::remove(&self.path.join(step.place()))?;
                (Begun::New, Hashes::new())
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
                (Begun::Resumed, record.outputs.clone())
            }
        };
        let record = Record {
            state: State::Started,
            inputs,
            outputs,
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

    /// Records that `step` finished after `seconds`, and what it wrote. Where it finished before and
    /// was to make again what is missing of it, it is refused that it wrote anything else: the
    /// steps after it rest on that. On the report, which tells of times, rests nothing.
    pub(crate) fn finish(&mut self, step: Step, seconds: f64) -> Outcome<()> {
        let outputs = outputs::written(&self.path, step)?;
        let mut changed = None;
        if let Some(record) = self.manifest.steps.get_mut(&step) {
            record.state = State::Finished;
            if record.outputs.is_empty() || step == Step::Report {
                record.outputs = outputs;
            } else {
                let mut names = record.outputs.keys().chain(outputs.keys());
                let is_changed = |name: &&String| record.outputs.get(*name) != outputs.get(*name);
                changed = names.find(is_changed).cloned();
            }
        }
        self.manifest.write(&self.path)?;
        self.pause(step, seconds)?;
        changed.map_or(Ok(()), |name| {
            let path = self.path.join(name);
            let message = format_args!("{step} alone does not make {} again", path.display());
            let hint = format!("do all of it anew with `{}`", self.way_to_redo(step));
            Err(Failure::refused(message).hint(hint))
        })
    }

    /// Records that `step` worked for `seconds`.
    pub(crate) fn pause(&mut self, step: Step, seconds: f64) -> Outcome<()> {
        let written = self.timing.add(&self.path, step, seconds);
        written.map_err(|error| unwritten(error.into()))
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
                    "put it back, or make it again with `{}`",
                    self.way_to_do(before)
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

/// Removes what an earlier command was killed while it wrote.
fn sweep(path: &Path) -> Result<()> {
    for name in [SCENARIO, Manifest::FILE, Timing::FILE, Step::Report.place()] {
        files::remove(&path.join(format!("{name}.{PARTIAL}")))?;
    }
    for folder in Step::ALL.map(Step::place).into_iter().chain([INPUTS]) {
        files::sweep(&path.join(folder))?;
    }
    Ok(())
}

/// How to go on in the run directory `path` with what it was made from, which is not what is `now`
/// given; nothing where that is gone, or where another karma made it.
fn way_to_keep(path: &Path, recorded: &Manifest, now: &Manifest) -> String {
    let is_whole = |(name, hash): (&String, &String)| {
        files::hash_file(&path.join(name)).is_ok_and(|found| found == *hash)
    };
    if recorded.is_of_this_karma(now) && recorded.inputs.iter().all(is_whole) {
        let (words, device) = (words::recorded(path), words::recorded_device(recorded));
        format!(", or keep to what it was made from with `karma run {words}{device}`")
    } else {
        String::new()
    }
}

/// Adds to a file that cannot be written what to do about it: something else is there, unless the
/// disk is full, which is no fault of the input.
fn unwritten(mut failure: Failure) -> Failure {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    let is_full = |cause: &(dyn std::error::Error + 'static)| {
        let cause = cause.downcast_ref::<io::Error>();
        cause.is_some_and(|error| matches!(error.kind(), QuotaExceeded | StorageFull))
    };
    if failure.error.chain().any(is_full) {
        failure.status = ExitStatus::Fault;
        return failure.hint("make room on the disk, or name a directory on another with --out");
    }
    failure.hint("remove what is in the way, or name another directory with --out")
}

/// The refusal of `step` in the run directory `path`, where `needed` has not finished.
fn lacks(path: &Path, step: Step, needed: Step, words: &Words) -> Failure {
    Failure::refused(format_args!(
        "{step} reads the files of {needed}, and {} has none",
        path.display()
    ))
    .hint(format!(
        "do `karma {needed} {}` first, or everything with `karma run {}`",
        words.step, words.run
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

/// Whether nothing lies in the folder `path` but what is no file yet.
fn is_empty(path: &Path) -> Outcome<bool> {
    let list = || fs::read_dir(path)?.collect::<io::Result<Vec<_>>>();
    let entries = list().with_context(|| format!("cannot list {}", path.display()));
    let is_partial = |entry: &DirEntry| entry.path().extension().is_some_and(|e| e == PARTIAL);
    Ok(entries.refuse()?.iter().all(is_partial))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_a_fault_and_nothing_is_in_the_way() {
        let failed = |kind| {
            let error: Result<(), _> = Err(io::Error::from(kind));
            unwritten(error.context("cannot write").refuse().unwrap_err())
        };
        let full = failed(io::ErrorKind::StorageFull);
        assert_eq!(full.status, ExitStatus::Fault);
        assert!(full.to_string().contains("make room"), "{full}");
        let taken = failed(io::ErrorKind::IsADirectory);
        assert_eq!(taken.status, ExitStatus::Refused);
        assert!(taken.to_string().contains("in the way"), "{taken}");
    }
}
