//! Run directories that were damaged: what is wrong is said, and what the hint names mends it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::command::{self, Ended};

/// What is done to a file or folder.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Removed,
    NoText,
    MadeADirectory,
    MadeAFile,
}
use Harm::{MadeADirectory, MadeAFile, NoText, Removed};

impl Harm {
    fn strike(self, path: &Path) {
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        match self {
            Removed => {}
            NoText => fs::write(path, b"\xff\xfe{").unwrap(),
            MadeADirectory => fs::create_dir(path).unwrap(),
            MadeAFile => fs::write(path, "letter").unwrap(),
        }
    }
}

/// Copies the run directory `from` to `to`, in place of what is there.
fn copy(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    for (name, bytes) in command::contents(from) {
        let path = to.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// What a run wrote, but for the times of the machine.
fn written(run: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut contents = command::contents(run);
    contents.retain(|(name, _)| name != Path::new("timing.json"));
    contents
}

/// Makes `run` look as if `step` had been interrupted.
fn interrupt(run: &Path, step: &str) {
    let path = run.join("manifest.json");
    let mut manifest: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let steps = manifest["steps"].as_object_mut().unwrap();
    let order = ["fit", "train", "analyze", "transfer", "evaluate", "report"];
    for later in order.iter().skip_while(|name| **name != step).skip(1) {
        steps.remove(*later);
    }
    steps[step] = serde_json::json!({
        "state": "started", "inputs": steps[step]["inputs"], "outputs": {},
    });
    fs::write(&path, manifest.to_string()).unwrap();
}

/// Runs `tiny.yaml` to its end, in which the gate may pass or fail.
fn finish(folder: &Path) {
    let ended = command::run(folder, &["run", "tiny.yaml"]);
    assert!(is_done(&ended), "{ended:#?}");
}

fn is_done(ended: &Ended) -> bool {
    match ended.status {
        Some(0) => true,
        Some(1) => ended
            .stderr
            .ends_with("exit status 1: the work is finished, and the safety gate failed\n"),
        _ => false,
    }
}

/// Runs `tiny.yaml`, which is refused with all of `says`, then what the hint names, then the run.
fn refused_and_mended(folder: &Path, says: &[&str], case: &str) {
    command_refused_and_mended(folder, &["run", "tiny.yaml"], says, case);
}

/// The same with the command `asked`.
fn command_refused_and_mended(folder: &Path, asked: &[&str], says: &[&str], case: &str) {
    let mut arguments: Vec<String> = asked.iter().map(|word| (*word).to_owned()).collect();
    let mut refusals = 0;
    loop {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ended = command::run(folder, &words);
        if is_done(&ended) {
            if arguments == asked {
                break;
            }
            arguments = asked.iter().map(|word| (*word).to_owned()).collect();
            continue;
        }
        assert_eq!(ended.status, Some(2), "{case}: {ended:#?}");
        if refusals == 0 {
            for word in says {
                assert!(ended.stderr.contains(word), "{case}: {word:?}: {ended:#?}");
            }
        }
        refusals += 1;
        assert!(refusals < 4, "{case}: no hint helps: {ended:#?}");
        let (_, hint) = ended.stderr.split_once("\nhint: ").unwrap();
        let command = hint.split('`').nth(1).unwrap();
        let words = command.split_whitespace().skip(1);
        arguments = words.map(str::to_owned).collect();
    }
    assert!(refusals > 0, "{case} is not refused");
}

#[test]
fn a_damaged_run_says_what_is_wrong_and_what_mends_it() {
    let folder = command::folder("damage");
    command::tiny_scenario(&folder);
    finish(&folder);
    let (whole, run) = (folder.join("whole"), folder.join("runs/tiny"));
    copy(&run, &whole);
    // The step that is made to look interrupted, the file, what is done to it, what is said.
    let metrics = "train/metrics.jsonl";
    let cases: [(Option<&str>, &str, Harm, &str); 15] = [
        (
            None,
            metrics,
            Removed,
            "it is missing, and the checkpoint of",
        ),
        (None, metrics, NoText, "is not what train wrote"),
        (None, metrics, MadeADirectory, "where train wrote a file"),
        (
            None,
            "train/checkpoint",
            MadeAFile,
            "where train made a directory",
        ),
        (
            None,
            "train/checkpoint/00000003/state.msgpack",
            Removed,
            "train alone does not make",
        ),
        (None, "model", MadeAFile, "where fit made a directory"),
        (None, "model/trace.parquet", NoText, "is not what fit wrote"),
        (
            None,
            "analyze/roles.json",
            MadeADirectory,
            "where analyze wrote a file",
        ),
        (
            None,
            "evaluate",
            MadeAFile,
            "where evaluate made a directory",
        ),
        (
            None,
            "report.html",
            MadeADirectory,
            "where report wrote a file",
        ),
        (
            Some("train"),
            metrics,
            Removed,
            "it is missing, and the checkpoint of",
        ),
        (
            Some("train"),
            metrics,
            NoText,
            "cannot access runs/tiny/train/metrics.jsonl",
        ),
        (
            Some("train"),
            "train/checkpoint",
            MadeAFile,
            "cannot access runs/tiny/train/checkpoint",
        ),
        (
            Some("evaluate"),
            "evaluate",
            MadeAFile,
            "cannot access runs/tiny/evaluate/",
        ),
        (
            Some("report"),
            "report.html",
            MadeADirectory,
            "cannot write runs/tiny/report.html",
        ),
    ];
    for (interrupted, name, harm, says) in cases {
        let case = format!("{interrupted:?} {name} {harm:?}");
        copy(&whole, &run);
        if let Some(step) = interrupted {
            interrupt(&run, step);
        }
        harm.strike(&run.join(name));
        refused_and_mended(&folder, &[says, &format!("runs/tiny/{name}")], &case);
        assert!(written(&run) == written(&whole), "{case}: other bytes");
    }
}

#[test]
fn what_a_killed_run_left_half_done_is_mended_in_passing() {
    let folder = command::folder("half-done");
    command::tiny_scenario(&folder);
    finish(&folder);
    let (whole, run) = (folder.join("whole"), folder.join("runs/tiny"));
    copy(&run, &whole);
    for name in [
        "timing.json.partial",
        "manifest.json.partial",
        "model/twin.json.partial",
        "inputs/karma.yaml.partial",
    ] {
        fs::write(run.join(name), "half").unwrap();
    }
    // The newest checkpoint can be made again from the one before it.
    fs::remove_file(run.join("train/checkpoint/00000004/state.msgpack")).unwrap();
    finish(&folder);
    assert!(written(&run) == written(&whole), "other bytes");
}

#[test]
fn a_report_that_is_gone_is_written_again() {
    let folder = command::folder("report-gone");
    command::tiny_scenario(&folder);
    finish(&folder);
    let report = folder.join("runs/tiny/report.html");
    let files = |report: &Path| {
        let text = fs::read_to_string(report).unwrap();
        text.matches("model/twin.json").count() + text.matches("report.html").count()
    };
    let before = files(&report);
    fs::remove_file(&report).unwrap();
    finish(&folder);
    assert_eq!(files(&report), before);
    finish(&folder);
}

#[test]
fn what_a_later_step_misses_is_named() {
    let folder = command::folder("misses");
    command::tiny_scenario(&folder);
    finish(&folder);
    fs::remove_file(folder.join("runs/tiny/train/policy.json")).unwrap();
    let ended = command::run(&folder, &["analyze", "tiny.yaml"]).expect(2);
    assert_eq!(
        ended.stderr,
        "error: analyze reads the files of train, and runs/tiny/train/policy.json is missing\n\
         hint: put it back, or make it again with `karma train tiny.yaml`\n"
    );
    command::run(&folder, &["train", "tiny.yaml"]).expect(0);
    finish(&folder);
}

#[test]
fn metrics_of_another_seed_are_refused_where_training_goes_on_and_in_the_report() {
    let folder = command::folder("other_metrics");
    command::tiny_scenario(&folder);
    finish(&folder);
    let other = ["--seed", "7", "--out", "other"];
    command::run(&folder, &[&["fit", "tiny.yaml"], &other[..]].concat()).expect(0);
    command::run(&folder, &[&["train", "tiny.yaml"], &other[..]].concat()).expect(0);
    let run = folder.join("runs/tiny");
    fs::copy(
        folder.join("other/train/metrics.jsonl"),
        run.join("train/metrics.jsonl"),
    )
    .unwrap();
    let report = command::run(&folder, &["report", "tiny.yaml"]).expect(2);
    assert!(
        report
            .stderr
            .contains("metrics.jsonl is not what train wrote"),
        "{report:#?}"
    );
    interrupt(&run, "train");
    let says = [
        "metrics.jsonl",
        "are not those that the checkpoint of iteration 4",
    ];
    refused_and_mended(&folder, &says, "resumed");
}

#[test]
fn what_is_in_the_way_of_the_inputs_is_named() {
    let folder = command::folder("in_the_way");
    command::tiny_scenario(&folder);
    command::run(&folder, &["fit", "tiny.yaml"]).expect(0);
    for name in ["scenario.yaml", "inputs", "timing.json"] {
        let path = folder.join("runs/tiny").join(name);
        let harm = if path.is_dir() {
            MadeAFile
        } else {
            MadeADirectory
        };
        harm.strike(&path);
        let ended = command::run(&folder, &["train", "tiny.yaml"]).expect(2);
        let says = format!("cannot write runs/tiny/{name}");
        assert!(ended.stderr.contains(&says), "{ended:#?}");
        assert!(
            ended.stderr.contains("hint: remove what is in the way"),
            "{ended:#?}"
        );
        if path.is_dir() {
            fs::remove_dir(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
    }
    command::run(&folder, &["train", "tiny.yaml"]).expect(0);
}

#[test]
fn what_a_hint_names_keeps_the_options_that_the_run_was_given() {
    let folder = command::folder("kept-options");
    command::tiny_scenario(&folder);
    let rows: String = (0..3600).map(|row| format!("{}\n", 40 + row % 7)).collect();
    fs::write(folder.join("rows.txt"), rows).unwrap();
    let asked = "run tiny.yaml --out wl --seed 3 --workload rows.txt --workload-start 10m";
    let asked: Vec<&str> = asked.split_whitespace().collect();
    assert!(is_done(&command::run(&folder, &asked)));
    let (run, whole) = (folder.join("wl"), folder.join("whole"));
    copy(&run, &whole);
    for (name, harm) in [
        ("model/twin.json", NoText),
        ("train/policy.json", NoText),
        ("train", MadeAFile),
    ] {
        harm.strike(&run.join(name));
        command_refused_and_mended(&folder, &asked, &[name], name);
        assert!(written(&run) == written(&whole), "{name}: other bytes");
    }
    // Without the workload the run is another: what it was made from is at hand.
    let ended = command::run(&folder, &["train", "tiny.yaml", "--out", "wl"]).expect(2);
    let hint = "or keep to what it was made from with `karma run wl/scenario.yaml --out wl`";
    assert!(ended.stderr.contains(hint), "{ended:#?}");
    assert!(is_done(&command::run(
        &folder,
        &["run", "wl/scenario.yaml", "--out", "wl"]
    )));
    assert!(written(&run) == written(&whole), "other bytes");
    // All of it with another start of the slice: the hint repeats every option.
    let other = [&asked[..asked.len() - 1], &["11m"]].concat();
    let ended = command::run(&folder, &other).expect(2);
    let hint = format!("`karma {} --force`", other.join(" "));
    assert!(ended.stderr.contains(&hint), "{hint}: {ended:#?}");
}

#[test]
fn a_fit_to_given_traces_is_repeated_with_them() {
    let folder = command::folder("kept-traces");
    command::tiny_scenario(&folder);
    command::run(&folder, &["fit", "tiny.yaml", "--out", "first"]).expect(0);
    let trace = "first/model/trace.parquet";
    let asked = ["fit", "tiny.yaml", "--trace", trace];
    command::run(&folder, &asked).expect(0);
    NoText.strike(&folder.join("runs/tiny/model/twin.json"));
    command_refused_and_mended(&folder, &asked, &["twin.json"], "fit");
    NoText.strike(&folder.join("runs/tiny/model/twin.json"));
    let ended = command::run(&folder, &["train", "tiny.yaml"]).expect(2);
    let hint = "`karma fit tiny.yaml --trace TRACES --force`";
    assert!(ended.stderr.contains(hint), "{ended:#?}");
}
