//! Recorded traces: forms of files, holes, slices and factors.

use std::{fs, path::PathBuf};

use karma_cluster::{
    Scenario,
    scenario::{self, Shape, TraceScale, TraceUnit, TraceWorkload},
    units::Seconds,
    workload::{
        self,
        trace::{self, TraceError, TraceOptions},
    },
};

use crate::workspace;

fn read(
    name: &str,
    text: &str,
    column: Option<&str>,
    interval_s: f64,
) -> Result<Vec<f64>, TraceError> {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("trace-{name}"));
    fs::write(&file, text).expect("the test's folder is writable");
    let options = TraceOptions {
        column: column.map(str::to_owned),
        interval: Seconds(interval_s),
        unit: TraceUnit::Count,
    };
    trace::read(&file, &options).map(|read| read.rates.to_vec())
}

/// Holes as -1, since NaN is not equal to itself.
fn shown(rates: Result<Vec<f64>, TraceError>) -> Result<Vec<f64>, String> {
    let hole = |rate: f64| if rate.is_nan() { -1.0 } else { rate };
    let folder = format!("{}/", env!("CARGO_TARGET_TMPDIR"));
    rates
        .map(|rates| rates.into_iter().map(hole).collect())
        .map_err(|error| error.to_string().replace(&folder, ""))
}

#[test]
fn files_of_every_form_are_read() {
    let forms: [(&str, &str, Option<&str>, f64); 9] = [
        ("plain", "1\n2\n3\n", None, 1.0),
        ("windows", "\u{feff}1\r\n2\r\n3\r\n\r\n", None, 1.0),
        ("headed", "requests\n1\n2\n3\n", Some("requests"), 1.0),
        ("comment", "# requests per second\n1\n2\n3\n", None, 1.0),
        ("named", "a,b\n1,9\n2,9\n3,9\n", Some("a"), 1.0),
        ("indexed", "9;1;9\n9;2;9\n9;3;9\n", Some("1"), 1.0),
        (
            "quoted",
            "\"when, where\",\"n\"\nx,\"1\"\ny,\"2\"\nz,\"3\"\n",
            Some("n"),
            1.0,
        ),
        ("blanks", "9 1\n9 2\n9   3\n", None, 1.0),
        (
            "minutes",
            "minute,n\n2020-01-31 23:59,60\n2020-02-01 00:00,120\n2020-02-01 00:01,180\n",
            None,
            60.0,
        ),
    ];
    for (name, text, column, interval) in forms {
        assert_eq!(
            shown(read(name, text, column, interval)),
            Ok(vec![1.0, 2.0, 3.0]),
            "{name}"
        );
    }
}

#[test]
fn rising_requests_are_no_times() {
    for (name, text, column) in [
        ("alone", "1\n2\n3\n4\n5\n", None),
        ("uneven", "9,1\n9,2\n9,4\n9,5\n9,9\n", None),
        ("asked", "9,1\n9,2\n9,3\n9,4\n9,5\n", Some("1")),
        ("beside-times", "ts,n\n0,1\n1,2\n2,3\n3,4\n4,5\n", None),
    ] {
        assert!(read(name, text, column, 1.0).is_ok(), "{name}");
    }
}

#[test]
fn another_interval_than_the_rows_have_is_warned_of() -> Result<(), TraceError> {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("trace-spacing");
    fs::write(&file, "ts,n\n0,1\n2,2\n4,3\n6,4\n").expect("the test's folder is writable");
    let load = |interval| {
        let trace = TraceWorkload {
            file: "f".to_owned(),
            interval: Seconds(interval),
            ..noisy()
        };
        trace::load(&file, trace)
    };
    let warning = "rows of f are 2s apart, the interval is 1s: what is between is a hole";
    assert_eq!(load(1.0)?.warning().as_deref(), Some(warning));
    assert_eq!(load(2.0)?.warning(), None);
    Ok(())
}

#[test]
fn what_was_not_recorded_is_a_hole_and_never_zero() {
    let holes = read("cells", "t,n\nx,1\ny,\nz,NaN\nw,0\n", Some("n"), 1.0);
    assert_eq!(shown(holes), Ok(vec![1.0, -1.0, -1.0, 0.0]));
    let missing = "ts,n\n100,1\n101,2\n104,3\n105,4\n106,5\n";
    assert_eq!(
        shown(read("missing", missing, None, 1.0)),
        Ok(vec![1.0, 2.0, -1.0, -1.0, 3.0, 4.0, 5.0])
    );
    let zeros = |n: usize| format!("5\n{}7\n", "0\n".repeat(n));
    let outage = shown(read("outage", &zeros(10), None, 1.0)).unwrap_or_default();
    assert_eq!(outage.iter().filter(|rate| **rate < 0.0).count(), 10);
    let pause = shown(read("pause", &zeros(9), None, 1.0)).unwrap_or_default();
    assert_eq!(pause.iter().filter(|rate| **rate < 0.0).count(), 0);
    let slow = shown(read("slow", &zeros(10), None, 60.0)).unwrap_or_default();
    assert_eq!(slow.iter().filter(|rate| **rate < 0.0).count(), 0);
}

