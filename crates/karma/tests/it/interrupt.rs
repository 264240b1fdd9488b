//! Ctrl-C in every step, always upon a line of progress, and how the run goes on.

use std::path::{Path, PathBuf};

use crate::command::{self, Running};

const STEPS: [&str; 6] = ["fit", "train", "analyze", "transfer", "evaluate", "report"];

/// Everything in a run directory but the times.
fn without_times(run: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut contents = command::contents(run);
    contents.retain(|(name, _)| name != Path::new("timing.json"));
    contents
}

#[test]
fn a_run_interrupted_in_every_step_ends_with_the_bytes_of_an_uninterrupted_one() {
    let folder = command::folder("interrupted");
    command::tiny_scenario(&folder);
    let whole = command::run(&folder, &["run", "tiny.yaml", "--out", "whole"]);
    let arguments = ["run", "tiny.yaml", "--out", "pieces"];
    for step in STEPS {
        let mut running = Running::start(&folder, &arguments);
        // The first figures of a step, where it has any: by then its work has begun.
        let begun = format!("{step}: ");
        let announced = format!("{step}: started");
        running
            .wait_for(|line| line.starts_with(&begun) && (line != announced || step == "report"));
        running.interrupt();
        let ended = running.end();
        if step == "report" && ended.status != Some(130) {
            // It takes milliseconds: it may be done before the signal arrives.
            continue;
        }
        assert_eq!(ended.status, Some(130), "{step}: {ended:#?}");
        assert!(ended.stderr.contains("interrupted"), "{ended:#?}");
        let hint = "hint: go on where it stopped with `";
        assert!(ended.stderr.contains(hint), "{ended:#?}");
    }
    let resumed = command::run(&folder, &arguments);
    assert_eq!(resumed.status, whole.status, "{resumed:#?}");
    let (whole, pieces) = (
        without_times(&folder.join("whole")),
        without_times(&folder.join("pieces")),
    );
    let names = |files: &[(PathBuf, Vec<u8>)]| -> Vec<PathBuf> {
        files.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&whole), names(&pieces));
    for ((name, whole), (_, pieces)) in whole.iter().zip(&pieces) {
        assert!(whole == pieces, "{} differs", name.display());
    }
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let folder = command::folder("interrupted-twice");
    command::tiny_scenario(&folder);
    let mut running = Running::start(&folder, &["fit", "tiny.yaml"]);
    running.wait_for(|line| line.starts_with("fit: "));
    running.interrupt();
    running.interrupt();
    assert_eq!(running.end().status, Some(130));
}
