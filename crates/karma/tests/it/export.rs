//! Policies for other programs.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::command;

/// A folder with a trained run of the smallest scenario in `runs/tiny`.
fn trained(name: &str) -> PathBuf {
    let folder = command::folder(name);
    command::tiny_scenario(&folder);
    for step in ["fit", "train"] {
        command::run(&folder, &[step, "tiny.yaml"]).expect(0);
    }
    folder
}

/// Exports the policy of `run` and checks that this is refused with `says` and leaves nothing.
fn refused(folder: &Path, run: &str, says: &[&str]) {
    let arguments = [
        "export",
        run,
        "--onnx",
        "ill/policy.onnx",
        "--examples",
        "ill/e.json",
    ];
    let ended = command::run(folder, &arguments).expect(2);
    for word in says {
        assert!(ended.stderr.contains(word), "{word:?}: {ended:#?}");
    }
    assert_eq!(ended.stdout, "");
    assert!(!folder.join("ill").exists(), "{run} leaves nothing");
}

#[test]
fn a_policy_that_remembers_says_what_it_takes_and_gives() {
    let folder = command::folder("export-remembers");
    command::tiny_scenario(&folder);
    let path = folder.join("tiny.yaml");
    let text = fs::read_to_string(&path).unwrap();
    // More minibatches than samples: a2c does not cut its rollouts.
    let settings =
        "{iterations: 1, algorithm: a2c, minibatches: 1000, recurrent: {sequence: 5}, games: 8";
    let changed = text.replace("{iterations: 4, games: 8", settings);
    assert_ne!(changed, text);
    fs::write(&path, changed).unwrap();
    for step in ["fit", "train"] {
        command::run(&folder, &[step, "tiny.yaml"]).expect(0);
    }
    let arguments = ["export", "runs/tiny", "--onnx", "p.onnx"];
    let told = command::run(&folder, &[&arguments[..], &["--output", "json"]].concat()).expect(0);
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    let [askers, numbers] = &told["state"].as_array().unwrap()[..] else {
        panic!("two sizes: {told}");
    };
    let text = command::run(&folder, &arguments).expect(0).stdout;
    let state = format!("state [batch, {askers}, {numbers}]");
    assert!(
        text.contains(&state) && text.contains("state_after"),
        "{text}"
    );
}

#[test]
fn a_trained_policy_is_exported_with_examples_and_the_same_bytes_from_its_bare_files() {
    let folder = trained("export");
    let run = "runs/tiny";
    let arguments = [
        "export",
        run,
        "--onnx",
        "new/policy.onnx",
        "--output",
        "json",
    ];
    let told = command::run(&folder, &arguments).expect(0);
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    assert!(told["state"].is_null(), "nothing is remembered: {told}");
    let model = fs::read(folder.join("new/policy.onnx")).unwrap();
    assert_eq!(fs::read_dir(folder.join("new")).unwrap().count(), 1);

    let bare = [
        "export",
        "runs/tiny/train",
        "--onnx",
        "p.onnx",
        "--examples",
        "e.json",
    ];
    let text = command::run(&folder, &bare).expect(0).stdout;
    assert!(text.contains("observation [batch, 36]"), "{text}");
    assert_eq!(fs::read(folder.join("p.onnx")).unwrap(), model);
    let examples = fs::read_to_string(folder.join("e.json")).unwrap();
    let examples: Value = serde_json::from_str(&examples).unwrap();
    assert_eq!(examples["model_sha256"], told["sha256"]);
    let policy = fs::read_to_string(folder.join("runs/tiny/train/policy.json")).unwrap();
    let policy: Value = serde_json::from_str(&policy).unwrap();
    let hash = policy["weights_sha256"].as_str().unwrap();
    let is_there = model
        .windows(hash.len())
        .any(|part| part == hash.as_bytes());
    assert!(is_there, "the manifest is in the metadata");
}

