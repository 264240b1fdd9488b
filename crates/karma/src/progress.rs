//! Progress of long work on standard error: a bar with the time left on a terminal, else lines.

use std::{
    io::{self, IsTerminal},
    sync::{Mutex, MutexGuard, PoisonError},
};

use indicatif::{ProgressBar, ProgressStyle};
use karma_cluster::Watch;

use crate::{console, interrupt};

/// Lines per part of a step when standard error is no terminal.
const LINES: u64 = 10;

/// Shows the progress of one step and passes Ctrl-C on to it.
pub(crate) struct Progress {
    step: &'static str,
    is_terminal: bool,
    shown: Mutex<Shown>,
}

/// What was shown last.
#[derive(Default)]
struct Shown {
    part: String,
    tenth: u64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Announces `step`.
    pub(crate) fn start(step: &'static str) -> Self {
        console::say(format_args!("{step}: started"));
        Self {
            step,
            is_terminal: io::stderr().is_terminal(),
            shown: Mutex::default(),
        }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        // A panic elsewhere is no reason to panic about a progress bar.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bar(&self, total: u64) -> ProgressBar {
        let bar = ProgressBar::new(total).with_prefix(self.step);
        let style = "{prefix}: {wide_bar} {pos}/{len} {msg} [{elapsed} < {eta}]";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.shown().bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Watch for Progress {
    fn progress(&self, part: &str, done: u64, total: u64, note: &str) {
        let mut shown = self.shown();
        let is_new = shown.part != part;
        if self.is_terminal {
            if is_new && let Some(bar) = shown.bar.take() {
                bar.finish_and_clear();
            }
            part.clone_into(&mut shown.part);
            let bar = shown.bar.get_or_insert_with(|| self.bar(total));
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(format!("{part} {note}"));
            return;
        }
        let tenth = (done * LINES).checked_div(total).unwrap_or(LINES);
        if is_new || tenth != shown.tenth {
            part.clone_into(&mut shown.part);
            shown.tenth = tenth;
            let space = if note.is_empty() { "" } else { " " };
            console::say(format_args!(
                "{}: {part} {done}/{total}{space}{note}",
                self.step
            ));
        }
    }

    fn stopped(&self) -> bool {
        interrupt::requested()
    }
}
