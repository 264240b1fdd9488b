//! Files of cases, and what a file may not contain.

use std::path::PathBuf;

use karma_cluster::hpa::{ReplayError, ReplayReport, replay};

const OWN: &str = include_str!("../../golden/hpa-cases.json");

/// The folder of shared facts, where this checkout has one.
#[expect(
    clippy::disallowed_methods,
    reason = "says where the facts lie, not what a test does"
)]
fn shared() -> PathBuf {
    std::env::var_os("KARMA_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    )
}

#[test]
#[expect(clippy::print_stdout, reason = "a skipped check must be seen")]
fn every_case_of_kubernetes_own_code_passes() -> Result<(), ReplayError> {
    for file in ["cases.json", "oracle.json"] {
        let path = shared().join("hpa").join(file);
        let Ok(text) = std::fs::read_to_string(&path) else {
            println!("SKIPPED: {} is not there", path.display());
            continue;
        };
        let report = replay(&text)?;
        assert!(report.differences.is_empty(), "{report}");
        assert!(report.cases > 0);
    }
    Ok(())
}

#[test]
fn every_case_of_our_own_passes() -> Result<(), ReplayError> {
    let report = replay(OWN)?;
    assert!(report.differences.is_empty(), "{report}");
    for list in &report.lists {
        assert!(list.cases > 0, "no case of {}", list.list);
    }
    assert_eq!(
        report.cases,
        report.lists.iter().map(|list| list.cases).sum::<usize>()
    );
    Ok(())
}

/// Our own cases with one piece of text replaced.
fn altered(from: &str, to: &str) -> Result<ReplayReport, ReplayError> {
    assert!(OWN.contains(from), "{from} is not in the file");
    replay(&OWN.replacen(from, to, 1))
}

#[test]
fn a_wrong_expectation_is_reported_with_both_sides() -> Result<(), ReplayError> {
    let report = altered(
        r#""expect": {"replicas": 5, "utilization_pct": 110"#,
        r#""expect": {"replicas": 6, "utilization_pct": 110"#,
    )?;
    let [difference] = report.differences.as_slice() else {
        panic!("one difference expected: {report}");
    };
    assert_eq!(difference.id, "own/rc/upper-edge-belongs-to-the-tolerance");
    assert_eq!(
        difference.expected,
        r#"{"raw_milli":1100,"replicas":6,"utilization_pct":110}"#
    );
    assert_eq!(
        difference.got,
        r#"{"raw_milli":1100,"replicas":5,"utilization_pct":110}"#
    );
    assert!(report.to_string().ends_with("97 cases, 1 differences"));

    let report = altered("SuccessfulRescale", "FailedRescale")?;
    assert_eq!(report.differences.len(), 1);
    let report = altered(
        r#""production_defaults": {"sync_period_s": 15"#,
        r#""production_defaults": {"sync_period_s": 30"#,
    )?;
    assert_eq!(report.differences[0].id, "production_defaults.constants");
    Ok(())
}

#[test]
fn an_unknown_field_or_value_is_refused_with_its_path() {
    for (from, to, path, message) in [
        (r#""about""#, r#""abuot""#, "abuot", "unknown field `abuot`"),
        (
            r#""kind": "Resource""#,
            r#""kind": "Memory""#,
            "replica_calculator[0].kind",
            "unknown variant `Memory`",
        ),
        (
            r#""pod_start": ["3m", "3m", "now"]"#,
            r#""pod_start": ["3m", "4m", "now"]"#,
            "replica_calculator[0].pod_start[1]",
            "unknown variant `4m`",
        ),
        (
            r#""window_s": 60}"#,
            r#""window": 60}"#,
            "group_pods[0].pods[1].metric.window",
            "unknown field `window`",
        ),
        (
            r#""select": "Max", "stabilization_s": 0, "policies": [["Pods", 3"#,
            r#""select": "Most", "stabilization_s": 0, "policies": [["Pods", 3"#,
            "limit_with_rules[0].rules.select",
            "unknown variant `Most`",
        ),
        (
            r#"["Percent", 45, 60]"#,
            r#"["Ratio", 45, 60]"#,
            "limit_with_rules[0].rules.policies[1]",
            "unknown variant `Ratio`",
        ),
        (
            r#""metrics": [{"type""#,
            r#""metrics": [{"bogus": 1, "type""#,
            "reconcile[0].metrics[0].bogus",
            "unknown field `bogus`",
        ),
        (
            r#""inject": "get_scale_error""#,
            r#""inject": "get_scale""#,
            "reconcile[21].inject",
            "unknown variant `get_scale`",
        ),
        (
            r#""ScalingActive": ["True", "ValidMetricFound"]"#,
            r#""ScalingActive": ["True", "Fine"]"#,
            "reconcile[0].expect.conditions.ScalingActive",
            "unknown variant `Fine`",
        ),
        (
            r#""max": 2000"#,
            r#""max": 2000.5"#,
            "convert_without_behavior[0].max",
            "invalid type: floating point",
        ),
        (
            r#""max": 2000"#,
            r#""max": null"#,
            "convert_without_behavior[0].max",
            "invalid type: null",
        ),
        (
            r#""current_replicas": 3, "#,
            "",
            "replica_calculator",
            "missing field `current_replicas`",
        ),
    ] {
        let error = altered(from, to).expect_err("the file is refused");
        assert!(error.path.starts_with(path), "{error} is not at {path}");
        assert!(
            error.message.contains(message),
            "{error} does not say {message}"
        );
    }
}

#[test]
fn a_metric_without_its_target_is_refused() {
    let error = altered(
        r#"{"type": "Resource", "utilization_pct": 50}"#,
        r#"{"type": "Resource"}"#,
    )
    .expect_err("the file is refused");
    assert_eq!(error.path, "reconcile[0].metrics[0]");
    let error = altered(r#""target_milli": 1000, "#, "").expect_err("the file is refused");
    assert!(error.message.contains("`target_milli`"), "{error}");
    let error = altered(
        r#""scale_up": {"stabilization_s": 60}"#,
        r#""scale_up": []"#,
    )
    .expect_err("the file is refused");
    assert_eq!(error.path, "reconcile[15].scale_up");
    let error = replay("[]").expect_err("the file is refused");
    assert_eq!(error.path, "file");
}

#[test]
fn a_file_without_cases_is_refused() {
    let own: serde_json::Value = serde_json::from_str(OWN).expect("it is JSON");
    let defaults = serde_json::json!({"production_defaults": own["production_defaults"]});
    for text in [
        "{}",
        r#"{"per_pod_usage": [], "reconcile": []}"#,
        &defaults.to_string(),
    ] {
        let told = replay(text).map_err(|error| error.to_string());
        assert!(
            told.as_ref()
                .is_err_and(|told| told.contains("no case in any of its lists")),
            "{told:?}"
        );
    }
}

#[test]
fn pods_without_number_are_refused() {
    for (from, to, says) in [
        (
            "\"current_replicas\": ",
            "\"current_replicas\": 2147483647",
            "current_replicas: 2147483647 pods are more than 10000",
        ),
        (
            "\"status_replicas\": ",
            "\"status_replicas\": 2147483647",
            "status_replicas: 2147483647 pods are more than 10000",
        ),
    ] {
        let from_at = OWN.find(from).expect("the file has such a case");
        let digits = OWN[from_at + from.len()..]
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(0);
        let end = from_at + from.len() + digits;
        let text = format!("{}{to}{}", &OWN[..from_at], &OWN[end..]);
        let told = replay(&text).map_err(|error| error.to_string());
        assert!(
            told.as_ref().is_err_and(|told| told.contains(says)),
            "{told:?}"
        );
    }
}