#[test]
fn what_cannot_be_exported_is_refused_and_leaves_nothing() {
    let folder = trained("not exported");
    refused(
        &folder,
        "nowhere",
        &["nowhere is no run directory", "hint:"],
    );
    fs::create_dir(folder.join("empty")).unwrap();
    refused(&folder, "empty", &["empty is no run directory"]);
    refused(&folder, "tiny.yaml", &["tiny.yaml is no run directory"]);

    // The policy of another scenario.
    let scenario = folder.join("runs/tiny/scenario.yaml");
    let text = fs::read_to_string(&scenario).unwrap();
    let other = text.replacen("rate_per_replica: ", "rate_per_replica: 1", 1);
    assert_ne!(other, text);
    fs::write(&scenario, other).unwrap();
    refused(
        &folder,
        "runs/tiny",
        &["policy.json: services.0.rate_per_replica is"],
    );
    fs::write(&scenario, &text).unwrap();

    let policy = folder.join("runs/tiny/train/policy.json");
    let manifest = fs::read_to_string(&policy).unwrap();
    for (from, to, says) in [
        ("\"choices\": 7", "\"choices\": 5", "layout.choices is 5"),
        ("\"inputs\": ", "\"inputs\": 1", "policy.json: the layout"),
        (
            "\"hidden\": [",
            "\"hidden\": [9999999999999,",
            "policy.json: the layout",
        ),
        (
            "\"hidden\": [",
            "\"hidden\": [0,",
            "policy.json: the layout",
        ),
        ("\"outputs\"", "\"frob\"", "outputs"),
    ] {
        let broken = manifest.replacen(from, to, 1);
        assert_ne!(broken, manifest, "{from}");
        fs::write(&policy, broken).unwrap();
        refused(&folder, "runs/tiny", &[says]);
        refused(&folder, "runs/tiny/train", &[says]);
    }
    fs::remove_file(&policy).unwrap();
    refused(
        &folder,
        "runs/tiny",
        &["has no trained policy yet", "hint:"],
    );
}

#[test]
fn files_of_the_run_itself_are_not_overwritten() {
    let folder = trained("not overwritten");
    let before = command::contents(&folder);
    for onnx in [
        "runs/tiny/scenario.yaml",
        "runs/tiny/manifest.json",
        "runs/tiny/train/policy.safetensors",
        "runs/tiny/train/new.onnx",
        "runs/../runs/tiny/report.html",
    ] {
        let arguments = ["export", "runs/tiny", "--onnx", onnx];
        let told = command::run(&folder, &arguments).expect(2).stderr;
        assert!(told.contains("belongs to the run itself"), "{told}");
    }
    let arguments = [
        "export",
        "runs/tiny/train",
        "--onnx",
        "runs/tiny/train/policy.json",
    ];
    command::run(&folder, &arguments).expect(2);
    assert_eq!(command::contents(&folder), before);
}

#[test]
fn a_file_that_cannot_be_written_is_refused_and_the_old_one_stays() {
    let folder = trained("not written");
    fs::write(folder.join("file"), "old").unwrap();
    fs::create_dir(folder.join("folder")).unwrap();
    symlink("folder", folder.join("link")).unwrap();
    let fifo = Command::new("mkfifo").arg(folder.join("pipe")).status();
    assert!(fifo.unwrap().success());
    for (onnx, examples) in [
        ("file/policy.onnx", "e.json"),
        ("folder", "e.json"),
        ("policy.onnx", "file/e.json"),
        ("same", "same"),
        ("same", "./same"),
        ("new/same", "new/x/../same"),
        ("folder/same", "link/same"),
        ("pipe", "e.json"),
        ("policy.onnx", "link/../pipe"),
    ] {
        let arguments = [
            "export",
            "runs/tiny",
            "--onnx",
            onnx,
            "--examples",
            examples,
        ];
        command::run(&folder, &arguments).expect(2);
        assert!(!folder.join("policy.onnx").exists());
    }
    assert_eq!(fs::read(folder.join("file")).unwrap(), b"old");
    let pipe = fs::metadata(folder.join("pipe")).unwrap();
    assert!(pipe.file_type().is_fifo(), "it is still a pipe");
    fs::remove_file(folder.join("pipe")).unwrap();
    let is_partial = |(name, _): &(PathBuf, Vec<u8>)| name.to_string_lossy().contains("partial");
    assert!(!command::contents(&folder).iter().any(is_partial));
}
