//! The controller: one HPA per service, on observations.

use karma_cluster::{
    Controller, Observation, PodObservation, PodPhase, Scenario, ServiceMetrics,
    hpa::{HpaController, HpaSpec},
};

const SCENARIO: &str = r#"{
  "format": 1, "name": "two",
  "services": [
    {"name": "a", "entry": true, "replicas": {"min": 1, "max": 12}, "cpu_request": "500m",
     "memory_request": "256Mi", "rate_per_replica": 100, "calls": [{"to": "b"}]},
    {"name": "b", "replicas": {"min": 2, "max": 5}, "cpu_request": "400m",
     "memory_request": "256Mi", "rate_per_replica": 80}
  ],
  "nodes": [{"cpu": "16", "memory": "32Gi"}],
  "workload": {"shape": {"constant": {"rate": 50}}},
  "slo": {"latency": "500ms", "timeout": "2s"},
  "duration": "30m"
}"#;

fn scenario() -> Scenario {
    serde_json::from_str(SCENARIO).expect("the scenario is well formed")
}

/// `count` pods that have been ready for long and use `cpu` each.
fn pods(count: u32, cpu: Option<f64>) -> Vec<PodObservation> {
    (0..count)
        .map(|index| PodObservation {
            name: format!("pod-{index}"),
            phase: PodPhase::Running,
            ready: Some(true),
            ready_changed_s_ago: 1000.0,
            started_s_ago: Some(1000.0),
            deleted: false,
            cpu_millicores: cpu,
            sample_s_ago: 1.0,
            sample_window_s: 15.0,
        })
        .collect()
}

fn observe(time_s: f64, pods: Vec<Vec<PodObservation>>) -> Observation {
    Observation {
        window: (time_s / 15.0) as u32,
        time_s,
        services: vec![ServiceMetrics::MISSING; pods.len()],
        metrics_age_s: vec![1.0; pods.len()],
        pods,
    }
}

#[test]
fn each_service_scales_on_its_own_cpu_within_its_own_bounds() {
    let mut hpa = HpaController::as_shipped(&scenario());
    assert_eq!(hpa.name(), "HPA as shipped");
    let mut desired = [2, 2];
    // a uses 160 % of its request, b 90 %: in tolerance of 80 % there is only b's 88 %.
    hpa.decide(
        &observe(0.0, vec![pods(2, Some(800.0)), pods(2, Some(352.0))]),
        &mut desired,
    );
    assert_eq!(desired, [4, 2]);
    hpa.decide(
        &observe(15.0, vec![pods(4, Some(800.0)), pods(2, Some(4000.0))]),
        &mut desired,
    );
    assert_eq!(desired, [8, 4]);
    hpa.decide(
        &observe(30.0, vec![pods(8, Some(800.0)), pods(4, Some(4000.0))]),
        &mut desired,
    );
    assert_eq!(desired, [12, 5]);
}

#[test]
fn a_sync_waits_for_its_period() {
    let mut hpa = HpaController::as_shipped(&scenario());
    let mut desired = [2, 2];
    let busy =
        |time_s, count| observe(time_s, vec![pods(count, Some(800.0)), pods(2, Some(320.0))]);
    hpa.decide(&busy(0.0, 2), &mut desired);
    assert_eq!(desired, [4, 2]);
    for time_s in [5.0, 10.0] {
        hpa.decide(&busy(time_s, 4), &mut desired);
        assert_eq!(desired, [4, 2], "at {time_s} s");
    }
    hpa.decide(&busy(15.0, 4), &mut desired);
    assert_eq!(desired, [8, 2]);
}

#[test]
fn nothing_changes_without_samples_and_partial_samples_never_shrink() {
    let mut hpa = HpaController::as_shipped(&scenario());
    hpa.seed_recommendations(-1000.0, &[4, 4]);
    let mut desired = [4, 4];
    hpa.decide(
        &observe(0.0, vec![pods(4, None), pods(4, Some(f64::NAN))]),
        &mut desired,
    );
    assert_eq!(desired, [4, 4]);
    let failed: Vec<_> = hpa
        .outcomes()
        .flatten()
        .map(|o| o.metrics[0].is_err())
        .collect();
    assert_eq!(failed, [true, true]);
    // One sample of four, idle: the others count as busy.
    let mut partial = pods(4, None);
    partial[0].cpu_millicores = Some(380.0);
    hpa.decide(&observe(15.0, vec![partial, pods(4, None)]), &mut desired);
    assert_eq!(desired, [4, 4]);
}

#[test]
fn a_seeded_log_delays_the_first_scale_down_by_the_window() {
    let mut hpa =
        HpaController::new(&scenario(), HpaSpec::cpu_utilization(1, 1, 50)).named("fallback");
    let mut desired = [6, 4];
    hpa.seed_recommendations(600.0, &desired);
    for step in 0..=20 {
        let time_s = 600.0 + f64::from(step) * 15.0;
        hpa.decide(
            &observe(time_s, vec![pods(6, Some(0.0)), pods(4, Some(0.0))]),
            &mut desired,
        );
        assert_eq!(desired, [6, 4], "at {time_s} s");
    }
    hpa.decide(
        &observe(915.0, vec![pods(6, Some(0.0)), pods(4, Some(0.0))]),
        &mut desired,
    );
    assert_eq!(desired, [1, 2]);
    hpa.reset(&scenario(), 1);
    assert!(hpa.outcomes().all(|outcome| outcome.is_none()));
    assert_eq!(hpa.state(0).recommendations, None);
}
