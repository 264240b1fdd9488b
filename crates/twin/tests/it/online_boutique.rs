//! The real cluster of the data folder: loading and the reference baselines.

use karma_twin::trace::{Number, Text, read_csv_mapped};

use crate::support::{online_boutique_mapping, shared};

#[test]
fn the_shipped_mapping_reads_every_file_of_online_boutique() {
    let Some(dir) = shared("data/k8s-mft") else {
        return;
    };
    let (trace, report) = read_csv_mapped(&dir, &online_boutique_mapping(), false).unwrap();
    assert_eq!(report.files.len(), 40);
    assert!(!report.may_ship);
    assert_eq!(report.validation_runs.len(), 3);
    let services = 10 * 721 + 3 * 10 * 181;
    let of_services = (0..trace.len())
        .filter(|row| trace.text(Text::Service, *row) != Some("__app__"))
        .count();
    assert_eq!(of_services, services);
    // No traffic is no latency.
    assert!((0..trace.len()).all(|row| trace.get(Number::LatMean, row) != Some(0.0)));
    let (kept, _) = read_csv_mapped(&dir, &online_boutique_mapping(), true).unwrap();
    assert!((0..kept.len()).any(|row| kept.get(Number::LatMean, row) == Some(0.0)));
}
