//! `karma tune` from outside.

use serde_json::Value;

use crate::command;

const TINY: &str = "tiny.yaml";

const SEARCH: [&str; 8] = [
    "--trials",
    "4",
    "--rungs",
    "2",
    "--reduction",
    "2",
    "--output",
    "json",
];

#[test]
fn a_search_halves_its_trials_repeats_itself_and_leaves_its_best() {
    let folder = command::folder("tune");
    command::tiny_scenario(&folder);
    let refused = command::run(&folder, &["tune", TINY, "--out", "run"]).expect(2);
    assert!(refused.stderr.contains("karma fit"), "{}", refused.stderr);
    command::run(&folder, &["fit", TINY, "--out", "run"]).expect(0);
    let search = |more: &[&str]| {
        let arguments = [&["tune", TINY, "--out", "run"], &SEARCH[..], more].concat();
        command::run(&folder, &arguments)
    };
    let first = search(&["--threads", "1"]).expect(0).stdout;
    let trials: Vec<Value> = first
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let rungs: Vec<usize> = trials
        .iter()
        .map(|trial| trial["scores"].as_array().unwrap().len())
        .collect();
    assert_eq!(rungs, [2, 2, 1, 1]);
    let iterations = |trial: usize| trials[trial]["iterations"].as_u64().unwrap();
    assert!(iterations(0) >= 2 * iterations(3) - 1, "{first}");
    assert!(trials[0]["scores"][1].as_f64() >= trials[1]["scores"][1].as_f64());
    // Again, on more threads, from what is there and from nothing.
    assert_eq!(search(&["--threads", "2"]).expect(0).stdout, first);
    assert_eq!(
        search(&["--threads", "2", "--force"]).expect(0).stdout,
        first
    );
    let other = command::run(&folder, &["tune", TINY, "--out", "run", "--trials", "5"]);
    assert!(other.expect(2).stderr.contains("another search"));
    command::run(&folder, &["check", "run/tune/best.yaml"]).expect(0);
}

#[test]
fn a_space_that_training_cannot_have_is_refused() {
    let folder = command::folder("tune-space");
    command::tiny_scenario(&folder);
    for (space, expected) in [
        ("speed: {of: [1]}", "no such setting"),
        (
            "clip: {of: [0.1]}\ngamma: {linear: [0.9, 1.5]}",
            "space.yaml:2: gamma: 1.5 is above 1",
        ),
        ("gamma: {around: 0.9}", "around"),
        ("# one\ngamma: {of: [x]}", "space.yaml:2: gamma: "),
        (
            "learning_rate: {log: [1e-300, 1e300]}",
            "space.yaml:1: learning_rate: its ends are too far apart",
        ),
        ("", "space.yaml: the file is empty"),
    ] {
        std::fs::write(folder.join("space.yaml"), space).unwrap();
        let arguments = ["tune", TINY, "--space", "space.yaml"];
        let ended = command::run(&folder, &arguments).expect(2);
        assert!(ended.stderr.contains(expected), "{space}: {}", ended.stderr);
    }
}

#[test]
fn a_search_with_attackers_that_learn_is_refused() {
    let folder = command::folder("tune-adversary");
    command::tiny_scenario(&folder);
    let text = std::fs::read_to_string(folder.join(TINY)).unwrap();
    let text = text.replacen("train: {", "train: {adversary: {}, ", 1);
    std::fs::write(folder.join("attacked.yaml"), text).unwrap();
    let ended = command::run(&folder, &["tune", "attacked.yaml"]).expect(2);
    assert!(ended.stderr.contains("train.adversary"), "{}", ended.stderr);
}
