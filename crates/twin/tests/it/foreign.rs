//! Traces of single services: what cannot be assessed, and what can.

use std::{fmt::Write, fs, path::PathBuf};

use karma_cluster::Silent;
use karma_twin::{
    TwinError,
    foreign::{self, Assessment},
    trace::Mapping,
};

use crate::support::scratch;

const MAPPING: &str = "\
format: 1
source: made-up
app: shop
interval_s: 60
files:
  - {path: 'train/{service}.csv', run: train}
  - {path: 'unseen/{service}.csv', run: unseen, validate: true}
time: {column: t, format: epoch_s}
columns:
  pods: {field: replicas_total}
  cpu: {field: cpu_cores, unit: cores}
  rt: {field: lat_mean_ms, unit: ms}
  tp: {field: rps, unit: per_s}
";

/// Pods of a service in a window, as the file writes them.
type Pods = fn(u32) -> &'static str;

/// Two runs of these services under a load that goes up and down.
fn assess(name: &str, services: &[(&str, Pods)]) -> Result<Assessment, TwinError> {
    let folder: PathBuf = scratch(name);
    for (run, windows) in [("train", 60), ("unseen", 20)] {
        fs::create_dir_all(folder.join(run)).unwrap();
        for (service, pods) in services {
            let mut text = String::from("t,pods,cpu,rt,tp\n");
            for window in 0..windows {
                let load = 100 + 40 * (window % 7);
                let _ = writeln!(
                    text,
                    "{},{},{},{},{load}",
                    60 * window,
                    pods(window),
                    f64::from(load) / 200.0,
                    20 + window % 5
                );
            }
            fs::write(folder.join(run).join(format!("{service}.csv")), text).unwrap();
        }
    }
    let mapping: Mapping =
        karma_cluster::yaml::read(MAPPING, &folder.join("mapping.yaml")).unwrap();
    foreign::assess(&folder, &mapping, 1, &Silent)
}

fn steady(_: u32) -> &'static str {
    "2"
}

fn steady_with_gaps(window: u32) -> &'static str {
    if window < 3 || window % 9 == 4 {
        ""
    } else {
        "2"
    }
}

fn scaled(window: u32) -> &'static str {
    ["1", "2", "3"][window as usize / 5 % 3]
}

#[test]
fn a_trace_in_which_no_pods_ever_change_is_refused_with_the_reason() {
    let expected = "cannot fit a twin: the pods of cart, front never change in the training runs, \
                    so the trace does not show what a replica does";
    for (name, front) in [("steady", steady as Pods), ("gaps", steady_with_gaps)] {
        let fault = assess(name, &[("front", front), ("cart", steady)]).unwrap_err();
        assert_eq!(fault.to_string(), expected, "{name}");
    }
}

#[test]
fn a_service_whose_pods_never_change_is_assessed_without_and_marked_so() {
    let found = assess("mixed", &[("front", scaled), ("cart", steady_with_gaps)]).unwrap();
    for table in [&found.as_published, &found.nulls_dropped] {
        let rows: Vec<_> = table
            .iter()
            .map(|row| (row.service.as_str(), row.pods, row.identified))
            .collect();
        assert_eq!(rows, [("cart", (2, 2), false), ("front", (1, 3), true)]);
    }
    assert!(found.table().contains("2*"), "{}", found.table());
}

#[test]
fn a_folder_is_found_whatever_its_name_and_however_its_path_is_written() {
    let services: [(&str, Pods); 1] = [("front", scaled)];
    assess("brackets [1] * ?", &services).unwrap();
    assess("dots/./inside", &services).unwrap();
}
