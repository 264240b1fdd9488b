//! HPA: the cases of Kubernetes' own tests, our own, and the rules that no case pins.

use std::path::PathBuf;

use karma_cluster::hpa::replay;

/// The folder of shared facts, where this checkout has one.
fn shared() -> PathBuf {
    std::env::var_os("KARMA_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    )
}

#[test]
fn every_case_of_kubernetes_own_code_passes() {
    for file in ["cases.json", "oracle.json"] {
        let path = shared().join("hpa").join(file);
        let Ok(text) = std::fs::read_to_string(&path) else {
            println!("SKIPPED: {} is not there", path.display());
            continue;
        };
        let report = replay(&text).unwrap();
        assert!(report.differences.is_empty(), "{report}");
        println!("{report}");
    }
}
