//! The emulator against queueing theory, conservation, Kubernetes' ways and every fault.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is missing"
)]

mod faults;
mod pods;
mod queueing;
mod seen;
mod steering;
mod whole;

use karma_cluster::{
    Cluster, Observation, Scenario, ServiceMetrics,
    emulator::{Emulator, EpisodeRecord},
    scenario::{
        Call, CallMode, Discipline, Effect, Fault, NodePool, ReplicaRange, Service, Shape, Startup,
        WorkDistribution,
    },
    units::{Mebibytes, Millicores, Seconds},
};

/// A service whose pods serve `rate` requests/s with one server each; nothing breaks by itself.
fn service(name: &str, rate: f64, replicas: u32) -> Service {
    Service {
        name: name.to_owned(),
        entry: false,
        replicas: ReplicaRange {
            min: 1,
            max: 12,
            initial: Some(replicas),
        },
        cpu_request: Millicores(500.0),
        cpu_limit: None,
        memory_request: Mebibytes(256.0),
        memory_limit: None,
        rate_per_replica: rate,
        concurrency: 1,
        queue: 100,
        discipline: Discipline::Fifo,
        work: WorkDistribution::Exponential,
        startup: Startup {
            median: Seconds(20.0),
            sigma: 0.3,
        },
        failure: karma_cluster::scenario::FailureRates::default(),
        calls: Vec::new(),
    }
}

/// A call without retries.
fn call(to: &str, mode: CallMode) -> Call {
    Call {
        to: to.to_owned(),
        mode,
        retries: 0,
        probability: 1.0,
    }
}

/// `services` (the first is the entry) under a constant load, on nodes with room for everything,
/// scraped without loss.
fn scenario(mut services: Vec<Service>, rate: f64, duration_s: f64) -> Scenario {
    services[0].entry = true;
    let mut scenario: Scenario = serde_json::from_value(serde_json::json!({
        "format": 1,
        "name": "test",
        "services": [],
        "nodes": [{"count": 1, "cpu": 64, "memory": "256Gi"}],
        "workload": {"shape": {"constant": {"rate": rate}}},
        "slo": {"latency": "500ms", "timeout": "2s"},
        "control": {"scrape_loss": 0.0},
        "duration": duration_s,
    }))
    .unwrap();
    scenario.services = services;
    scenario
}

/// `a`→`b`→`c`→`d`, async, with the pipeline's rates and enough replicas for 200 requests/s.
fn pipeline(duration_s: f64) -> Scenario {
    let mut services = vec![
        service("a", 100.0, 3),
        service("b", 80.0, 4),
        service("c", 150.0, 2),
        service("d", 300.0, 1),
    ];
    for at in 0..4 {
        services[at].concurrency = 4;
        if at < 3 {
            let next = services[at + 1].name.clone();
            services[at].calls = vec![call(&next, CallMode::Async)];
        }
    }
    scenario(services, 200.0, duration_s)
}

/// `scenario` with one fault from 60 s on.
fn with_fault(mut scenario: Scenario, duration_s: f64, effect: Effect) -> Scenario {
    scenario.faults.push(Fault {
        at: Seconds(60.0),
        duration: Seconds(duration_s),
        effect,
    });
    scenario
}

/// Runs to the end; one observation per window, each at the window's end.
fn observe_all(emulator: &mut Emulator) -> Vec<Observation> {
    let mut all = Vec::new();
    loop {
        let goes_on = emulator.advance();
        all.extend(emulator.observe());
        if !goes_on {
            return all;
        }
    }
}

/// Runs to the end.
fn finish(scenario: &Scenario, seed: u64) -> EpisodeRecord {
    let mut emulator = Emulator::new(scenario, seed);
    while emulator.advance() {}
    emulator.record().clone()
}

/// Runs to the end; metrics of one service per window.
fn metrics_of(scenario: &Scenario, seed: u64, service: usize) -> Vec<ServiceMetrics> {
    observe_all(&mut Emulator::new(scenario, seed))
        .iter()
        .map(|seen| seen.services[service])
        .collect()
}

/// Asserts that `got` is within `share` of `expected`.
#[track_caller]
fn assert_close(what: &str, got: f64, expected: f64, share: f64) {
    assert!(
        (got / expected - 1.0).abs() <= share,
        "{what}: got {got}, expected {expected} within {share}"
    );
}
