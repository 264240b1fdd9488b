//! What is refused of recorded workloads and traces, and what is said of where data comes from.

use std::{fs, path::Path};

use crate::{
    command,
    refusals::{cases::SOUND, check, refused},
};

/// Files that no recorded workload can be, and words that `karma run --workload` then says.
const WORKLOADS: [(&str, &str, &[&str]); 8] = [
    (
        "times last",
        "n,at\n17,0\n18,1\n19,2\n17,3\n18,4\n",
        &["last column (at) looks like times", "--workload-column"],
    ),
    ("nothing", "", &["workload"]),
    ("one row", "17\n", &["workload"]),
    ("holes only", "nan\nnan\nnan\nnan\n", &["workload"]),
    (
        "zeros only",
        "0\n0\n0\n0\n0\n0\n0\n0\n0\n0\n0\n0\n",
        &["every value is 0"],
    ),
    ("a negative rate", "17\n-4\n18\n19\n", &["-4"]),
    ("words", "17\nmany\n18\n19\n", &["many"]),
    ("less than an episode", "17\n18\n19\n20\n", &["workload"]),
];

#[test]
fn workloads_without_sense_are_refused() {
    let folder = command::folder("workloads");
    fs::write(folder.join("sound.yaml"), SOUND).unwrap();
    for (case, content, says) in WORKLOADS {
        fs::write(folder.join("workload.txt"), content).unwrap();
        let ended = command::run(
            &folder,
            &["run", "sound.yaml", "--workload", "workload.txt"],
        );
        check(ended, 2, says, case);
    }
    let run = ["run", "sound.yaml", "--workload", "workload.txt"];
    let column = [&run[..], &["--workload-column", "requests"]].concat();
    refused(&folder, &column, &["requests"]);
    for factor in ["much", "0", "NaN", "inf", "1e300", "1e-300"] {
        let scale = [&run[..], &["--workload-scale", factor]].concat();
        refused(&folder, &scale, &[factor, "hint"]);
    }
    for (option, time, says) in [
        ("--workload-interval", "=0s", "must be above 0"),
        ("--workload-duration", "=0", "must be above 0"),
        ("--workload-start", "=-5s", "must be from 0 on"),
    ] {
        refused(
            &folder,
            &[&run[..], &[&format!("{option}{time}")]].concat(),
            &[option, says],
        );
    }
    refused(
        &folder,
        &["run", "sound.yaml", "--workload", "none.txt"],
        &["none.txt", "from where karma is started"],
    );
    // The scenario's flood is three times its load.
    let steady = "100\n".repeat(3600);
    fs::write(folder.join("workload.txt"), steady).unwrap();
    let scale = [&run[..], &["--workload-scale", "1e6"]].concat();
    refused(
        &folder,
        &scale,
        &["the load peaks at 3e8 requests/s", "hint"],
    );
    // Rows 2 s apart: that they are taken for 1 s is said before the slice is found too short.
    let rows: String = (0..60).map(|row| format!("{},9\n", 2 * row)).collect();
    fs::write(folder.join("workload.txt"), format!("time,n\n{rows}")).unwrap();
    refused(&folder, &run, &["warning: rows of", "are 2s apart"]);
    assert!(!folder.join("runs").exists(), "a refusal leaves nothing");
}

#[test]
fn what_is_played_of_a_recorded_workload_is_told_by_check_and_run() {
    let folder = command::folder("told");
    let rows: String = (0..200).map(|row| format!("{}\n", 20 + row % 5)).collect();
    let rows = format!("{rows}nan\n{rows}");
    fs::write(folder.join("workload.txt"), rows.repeat(2)).unwrap();
    let told = "workload.txt: 800 values of 1s each, 2 holes are skipped with their time; times 2 they \
                are 44 requests/s on average, 44 at their peak; evaluation plays 0s to 10m (599s, \
                repeated to fill an episode of 10m), training plays slices of the rest (201s, \
                repeated to fill an episode of 10m)";
    let recorded = "shape: {trace: {file: workload.txt, scale: {factor: 2}}}";
    let text = SOUND.replace("shape: {constant: {rate: 60}}", recorded);
    fs::write(folder.join("recorded.yaml"), text).unwrap();
    let ended = command::run(&folder, &["check", "recorded.yaml"]).expect(0);
    assert_eq!(ended.stderr, format!("workload: {told}\n"));
    // The sound scenario is told to run with it before a directory in the way ends the run.
    fs::write(folder.join("sound.yaml"), SOUND).unwrap();
    fs::write(folder.join("taken"), "").unwrap();
    let into = ["--out", "taken"];
    let given = [
        "run",
        "sound.yaml",
        "--workload",
        "workload.txt",
        "--workload-scale",
        "2",
    ];
    for run in [&["run", "recorded.yaml"][..], &given] {
        refused(&folder, &[run, &into].concat(), &[told]);
    }
}

