//! CSV files by a mapping: what is read, left out and refused.

use std::fs;

use karma_twin::{
    TwinError,
    trace::{LoadReport, Mapping, Number, Text, Trace, read_csv_mapped},
};

use crate::support::scratch;

const MAPPING: &str = "
format: 1
source: made-up
app: shop
interval_s: 60
files:
  - {path: '{service}.csv', run: only, policy: still}
time: {column: t, format: epoch_s, marks: start}
columns:
  cpu: {field: cpu_cores, unit: millicores}
  rt: {field: lat_mean_ms, unit: s, zeros: 'null'}
  load: {field: rps, service: __app__, optional: true}
ignore: [note]
drop_unsorted: true
";

/// Reads `files`, (name, text) each.
fn read(test: &str, files: &[(&str, &[u8])]) -> Result<(Trace, LoadReport), TwinError> {
    let folder = scratch(test);
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    let mapping: Mapping = karma_cluster::yaml::read(MAPPING, "mapping.yaml".as_ref()).unwrap();
    read_csv_mapped(&folder, &mapping, false)
}

#[test]
fn rows_become_the_common_schema() {
    let cart = "t,cpu,rt,load\n0,100,0.5,7\n60,,0,\n60,1,1,9\n120,NaN,0.25,8\n";
    let front = "\u{feff}t,note,rt,cpu\r\n0,\"one, \"\"two\"\"\nthree\",\"1\",50\r\n\r\n60,,2";
    let files = [
        ("cart.csv", cart.as_bytes()),
        ("front.csv", front.as_bytes()),
    ];
    let (trace, report) = read("csv_rows", &files).unwrap();
    let rows: Vec<_> = (0..trace.len())
        .map(|row| {
            let number = |field| trace.get(field, row);
            (
                trace.text(Text::Service, row).unwrap(),
                trace.ts_ms()[row] / 60_000,
                number(Number::Cpu),
                number(Number::LatMean),
                number(Number::Rps),
            )
        })
        .collect();
    let expected = [
        ("cart", 1, Some(0.1), Some(500.0), None),
        ("cart", 2, None, None, None),
        ("cart", 3, None, Some(250.0), None),
        ("front", 1, Some(0.05), Some(1000.0), None),
        ("front", 2, None, Some(2000.0), None),
        ("__app__", 1, None, None, Some(7.0)),
        ("__app__", 3, None, None, Some(8.0)),
    ];
    assert_eq!(rows, expected);
    assert_eq!(trace.text(Text::Policy, 4), Some("still"));
    assert_eq!(trace.text(Text::Policy, 5), None);
    assert_eq!(trace.get(Number::DtS, 6), Some(60.0));
    assert_eq!(report.rows, 7);
    assert_eq!(report.dropped.len(), 1);
    assert_eq!(report.dropped[0].reason, "instant out of order");
    assert_eq!(report.dropped[0].rows, 1);
}

#[test]
fn a_value_of_another_service_counts_once() {
    let files: [(&str, &[u8]); 2] = [
        ("a.csv", b"t,cpu,rt,load\n0,1,1,7\n"),
        ("b.csv", b"t,cpu,rt,load\n0,1,1,9\n60,1,1,8\n"),
    ];
    let (_, report) = read("csv_second", &files).unwrap();
    assert_eq!(report.dropped.len(), 1);
    assert_eq!(report.dropped[0].reason, "rps of __app__ in a second file");
    assert_eq!(report.dropped[0].rows, 1);
}

#[test]
fn files_without_sense_are_refused_by_name_and_line() {
    let cases: [(&[u8], &str); 10] = [
        (b"", "empty"),
        (b"t,cpu,rt\n0,1,\xff\n", "not a text"),
        (b"t,cpu,rt,frob\n", "\"frob\" is neither mapped nor ignored"),
        (b"t,cpu\n", "column \"rt\" is missing"),
        (b"cpu,rt\n1,1\n", "column \"t\" is missing"),
        (b"t,cpu,cpu,rt\n", "column \"cpu\" is there twice"),
        (
            b"t,cpu,rt\n0,1,1,1\n",
            "line 2: 4 cells below a header of 3",
        ),
        (
            b"t,cpu,rt\n\nnoon,1,1\n",
            "line 3: \"noon\" is not an instant",
        ),
        (
            b"t,cpu,rt\n0,much,1\n",
            "line 2: \"much\" in column \"cpu\" is not a number",
        ),
        (
            b"t,cpu,rt\n0,1,1\n60,\"1,1\n",
            "line 3: a quotation mark is not closed",
        ),
    ];
    for (text, says) in cases {
        let message = read("csv_refused", &[("cart.csv", text)])
            .unwrap_err()
            .to_string();
        assert!(message.contains("cart.csv"), "{message}");
        assert!(message.contains(says), "{says}: {message}");
    }
}
