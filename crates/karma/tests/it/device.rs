//! Where networks are trained: what a build without a device says, and what one with it records.

use serde_json::Value;

use crate::{
    command::{self, folder, tiny_scenario},
    refusals::refused,
};

#[test]
fn a_device_that_this_build_has_not_is_refused_before_anything_is_done() {
    let folder = folder("devices");
    tiny_scenario(&folder);
    let build = |feature: &str| format!("`cargo build --release --features {feature}`");
    for (device, feature, is_there) in [
        ("cuda", "cuda", cfg!(feature = "cuda")),
        ("candle-cpu", "candle", cfg!(feature = "candle")),
    ] {
        if is_there {
            continue;
        }
        let said = format!("error: device {device} is not part of this build");
        for command in [
            &["run", "tiny.yaml"][..],
            &["train", "tiny.yaml"],
            &["bench", "train"],
        ] {
            let arguments = [command, &["--device", device]].concat();
            refused(&folder, &arguments, &[&said, &build(feature)]);
        }
    }
    assert!(!folder.join("runs").exists(), "a refusal leaves nothing");
}

#[test]
fn the_processor_can_be_named() {
    let folder = folder("device-cpu");
    let ended = command::run(
        &folder,
        &[
            "bench",
            "train",
            "--envs",
            "16",
            "--hidden",
            "16",
            "--iterations",
            "1",
            "--device",
            "cpu",
            "--output",
            "json",
        ],
    );
    let row: Value = serde_json::from_str(&ended.expect(0).stdout).unwrap();
    assert_eq!(row["device"], "cpu");
}

#[cfg(feature = "candle")]
#[test]
fn a_run_keeps_to_the_device_that_it_was_trained_on() {
    let folder = folder("device-candle");
    tiny_scenario(&folder);
    let on_device = ["run", "tiny.yaml", "--device", "candle-cpu"];
    let first = command::run(&folder, &on_device);
    assert!(matches!(first.status, Some(0 | 1)), "{first:#?}");
    let manifest = std::fs::read_dir(folder.join("runs"))
        .unwrap()
        .next()
        .unwrap();
    let manifest = std::fs::read(manifest.unwrap().path().join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["steps"]["train"]["inputs"]["device"], "candle-cpu");
    let again = command::run(&folder, &on_device);
    assert_eq!(again.status, first.status);
    assert!(again.stderr.contains("train: finished before, left alone"));
    refused(
        &folder,
        &["run", "tiny.yaml"],
        &["train was made from other inputs", "device was candle-cpu"],
    );
}
