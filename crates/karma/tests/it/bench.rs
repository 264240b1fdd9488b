//! `karma bench` from outside; how fast is not asked here.

use std::path::Path;

use serde_json::Value;

use crate::command;

#[test]
fn a_timed_trace_leaves_nothing_behind() {
    let folder = command::folder("bench-trace");
    let arguments = ["bench", "trace", "--rows", "999", "--output", "json"];
    let mut karma = command::karma(&folder, &arguments);
    let ended = command::ended(karma.env("TMPDIR", &folder)).expect(0);
    let row: Value = serde_json::from_str(&ended.stdout).unwrap();
    // To a whole window of the four services of the pipeline.
    assert_eq!(row["rows"], 1000);
    for key in ["bytes", "write_s", "read_s"] {
        assert!(row[key].as_f64().is_some_and(|v| v > 0.0), "{key}: {row}");
    }
    assert!(command::contents(&folder).is_empty());
}

#[test]
fn a_timed_trace_without_rows_is_refused() {
    let folder = command::folder("bench-trace-refused");
    let ended = command::run(&folder, &["bench", "trace", "--rows", "0"]).expect(2);
    assert!(ended.stderr.contains("--rows"), "{}", ended.stderr);
}

#[test]
fn the_trainer_is_timed_and_what_it_learns_does_not_depend_on_threads() {
    let folder = command::folder("bench-train");
    let learned = |threads: &str| {
        let size = [
            "--envs",
            "20",
            "--steps",
            "30",
            "--hidden",
            "32",
            "--iterations",
            "3",
        ];
        let how = ["--threads", threads, "--output", "json"];
        let arguments = [&["bench", "train"][..], &size, &how].concat();
        let ended = command::run(&folder, &arguments).expect(0);
        let row: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        for key in ["env_steps_per_s", "update_share", "fma_peak_share"] {
            assert!(row[key].as_f64().is_some_and(|v| v > 0.0), "{key}: {row}");
        }
        row["final_return"].as_f64().unwrap()
    };
    assert_eq!(learned("1"), learned("3"));
}

/// Rows of `karma bench train` with `arguments` in `folder`.
fn rows(folder: &Path, arguments: &[&str]) -> Vec<Value> {
    let all = [&["bench", "train", "--output", "json"], arguments].concat();
    let ended = command::run(folder, &all).expect(0);
    let lines = ended.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_sweep_times_the_trainer_for_each_of_its_values() {
    let folder = command::folder("bench-sweep");
    let small = [
        "--steps",
        "4",
        "--iterations",
        "1",
        "--hidden",
        "16",
        "--envs",
        "2",
    ];
    let told = rows(&folder, &[&small[..], &["--sweep", "agents"]].concat());
    let agents: Vec<_> = told.iter().map(|row| row["agents"].as_u64()).collect();
    assert_eq!(agents, [2, 4, 8, 16, 32, 64].map(Some));
    // More agents that see more cost more arithmetic, and memory, at the least.
    for key in ["flop_per_step", "bytes_per_step"] {
        assert!(told.is_sorted_by(|a, b| a[key].as_f64() < b[key].as_f64()));
    }
}

#[test]
fn the_trainer_is_timed_in_the_twin_of_a_run() {
    let folder = command::folder("bench-twin");
    command::tiny_scenario(&folder);
    command::run(&folder, &["fit", "tiny.yaml"]).expect(0);
    let twin = ["--task", "twin", "--run", "runs/tiny", "--iterations", "2"];
    let [row] = &rows(&folder, &twin)[..] else {
        panic!("one row");
    };
    assert_eq!(row["critic"], "team");
    for key in ["env_steps_per_s", "env_share", "mask_share", "update_share"] {
        assert!(row[key].as_f64().is_some_and(|v| v > 0.0), "{key}: {row}");
    }
    for (arguments, says) in [
        (&["--run", "runs/tiny"][..], "--task twin"),
        (&["--task", "twin"][..], "--run"),
        (
            &["--task", "twin", "--run", "nowhere"],
            "nowhere/scenario.yaml",
        ),
        (
            &["--task", "twin", "--run", "runs/tiny", "--agents", "4"],
            "--agents",
        ),
    ] {
        let all = [&["bench", "train"], arguments].concat();
        let ended = command::run(&folder, &all).expect(2);
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
    }
}

#[test]
fn attackers_are_told_about_before_and_after_at_any_number_of_threads() {
    let folder = command::folder("bench-adversary");
    command::tiny_scenario(&folder);
    command::run(&folder, &["fit", "tiny.yaml", "--out", "run"]).expect(0);
    let told = |threads: &str| {
        let arguments = [
            "bench",
            "adversary",
            "--run",
            "run",
            "--seeds",
            "2",
            "--attackers",
            "1",
            "--threads",
            threads,
            "--output",
            "json",
        ];
        command::run(&folder, &arguments).expect(0).stdout
    };
    let told_by_one = told("1");
    let rows: Vec<Value> = told_by_one
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 3);
    for row in &rows[..2] {
        for team in ["before", "after"] {
            let of = |key: &str| row[team][key].as_f64().unwrap();
            let league = row[team]["league"].as_array().unwrap();
            let worst = league.iter().filter_map(Value::as_f64);
            assert_eq!(of("worst"), worst.fold(f64::INFINITY, f64::min));
            assert!(of("nobody") > of("worst"), "{row}");
            let taken = of("nobody") - of("best_response").min(of("random"));
            assert!((of("exploitability") - taken).abs() < 1e-12, "{row}");
        }
    }
    let difference = &rows[2]["difference"]["worst"];
    assert!(difference["low"].as_f64() <= difference["mean"].as_f64());
    assert_eq!(told("2"), told_by_one);
}