#[test]
fn traces_without_sense_are_refused() {
    let folder = command::folder("traces");
    command::tiny_scenario(&folder);
    command::run(&folder, &["fit", "tiny.yaml", "--out", "recorded"]).expect(0);
    let whole = fs::read(folder.join("recorded/model/trace.parquet")).unwrap();
    fs::write(folder.join("cut.parquet"), &whole[..whole.len() / 2]).unwrap();
    let mut flipped = whole;
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    fs::write(folder.join("flipped.parquet"), flipped).unwrap();
    fs::write(folder.join("empty.parquet"), "").unwrap();
    fs::write(folder.join("rows.csv"), "t,rps\n0,1\n").unwrap();
    let fit = |trace: &[&str], says: &[&str]| {
        let arguments = [&["fit", "tiny.yaml", "--trace"], trace].concat();
        refused(&folder, &arguments, says);
    };
    let text = fs::read_to_string(folder.join("tiny.yaml")).unwrap();
    let other = text.replace("scenarios/smoke.yaml", "scenarios/pipeline.yaml");
    fs::write(folder.join("other.yaml"), other).unwrap();
    let trace = "recorded/model/trace.parquet";
    refused(
        &folder,
        &["fit", "other.yaml", "--out", "other", "--trace", trace],
        &[
            trace,
            "the services of the trace are back, front, those of the scenario a, b, c, d",
        ],
    );
    fit(&["cut.parquet"], &["cut.parquet: damaged"]);
    fit(&["flipped.parquet"], &["flipped.parquet: damaged"]);
    fit(&["empty.parquet"], &["empty.parquet"]);
    fit(&["none.parquet"], &["none.parquet"]);
    fit(&["rows.csv"], &["rows.csv", "--mapping"]);
    fit(&["rows.csv", "--mapping", "none.yaml"], &["none.yaml"]);
}

/// A mapping of the files that [`write_mapped`] writes.
const MAPPING: &str = "format: 1\nsource: made-up\napp: shop\ninterval_s: 60\n\
    files:\n\
    - {path: 'train/{service}.csv', run: train}\n\
    - {path: 'unseen/{service}.csv', run: unseen, validate: true}\n\
    time: {column: t, format: epoch_s}\n\
    columns:\n  pods: {field: replicas_total}\n  cpu: {field: cpu_cores, unit: cores}\n  \
    rt: {field: lat_mean_ms, unit: ms}\n  tp: {field: rps, unit: per_s}\n";

/// Writes two runs of one service, whose pods are those that `pods` says of each row.
fn write_mapped(folder: &Path, rows: u32, pods: impl Fn(u32) -> u32) {
    fs::write(folder.join("mapping.yaml"), MAPPING).unwrap();
    for run in ["train", "unseen"] {
        fs::create_dir_all(folder.join("data").join(run)).unwrap();
        let mut text = "t,pods,cpu,rt,tp\n".to_owned();
        for row in 0..rows {
            let load = 100 + 7 * (row % 11);
            let (cpu, rt) = (f64::from(load) / 200.0, 20 + row % 5);
            text += &format!("{},{},{cpu},{rt},{load}\n", 60 * (row + 1), pods(row));
        }
        fs::write(folder.join("data").join(run).join("front.csv"), text).unwrap();
    }
}

#[test]
fn a_trace_that_does_not_show_what_a_replica_does_is_refused() {
    let folder = command::folder("steady");
    write_mapped(&folder, 3, |_| 2);
    refused(
        &folder,
        &["fit", "--trace", "data", "--mapping", "mapping.yaml"],
        &["the pods of front never change in the training runs"],
    );
}

#[test]
fn an_assessment_says_where_its_data_comes_from() {
    let folder = command::folder("assessed");
    write_mapped(&folder, 40, |row| 1 + row / 10);
    let arguments = ["fit", "--trace", "data", "--mapping", "mapping.yaml"];
    let ended = command::run(&folder, &arguments).expect(0);
    let source = "read data: 2 files of front, 2 runs (1 kept for measuring), 1 service, 80 rows\n";
    assert!(ended.stdout.starts_with(source), "{ended:#?}");
    let ended = command::run(&folder, &[&arguments[..], &["--output", "json"]].concat()).expect(0);
    let first: serde_json::Value =
        serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["table"], &first["rows"]),
        (&"source".into(), &80.into())
    );
}

#[test]
fn what_an_error_comes_from_is_said_once() {
    let folder = command::folder("chain");
    let mapping = "format: 1\nsource: made-up\napp: shop\ninterval_s: 60\n\
        files: [{path: '{service}.csv', run: train}]\n\
        time: {column: t, format: epoch_s}\ncolumns: {tp: {field: rps, unit: per_s}}\n";
    fs::write(folder.join("mapping.yaml"), mapping).unwrap();
    fs::create_dir_all(folder.join("data/front.csv")).unwrap();
    let arguments = ["fit", "--trace", "data", "--mapping", "mapping.yaml"];
    let ended = command::run(&folder, &arguments).expect(2);
    let said =
        "assess: started\nerror: cannot access data/front.csv: Is a directory (os error 21)\n";
    assert_eq!(ended.stderr, said);
}
