//! Training whose numbers explode.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{command, workspace};

/// `smoke` in small, with one step of the optimizer per iteration, each with this learning rate.
fn write_scenario(folder: &Path, learning_rate: &str) {
    let smoke = workspace::root().join("scenarios/smoke.yaml");
    let text = format!(
        "format: 1\nname: tiny\nextends: {}\n\
         twin: {{episodes: 6, members: 2, hidden: 16, epochs: 4}}\n\
         train: {{iterations: 6, games: 8, steps: 20, hidden: 16, checkpoint_every: 1, \
         epochs: 1, minibatches: 1, learning_rate: {learning_rate}}}\n",
        smoke.display()
    );
    fs::write(folder.join("tiny.yaml"), text).unwrap();
}

/// The checkpoint that `train` of `tiny` has left.
fn checkpoint(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    command::contents(&folder.join("runs/tiny/train/checkpoint"))
}

#[test]
fn training_that_explodes_says_where_and_keeps_its_last_good_checkpoint() {
    let folder = command::folder("explosion");
    // The first step throws the weights so far that the second has no gradient; all of it finite.
    write_scenario(&folder, "1e30");
    command::run(&folder, &["check", "tiny.yaml"]).expect(0);
    command::run(&folder, &["fit", "tiny.yaml"]).expect(0);
    let says = "error: training stopped at iteration 1, step 0, agent all: gradient of the policy \
                is not finite";
    let ended = command::run(&folder, &["train", "tiny.yaml"]).expect(1);
    assert!(ended.stderr.contains("train: train 1/6"), "{ended:#?}");
    assert!(ended.stderr.contains(says), "{ended:#?}");
    let left = checkpoint(&folder);
    let names: Vec<&Path> = left.iter().map(|(name, _)| name.as_path()).collect();
    let expected = ["00000001/networks.safetensors", "00000001/state.msgpack"];
    assert_eq!(names, expected.map(Path::new));

    // Again: it goes on from there, so that the first iteration is not played a second time.
    let again = command::run(&folder, &["train", "tiny.yaml"]).expect(1);
    assert!(!again.stderr.contains("train: train 1/6"), "{again:#?}");
    assert!(again.stderr.contains(says), "{again:#?}");
    assert!(left == checkpoint(&folder), "the checkpoint was touched");
    let metrics = fs::read_to_string(folder.join("runs/tiny/train/metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 1);
}

#[test]
fn a_policy_that_explodes_at_once_names_the_agent_and_leaves_no_checkpoint() {
    let folder = command::folder("explosion-at-once");
    write_scenario(&folder, "1e38");
    command::run(&folder, &["fit", "tiny.yaml"]).expect(0);
    let ended = command::run(&folder, &["train", "tiny.yaml"]).expect(1);
    let says = "error: training stopped at iteration 0, step 0, agent bottleneck \
                (bottleneck_manager): logits is not finite";
    assert!(ended.stderr.contains(says), "{ended:#?}");
    assert!(!folder.join("runs/tiny/train/checkpoint").exists());
    assert!(!folder.join("runs/tiny/train/policy.json").exists());
}
