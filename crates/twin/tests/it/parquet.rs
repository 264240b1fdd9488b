//! Traces in files: round trips, other writers, refusals.

use std::{fs, path::Path};

use karma_cluster::Silent;
use karma_twin::{
    TwinError, record,
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

/// Reads `file` from `path` with the byte at each of `places` changed in several ways in turn, and
/// tells `read` what came of it. A panic fails the test.
fn read_damaged(
    file: &[u8],
    path: &Path,
    places: impl Iterator<Item = usize>,
    read: &mut dyn FnMut(usize, Result<Trace, TwinError>),
) {
    for place in places {
        let was = file[place];
        for byte in [was ^ 0x01, was ^ 0x80, 0, 0xff] {
            if byte == was {
                continue;
            }
            let mut damaged = file.to_vec();
            damaged[place] = byte;
            fs::write(path, &damaged).unwrap();
            read(place, Trace::read_parquet(path));
        }
    }
}

#[test]
fn a_damaged_file_of_ours_is_refused_or_reads_the_same() {
    let path = scratch("parquet_damaged").join("trace.parquet");
    let trace = trace(30);
    trace.write_parquet(&path).unwrap();
    let file = fs::read(&path).unwrap();
    let mut unnoticed = Vec::new();
    let places = (0..file.len()).step_by(19);
    read_damaged(&file, &path, places, &mut |place, read| match read {
        Ok(read) => {
            assert_eq!(read, trace, "byte {place}");
            unnoticed.push(place);
        }
        Err(fault) => {
            let fault = fault.to_string();
            let says = "trace.parquet: damaged, or no Parquet file: its bytes are not those";
            assert!(fault.contains(says), "byte {place}: {fault}");
        }
    });
    unnoticed.dedup();
    // That nothing else does, the tests of the seal say for every byte.
    assert!(
        unnoticed.len() <= 1,
        "only the mark of a seal hides: {unnoticed:?}"
    );
}

#[test]
fn a_damaged_file_of_another_writer_never_ends_the_process() {
    let folder = scratch("parquet_damaged_foreign");
    let (ours, theirs) = (folder.join("ours.parquet"), folder.join("theirs.parquet"));
    trace(30).write_parquet(&ours).unwrap();
    write_otherwise(&frame(&ours), None, &theirs);
    let file = fs::read(&theirs).unwrap();
    let (mut refused, mut contained) = (0, 0);
    let places = (0..file.len()).step_by(13);
    read_damaged(&file, &theirs, places, &mut |_, read| {
        if let Err(fault) = read {
            refused += 1;
            contained += u32::from(fault.to_string().contains("it cannot be decoded"));
        }
    });
    assert!(contained > 0, "none of {refused} would have panicked");
}

#[test]
fn a_page_with_less_than_no_values_is_refused() {
    let folder = scratch("parquet_less_than_none");
    let (ours, theirs) = (folder.join("ours.parquet"), folder.join("theirs.parquet"));
    trace(960).write_parquet(&ours).unwrap();
    write_otherwise(&frame(&ours), None, &theirs);
    let file = fs::read(&theirs).unwrap();
    // The header of a page says 960 as the first field (0x15), a zigzag number; one more is -961.
    let says = [0x15, 0x80, 0x0f];
    let places = (0..file.len()).filter(|at| file[*at..].starts_with(&says));
    let (mut pages, mut counted) = (0, 0);
    for place in places {
        pages += 1;
        let mut damaged = file.clone();
        damaged[place + 1] += 1;
        fs::write(&theirs, &damaged).unwrap();
        let fault = Trace::read_parquet(&theirs).unwrap_err().to_string();
        assert!(fault.contains("theirs.parquet: damaged"), "{fault}");
        counted += u32::from(fault.contains("has not the 960 values it should"));
    }
    assert!(counted > 0, "none of {pages} pages was counted");
}
