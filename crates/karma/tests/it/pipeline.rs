//! The whole job on the smallest scenario.

use std::{fs, path::Path};

use serde_json::Value;

use crate::command;

/// Every file of a finished run, in order.
const FILES: [&str; 18] = [
    "analyze/organization.inferred.yaml",
    "analyze/roles.json",
    "analyze/trajectories.parquet",
    "evaluate/episodes.parquet",
    "evaluate/summary.json",
    "inputs/karma.yaml",
    "manifest.json",
    "model/fidelity.json",
    "model/trace.parquet",
    "model/twin.json",
    "model/twin.safetensors",
    "report.html",
    "scenario.yaml",
    "timing.json",
    "train/metrics.jsonl",
    "train/policy.json",
    "train/policy.safetensors",
    "train/tensorboard/events.out.tfevents.0.karma",
];

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_run_leaves_every_file_at_any_number_of_threads_and_is_left_alone_when_finished() {
    let folder = command::folder("pipeline");
    command::tiny_scenario(&folder);
    let run = |threads: &str, out: &str| {
        let arguments = ["run", "tiny.yaml", "--threads", threads, "--out", out];
        command::run(&folder, &arguments)
    };
    let first = run("1", "one");
    let verdict = json(&folder.join("one/transfer/verdict.json"));
    let gate = i32::from(verdict["pass"] == false);
    assert_eq!(first.status, Some(gate), "{first:#?}");
    assert!(first.stdout.contains("total"), "{first:#?}");

    let one = command::contents(&folder.join("one"));
    let names: Vec<&Path> = one.iter().map(|(name, _)| name.as_path()).collect();
    for file in FILES {
        assert!(names.contains(&Path::new(file)), "{file} is missing");
    }
    assert_eq!(run("2", "two").status, Some(gate));
    let two = command::contents(&folder.join("two"));
    for ((name, one), (_, two)) in one.iter().zip(&two) {
        let is_time = name == Path::new("timing.json");
        assert!(is_time || one == two, "{} differs", name.display());
    }

    let again = run("1", "one");
    assert_eq!(again.status, Some(gate), "{again:#?}");
    assert!(again.stderr.contains("fit: finished before, left alone"));
    assert!(one == command::contents(&folder.join("one")));
    keys_are_as_promised(&folder.join("one"));
}

fn keys_are_as_promised(run: &Path) {
    let manifest = json(&run.join("manifest.json"));
    assert_eq!(manifest["format"], 1);
    for key in ["version", "cpu_feature_level", "scenario", "seed", "inputs"] {
        assert!(!manifest[key].is_null(), "manifest.json: {key}");
    }
    for step in ["fit", "train", "analyze", "transfer", "evaluate", "report"] {
        assert_eq!(manifest["steps"][step]["state"], "finished");
        let outputs = manifest["steps"][step]["outputs"].as_object().unwrap();
        assert!(!outputs.is_empty(), "{step} has no outputs");
    }
    assert!(json(&run.join("timing.json"))["wall_s"]["evaluate"].is_number());
    let verdict = json(&run.join("transfer/verdict.json"));
    assert!(verdict["pass"].is_boolean() && verdict["reasons"].is_array());
    let decisions = fs::read_to_string(run.join("transfer/decisions.jsonl")).unwrap();
    for line in decisions.lines() {
        let decision: Value = serde_json::from_str(line).unwrap();
        assert!(decision["reason"].is_string(), "{line}");
    }
    let report = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains("</html>"));
    assert!(!report.contains("src=\"http"), "the page works offline");
}

#[test]
fn a_step_can_be_done_alone_and_again() {
    let folder = command::folder("steps");
    command::tiny_scenario(&folder);
    command::run(&folder, &["fit", "tiny.yaml"]).expect(0);
    let before = command::contents(&folder.join("runs/tiny/model"));
    let json = command::run(&folder, &["fit", "tiny.yaml", "--output", "json"]).expect(0);
    for line in json.stdout.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        assert!(row.is_object());
    }
    command::run(&folder, &["fit", "tiny.yaml", "--force"]).expect(0);
    assert!(before == command::contents(&folder.join("runs/tiny/model")));
    // The run directory is whole by itself: its own scenario is the same input.
    let own = "runs/tiny/scenario.yaml";
    let same = command::run(&folder, &["fit", own, "--out", "runs/tiny"]).expect(0);
    assert!(same.stderr.contains("left alone"), "{same:#?}");
}
