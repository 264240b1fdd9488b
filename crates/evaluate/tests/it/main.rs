//! Whole evaluations of a small scenario on the emulator.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use karma_cluster::{
    Controller, Interrupted, Observation, Scenario, Silent, Watch, hpa::HpaController, scenario,
};
use karma_evaluate::{Contender, EvaluateError, Metric, Summary, evaluate};

const SCENARIO: &str = "
format: 1
name: small
duration: 4m
services:
  - name: front
    entry: true
    replicas: {min: 1, max: 5, initial: 2}
    cpu_request: 500m
    memory_request: 128Mi
    rate_per_replica: 20
    calls: [{to: back}]
  - name: back
    replicas: {min: 1, max: 5, initial: 2}
    cpu_request: 500m
    memory_request: 128Mi
    rate_per_replica: 20
nodes: [{cpu: 8, memory: 8Gi}]
workload: {shape: {constant: {rate: 20}}, noise: 0.05}
slo: {latency: 500ms, timeout: 2s}
contexts:
  - name: ddos
    disturbance: {at: 60s, duration: 60s}
    faults: [{at: 60s, duration: 60s, effect: {ddos-flood: {factor: 4}}}]
  - name: errors
    disturbance: {at: 60s, duration: 60s}
    faults: [{at: 60s, duration: 60s, effect: {api-errors: {probability: 0.5}}}]
reward: {cost: 0.2}
evaluate: {seeds: 3, grid: 4, validation_seeds: 2, constant_episodes: 20}
";

fn small() -> Scenario {
    scenario::parse(SCENARIO, Path::new("small.yaml"))
        .unwrap()
        .scenario
}

/// A stand-in for the team.
fn plenty() -> Box<dyn Controller> {
    Box::new(Plenty)
}

struct Plenty;

impl Controller for Plenty {
    fn name(&self) -> &str {
        "plenty"
    }

    fn reset(&mut self, _: &Scenario, _: u64) {}

    fn decide(&mut self, _: &Observation, desired: &mut [u32]) {
        desired.fill(4);
    }
}

fn text(summary: &Summary) -> String {
    serde_json::to_string(summary).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bytes_at_any_number_of_threads() {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let summary = pool.install(|| evaluate(&small(), &plenty, 1, &Silent).unwrap());
        (text(&summary), format!("{:?}", summary.episodes))
    };
    let one = on(1);
    // No assert_eq: nobody reads a difference of this length.
    assert!(one == on(3));
    let other = evaluate(&small(), &plenty, 2, &Silent).unwrap();
    assert!(one.0 != text(&other));
}

#[test]
fn every_controller_meets_the_same_seeds_and_is_paired_on_them() {
    let scenario = small();
    // As its own team, HPA as shipped differs from itself by nothing.
    let hpa = || Box::new(HpaController::as_shipped(&small())) as Box<dyn Controller>;
    let summary = evaluate(&scenario, &hpa, 1, &Silent).unwrap();
    assert_eq!(summary.contexts.len(), 2);
    for context in &summary.contexts {
        let team = context.controller(Contender::Team).unwrap();
        for (metric, difference) in &team.minus_hpa {
            assert_eq!(
                (difference.mean, difference.low, difference.high),
                (0.0, Some(0.0), Some(0.0)),
                "{metric:?} in {}",
                context.name
            );
        }
        assert!(!context.deployment_claim().holds);
    }
    for contender in Contender::ALL {
        let seeds: Vec<u64> = summary
            .episodes
            .iter()
            .filter(|row| row.context == "ddos" && row.contender == contender)
            .map(|row| row.seed)
            .collect();
        let is_left_out = contender == Contender::AffordableConstant && seeds.is_empty();
        assert!(is_left_out || seeds == summary.seeds, "{contender:?}");
    }
}

#[test]
fn more_pods_answer_more_under_a_flood_and_cost_more() {
    let summary = evaluate(&small(), &plenty, 1, &Silent).unwrap();
    let ddos = &summary.contexts[0];
    let mean = |contender, metric| ddos.controller(contender).unwrap().metrics[&metric].mean;
    let (team, fixed, bound) = (Contender::Team, Contender::Static, Contender::Bound);
    assert!(mean(team, Metric::SuccessPct) > mean(fixed, Metric::SuccessPct) + 1.0);
    assert!(mean(bound, Metric::SuccessPct) >= mean(team, Metric::SuccessPct) - 0.5);
    assert!(mean(team, Metric::PodHours) > mean(fixed, Metric::PodHours));
    assert_eq!(mean(fixed, Metric::TogglesPerHour), 0.0);

    let affordable = ddos.affordable_constant.as_ref().unwrap();
    assert!(affordable.pod_hours <= mean(team, Metric::PodHours));
    let frontier: Vec<f64> = ddos
        .constant_frontier
        .iter()
        .map(|p| p.success_pct)
        .collect();
    assert!(frontier.is_sorted(), "{frontier:?}");
    assert_eq!(ddos.timeline.attacks.len(), 1);
    assert_eq!(
        ddos.timeline.services[0].tracks.len(),
        summary.contexts[0].controllers.len() - 1
    );
}

#[test]
fn a_budget_of_episodes_is_kept() {
    let scenario = small();
    let counts = evaluate(&scenario, &plenty, 1, &Silent)
        .unwrap()
        .episodes_played;
    let contexts = 2;
    assert!(counts.constant_search <= contexts * scenario.evaluate.constant_episodes);
    assert!(counts.hpa_calibration <= contexts * 4 * 2);
    assert_eq!(counts.evaluation, contexts * 3 * 7);
}

#[test]
fn a_summary_and_its_table_survive_the_disk() {
    let summary = evaluate(&small(), &plenty, 1, &Silent).unwrap();
    let folder = std::env::temp_dir().join(format!("karma-evaluate-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("summary.json");
    summary.write(&path).unwrap();
    summary
        .write_episodes(&folder.join("episodes.parquet"))
        .unwrap();
    let read = Summary::read(&path).unwrap();
    let table = read.table();
    assert_eq!(table, summary.table());
    assert_eq!(read.seeds, summary.seeds);
    assert!(
        table.contains("context ddos") && table.contains("HPA calibrated"),
        "{table}"
    );
    std::fs::write(&path, "{").unwrap();
    assert!(matches!(
        Summary::read(&path),
        Err(EvaluateError::Summary { .. })
    ));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn an_evaluation_stops_where_it_is_asked_to() {
    struct Stop;
    impl Watch for Stop {
        fn progress(&self, _: &str, _: u64, _: u64, _: &str) {}
        fn stopped(&self) -> bool {
            true
        }
    }
    let result = evaluate(&small(), &plenty, 1, &Stop);
    assert!(matches!(
        result,
        Err(EvaluateError::Interrupted(Interrupted))
    ));
}