#[test]
fn unusable_files_are_refused_with_their_reason() {
    let minutes = "t,n\n2020-01-01 00:00,1\n2020-01-01 00:01,2\n2020-01-01 00:02,3\n";
    let files: [(&str, &str, Option<&str>, &str); 12] = [
        (
            "called",
            "n,time\n5,1\n6,3\n",
            None,
            ": the last column (time) looks like times, not like requests",
        ),
        (
            "even",
            "5,0\n6,15\n7,30\n5,45\n6,60\n",
            None,
            ": the last column looks like times, not like requests",
        ),
        (
            "epoch",
            "n;at\n5;1700000000\n6;1700000001\n7;1700000009\n5;1700000010\n6;1700000012\n",
            None,
            ": the last column (at) looks like times, not like requests",
        ),
        ("empty", "\n", None, " has no values"),
        ("header", "a,b\n", None, " has no values"),
        ("nan", "n\nNaN\n\n", None, " has no values"),
        (
            "column",
            "a,b\n1,2\n",
            Some("c"),
            " has no column c; it has a, b",
        ),
        (
            "index",
            "1,2\n",
            Some("2"),
            " has no column 2; it has no header and columns 0 to 1",
        ),
        (
            "words",
            "n\n1\nmany\n",
            None,
            ":3: \"many\" is not a number of requests",
        ),
        (
            "negative",
            "1\n-1\n",
            None,
            ":2: \"-1\" is not a number of requests",
        ),
        (
            "interval",
            minutes,
            None,
            ":3: rows are 1m apart, the interval is 1s",
        ),
        (
            "backwards",
            "ts,n\n5,1\n4,2\n",
            None,
            ":3: rows are -1s apart, the interval is 1s",
        ),
    ];
    for (name, text, column, says) in files {
        let told = shown(read(name, text, column, 1.0));
        assert_eq!(told, Err(format!("trace-{name}{says}")));
    }
}

#[test]
fn a_recorded_workload_replaces_every_workload_and_keeps_the_faults() -> Result<(), TraceError> {
    let pipeline = pipeline();
    let file = workspace("scenarios/traces/autothrottle-noisy.txt");
    let workload = trace::load(&file, noisy())?.workload;
    let recorded = pipeline.with_workload(workload)?;
    for (before, after) in pipeline.contexts.iter().zip(&recorded.contexts) {
        assert_eq!(
            (&before.faults, &before.nodes),
            (&after.faults, &after.nodes)
        );
        assert_eq!(after.workload, None);
    }
    let Shape::Trace(trace) = &recorded.workload.shape else {
        panic!("the workload is a trace");
    };
    let TraceScale::Factor(factor) = trace.scale else {
        panic!("the factor is written out");
    };
    // The busiest 5 s of the hour become the 960 requests/s that b can carry.
    let peak = trace::peak(&trace.rates, 1.0);
    assert!(
        (factor * peak - workload::capacity(&pipeline)).abs() < 0.01,
        "{factor} {peak}"
    );
    let rates = workload::rates(&recorded.in_context(&recorded.contexts[0]), 1);
    assert!((rates[0] - factor * 127.0).abs() < 1e-9);
    assert_eq!(rates.len(), 1800);
    Ok(())
}

