//! Traces in files: round trips, other writers, refusals.

use std::{fs, path::Path};

use karma_cluster::Silent;
use karma_twin::{
    record,
    trace::{Number, Text, Trace},
};
use polars::prelude::{Column, DataFrame, ParquetReader, ParquetWriter, SerReader};

use crate::support::{scratch, smoke};

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

fn frame(path: &Path) -> DataFrame {
    let file = fs::File::open(path).unwrap();
    ParquetReader::new(file).finish().unwrap()
}

/// Writes the columns of `frame` and `more` by the writer of polars.
fn write_otherwise(frame: &DataFrame, more: Option<Column>, path: &Path) {
    let mut columns = frame.columns().to_vec();
    if let Some(more) = more {
        columns.retain(|column| column.name() != more.name());
        columns.push(more);
    }
    let mut frame = DataFrame::new(frame.height(), columns).unwrap();
    let file = fs::File::create(path).unwrap();
    ParquetWriter::new(file)
        .with_row_group_size(Some(1000))
        .finish(&mut frame)
        .unwrap();
}

/// Appends rows of extreme values, and a text that no row before them has.
fn push_extremes(trace: &mut Trace) {
    let values = [Some(-0.0), Some(f64::MIN_POSITIVE), Some(f64::MAX), None];
    for (row, value) in values.into_iter().enumerate() {
        trace.push_row(i64::MAX - 4 + row as i64);
        trace.set_text(Text::Run, "extremes");
        trace.set_text(Text::Service, "größe, \"quoted\"\n");
        trace.set(Number::Value, value);
        trace.set(Number::Action, value.map(|_| f64::from(i32::MIN)));
        trace.flag(u32::MAX);
    }
    trace.set_text(Text::Label, "flash");
}

#[test]
fn a_trace_reads_back_as_it_was_written() {
    let path = scratch("parquet_round_trip").join("trace.parquet");
    // Lengths within a row group, and one of two row groups.
    for rows in [0, 1, 4801, 270_000] {
        let mut trace = trace(rows);
        trace.write_parquet(&path).unwrap();
        assert_eq!(Trace::read_parquet(&path).unwrap(), trace, "{rows} rows");
        push_extremes(&mut trace);
        trace.write_parquet(&path).unwrap();
        let read = Trace::read_parquet(&path).unwrap();
        assert_eq!(read, trace, "{rows} rows and extremes");
        let negative_zero = read.get(Number::Value, rows).unwrap();
        assert!(negative_zero.is_sign_negative());
    }
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_drawn_trace_has_the_columns_of_a_recorded_one() {
    let scenario = smoke();
    let drawn = record::drawn_trace(&scenario, 1000, 1);
    let recorded = record::record_traces(&scenario, 1, 1, &Silent).unwrap();
    assert!((1000..1000 + scenario.services.len()).contains(&drawn.len()));
    for &field in Number::ALL {
        let kept = |trace: &Trace| trace.numbers(field).is_some();
        assert_eq!(kept(&drawn), kept(&recorded), "{}", field.name());
    }
    for &field in Text::ALL {
        let kept = |trace: &Trace| trace.texts(field).is_some();
        assert_eq!(kept(&drawn), kept(&recorded), "{}", field.name());
    }
    drawn.check().unwrap();
}

#[test]
fn a_file_has_the_same_bytes_at_any_number_of_threads() {
    let folder = scratch("parquet_threads");
    let trace = record::drawn_trace(&smoke(), 5000, 1);
    let files = [1, 3].map(|threads| {
        let path = folder.join(format!("{threads}.parquet"));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap()
            .install(|| trace.write_parquet(&path))
            .unwrap();
        fs::read(path).unwrap()
    });
    assert!(files[0] == files[1]);
}

#[test]
fn a_file_of_another_writer_reads_the_same() {
    let folder = scratch("parquet_foreign");
    let (ours, theirs) = (folder.join("ours.parquet"), folder.join("theirs.parquet"));
    let trace = trace(4801);
    trace.write_parquet(&ours).unwrap();
    write_otherwise(&frame(&ours), None, &theirs);
    assert_ne!(fs::read(&ours).unwrap(), fs::read(&theirs).unwrap());
    assert_eq!(Trace::read_parquet(&theirs).unwrap(), trace);
}

#[test]
fn columns_without_sense_are_refused_by_name() {
    let folder = scratch("parquet_columns");
    let path = folder.join("trace.parquet");
    trace(960).write_parquet(&path).unwrap();
    let frame = frame(&path);
    let refused = |column: Column, says: &str| {
        write_otherwise(&frame, Some(column), &path);
        let message = Trace::read_parquet(&path).unwrap_err().to_string();
        assert!(message.contains("trace.parquet"), "{message}");
        assert!(message.contains(says), "{message}");
    };
    let texts = vec!["much"; 960];
    refused(
        Column::new("frobs".into(), vec![1.0; 960]),
        "column \"frobs\" is not in the schema",
    );
    refused(
        Column::new("rps".into(), texts.clone()),
        "column \"rps\" holds str, not numbers",
    );
    refused(Column::new("ts_ms".into(), texts), "column ts_ms");
    refused(
        Column::new("ts_ms".into(), vec![None::<i64>; 960]),
        "column ts_ms holds nulls",
    );
}

#[test]
fn a_column_of_nan_is_a_column_of_nulls() {
    let folder = scratch("parquet_nan");
    let path = folder.join("trace.parquet");
    trace(960).write_parquet(&path).unwrap();
    let nan = Column::new("rps".into(), vec![f64::NAN; 960]);
    write_otherwise(&frame(&path), Some(nan), &path);
    let read = Trace::read_parquet(&path).unwrap();
    assert!((0..960).all(|row| read.get(Number::Rps, row).is_none()));
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
