//! The real cluster of the data folder: loading and the reference baselines.

use karma_cluster::Silent;
use karma_twin::{
    foreign,
    trace::{Number, Text, read_csv_mapped},
};

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

/// Rows of the table in the data folder's README: service, cpu persistence, cpu linear, log latency
/// persistence, log latency linear.
const PUBLISHED: [(&str, [f64; 4]); 10] = [
    ("frontend", [0.241, 0.083, 0.194, 0.302]),
    ("productcatalogservice", [0.118, 0.045, 0.184, 0.324]),
    ("currencyservice", [0.091, 0.040, 0.115, 0.136]),
    ("recommendationservice", [0.056, 0.023, 0.207, 0.264]),
    ("checkoutservice", [0.022, 0.012, 0.667, 0.736]),
    ("cartservice", [0.036, 0.014, 0.091, 0.091]),
    ("adservice", [0.017, 0.010, 0.323, 0.328]),
    ("shippingservice", [0.008, 0.003, 0.266, 0.307]),
    ("emailservice", [0.005, 0.004, 0.183, 0.240]),
    ("paymentservice", [0.002, 0.001, 0.212, 0.284]),
];

#[test]
fn the_published_baselines_are_repeated_to_three_decimals() {
    let Some(dir) = shared("data/k8s-mft") else {
        return;
    };
    let assessment = foreign::assess(&dir, &online_boutique_mapping(), 1, &Silent).unwrap();
    eprintln!("{}", assessment.table());
    for (service, expected) in PUBLISHED {
        let row = assessment
            .as_published
            .iter()
            .find(|row| row.service == service)
            .unwrap();
        let (cpu, latency) = (row.cpu_cores, row.log_latency);
        assert_eq!((cpu.rows, latency.rows), (540, 540));
        let got = [
            cpu.persistence,
            cpu.linear,
            latency.persistence,
            latency.linear,
        ];
        for (got, expected) in got.iter().zip(expected) {
            assert!(
                (got - expected).abs() < 5.001e-4,
                "{service}: {got} {expected}"
            );
        }
    }
    let unidentified: Vec<&str> = assessment
        .nulls_dropped
        .iter()
        .filter(|row| !row.identified)
        .map(|row| row.service.as_str())
        .collect();
    let never_scale = [
        "adservice",
        "emailservice",
        "paymentservice",
        "shippingservice",
    ];
    assert_eq!(unidentified, never_scale);
}