#[test]
fn slices_that_leave_nothing_are_refused() {
    let file = workspace("scenarios/traces/autothrottle-noisy.txt");
    let outcome = |start: f64, duration: f64| {
        let mut trace = noisy();
        trace.start = Seconds(start);
        trace.duration = Some(Seconds(duration));
        let trace = trace::load(&file, trace)
            .map_err(|error| error.to_string())?
            .workload;
        let recorded = pipeline().with_workload(trace);
        recorded.map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(outcome(1800.0, 1800.0), Ok(()));
    assert_eq!(outcome(0.0, 3540.0), Ok(()));
    assert_eq!(
        outcome(0.0, 3550.0),
        Err("the trace of 1h leaves 50s to train on beside the slice for evaluation".to_owned())
    );
    assert_eq!(
        outcome(3600.0, 60.0),
        Err("the trace ends after 1h, before the slice starts at 1h".to_owned())
    );
}

#[test]
fn what_a_recorded_workload_plays_is_told_with_its_holes_and_repetitions() {
    let hole = f64::NAN;
    let mut trace = noisy();
    trace.interval = Seconds(60.0);
    trace.scale = TraceScale::Factor(2.0);
    trace.rates = [10.0, hole, 20.0, 40.0, hole, 30.0].into();
    let told = |trace: &TraceWorkload, seconds: f64| trace::told(trace, Seconds(seconds));
    // 100 requests/s in 4 minutes that were recorded.
    assert_eq!(
        told(&trace, 180.0),
        "4 values of 1m each, 2 holes are skipped with their time; times 2 they are 50 requests/s on \
         average, 80 at their peak; evaluation plays 0s to 3m (2m, repeated to fill an episode of \
         3m), training plays slices of the rest (2m, repeated to fill an episode of 3m)"
    );
    trace.rates = vec![10.0; 60].into();
    trace.start = Seconds(600.0);
    assert_eq!(
        told(&trace, 1200.0),
        "60 values of 1m each, no holes; times 2 they are 20 requests/s on average, 20 at their \
         peak; evaluation plays 10m to 30m, training plays slices of the rest"
    );
    trace.duration = Some(Seconds(900.0));
    let told = told(&trace, 1200.0);
    let says = "evaluation plays 10m to 25m (15m, repeated to fill an episode of 20m), training \
                plays slices of the rest";
    assert!(told.ends_with(says), "{told}");
}

fn pipeline() -> Scenario {
    let loaded = scenario::load(&workspace("scenarios/pipeline.yaml"));
    loaded.expect("the pipeline is sound").scenario
}

fn noisy() -> TraceWorkload {
    TraceWorkload {
        file: "traces/autothrottle-noisy.txt".to_owned(),
        column: None,
        interval: Seconds(1.0),
        unit: TraceUnit::Rps,
        start: Seconds(0.0),
        duration: None,
        scale: TraceScale::Auto,
        rates: [].into(),
    }
}

/// A file beside the repository; says so where it is absent.
#[expect(clippy::print_stderr, reason = "a skipped check must be seen")]
#[expect(clippy::disallowed_methods, reason = "the data may lie elsewhere")]
fn shared(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("KARMA_SHARED");
    let folder = folder.map_or_else(|| workspace("../shared"), PathBuf::from);
    let file = folder.join("data").join(path);
    if !file.exists() {
        eprintln!("SKIPPED: {} is absent", file.display());
        return None;
    }
    Some(file)
}

fn counts(interval_s: f64, column: Option<&str>) -> TraceOptions {
    TraceOptions {
        column: column.map(str::to_owned),
        interval: Seconds(interval_s),
        unit: TraceUnit::Count,
    }
}

#[test]
fn the_shipped_trace_is_the_published_one() -> Result<(), TraceError> {
    let Some(file) = shared("autothrottle-rps/noisy.txt") else {
        return Ok(());
    };
    let shipped = workspace("scenarios/traces/autothrottle-noisy.txt");
    assert_eq!(fs::read(&file).ok(), fs::read(&shipped).ok());
    for (name, mean) in [("noisy", 157.0), ("diurnal-2", 228.0)] {
        let file = file.with_file_name(format!("{name}.txt"));
        let read = trace::read(&file, &counts(1.0, None))?;
        assert_eq!((read.rates.len(), read.holes), (3600, 0));
        assert!((read.rates.iter().sum::<f64>() / 3600.0 - mean).abs() < 1.0);
    }
    Ok(())
}

#[test]
fn the_world_cup_has_ten_missing_minutes() -> Result<(), TraceError> {
    let Some(file) = shared("worldcup98/requests_per_minute.csv") else {
        return Ok(());
    };
    let read = trace::read(&file, &counts(60.0, Some("requests")))?;
    assert_eq!((read.rates.len(), read.holes), (72_150, 10));
    let peak = trace::peak(&read.rates, 60.0);
    assert!((peak - 153_878.0 / 60.0).abs() < 1e-9);
    let mut flash = noisy();
    flash.interval = Seconds(60.0);
    flash.column = Some("requests".to_owned());
    flash.unit = TraceUnit::Count;
    // 15 June, 14:00: half an hour around the peak.
    flash.start = Seconds(45.0 * 86_400.0 + 16.5 * 3600.0);
    let recorded = pipeline().with_workload(trace::load(&file, flash)?.workload)?;
    let rates = workload::rates(&recorded, 1);
    let busiest = rates.iter().copied().fold(0.0, f64::max);
    assert!((busiest - 960.0).abs() < 0.1, "{busiest}");
    Ok(())
}

#[test]
fn the_nightly_outage_of_the_twitter_trace_is_a_hole() -> Result<(), TraceError> {
    let Some(folder) = shared("twitter-rps") else {
        return Ok(());
    };
    let (mut holes, mut rows) = (0, 0);
    for day in 1..=14 {
        let file = folder.join(format!("day{day:02}.txt"));
        let read = trace::read(&file, &counts(1.0, None))?;
        holes += read.holes;
        rows += read.rates.len();
        assert!(
            read.rates[84_661..].iter().all(|rate| rate.is_nan()),
            "{day}"
        );
    }
    assert_eq!(rows, 1_209_600);
    assert!((24_348..=25_302).contains(&holes), "{holes}");
    let mut night = noisy();
    night.start = Seconds(84_700.0);
    let loaded = trace::load(&folder.join("day01.txt"), night)?.workload;
    let refused = pipeline().with_workload(loaded).map(|_| ());
    assert!(matches!(refused, Err(TraceError::Hole { .. })));
    Ok(())
}
