//! Runs the built `karma` on folders of its own.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::workspace;

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Exit status; `None` when a signal ended it.
    pub(crate) status: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// `karma` with `arguments`, about to run in `folder`.
pub(crate) fn karma(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_karma"));
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .env_remove("COLUMNS");
    command
}

/// Runs `karma` with `arguments` in `folder` to its end.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Ended {
    ended(&mut karma(folder, arguments))
}

/// Runs `command` to its end.
pub(crate) fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ended {
    /// Fails unless the exit status is `status`.
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self:#?}");
        self
    }
}

/// A running `karma` whose standard error is read line by line.
pub(crate) struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStderr>>,
    said: String,
}

impl Running {
    /// Starts `karma` with `arguments` in `folder`.
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = karma(folder, arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self {
            child,
            lines,
            said: String::new(),
        }
    }

    /// Reads until a line for which `is_it` holds; fails where none comes.
    pub(crate) fn wait_for(&mut self, is_it: impl Fn(&str) -> bool) {
        loop {
            let Some(line) = self.lines.next() else {
                panic!("the line never came:\n{}", self.said);
            };
            let line = line.unwrap();
            self.said += &line;
            self.said.push('\n');
            if is_it(&line) {
                return;
            }
        }
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let kill = format!("kill -INT {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        for line in self.lines.by_ref() {
            self.said += &line.unwrap();
            self.said.push('\n');
        }
        Ended {
            status: self.child.wait().unwrap().code(),
            stdout: String::new(),
            stderr: self.said,
        }
    }
}

/// An empty folder for the test called `name`.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Writes `tiny.yaml` into `folder`: `smoke` with as little of everything as shows all phases.
pub(crate) fn tiny_scenario(folder: &Path) {
    let smoke = workspace::root().join("scenarios/smoke.yaml");
    let text = format!(
        "format: 1\nname: tiny\nextends: {}\n\
         twin: {{episodes: 6, members: 2, hidden: 16, epochs: 4}}\n\
         train: {{iterations: 4, games: 8, steps: 20, hidden: 16, checkpoint_every: 1}}\n\
         analyze: {{episodes: 1}}\n\
         evaluate: {{seeds: 2, grid: 2, validation_seeds: 1, constant_episodes: 4}}\n",
        smoke.display()
    );
    fs::write(folder.join("tiny.yaml"), text).unwrap();
}

/// Names and contents of every file under `folder`, sorted.
pub(crate) fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
