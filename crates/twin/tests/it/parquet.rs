//! Traces in files: round trips, speed, refusals.

use std::fs;

use karma_twin::trace::{Number, Text, Trace};

use crate::support::scratch;

/// Runs of four services with gaps, `rows` rows.
fn trace(rows: usize) -> Trace {
    let mut trace = Trace::new();
    let services = ["a", "b", "c", "d"];
    for row in 0..rows {
        let (run, within) = (row / 480, row % 480);
        trace.push_row((within % 120) as i64 * 15_000 + 15_000);
        trace.set_text(Text::TsKind, "relative");
        trace.set_text(Text::Source, "emulator");
        trace.set_text(Text::Run, &format!("run-{run:05}"));
        trace.set_text(Text::App, "pipeline");
        trace.set_text(Text::Service, services[within / 120]);
        trace.set(Number::DtS, Some(15.0));
        let x = row as f64;
        for (i, &field) in [
            Number::Rps,
            Number::LatP50,
            Number::LatP95,
            Number::LatP99,
            Number::Cpu,
            Number::Mem,
            Number::Queued,
            Number::Errors,
            Number::OutRps,
        ]
        .iter()
        .enumerate()
        {
            let gap = (row + i) % 97 == 0;
            trace.set(
                field,
                (!gap).then(|| (x * 0.37 + i as f64).sin().abs() * 200.0),
            );
        }
        for field in [Number::Desired, Number::Ready, Number::Total] {
            trace.set(field, Some((row % 12) as f64));
        }
    }
    trace
}

#[test]
fn a_trace_reads_back_as_it_was_written() {
    let path = scratch("parquet_round_trip").join("trace.parquet");
    let trace = trace(4800);
    trace.write_parquet(&path).unwrap();
    assert_eq!(Trace::read_parquet(&path).unwrap(), trace);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_truncated_file_is_refused_by_name() {
    let path = scratch("parquet_truncated").join("trace.parquet");
    trace(960).write_parquet(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let message = Trace::read_parquet(&path).unwrap_err().to_string();
    assert!(message.contains("trace.parquet"), "{message}");
    assert!(message.contains("Parquet"), "{message}");
}

#[test]
fn a_missing_file_is_refused_by_name() {
    let path = scratch("parquet_missing").join("nothing.parquet");
    let message = Trace::read_parquet(&path).unwrap_err().to_string();
    assert!(message.contains("nothing.parquet"), "{message}");
}

#[test]
fn a_file_where_the_folder_should_be_is_reported_by_name() {
    let folder = scratch("parquet_nowhere").join("folder");
    fs::write(&folder, "a file").unwrap();
    let path = folder.join("trace.parquet");
    let message = trace(960).write_parquet(&path).unwrap_err().to_string();
    assert!(message.contains("folder/trace.parquet"), "{message}");
}
