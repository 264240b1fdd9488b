//! `karma bench` from outside; how fast is not asked here.

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
