//! Mean waits, utilization and processor sharing against theory.

use super::*;

/// One pod under `rate`, with queue and patience beyond what is needed.
fn alone(mut pod: Service, rate: f64, duration_s: f64) -> Scenario {
    pod.queue = 1_000_000;
    let mut scenario = scenario(vec![pod], rate, duration_s);
    scenario.slo.timeout = Seconds(60.0);
    scenario
}

/// Checks mean wait (in the queue), mean latency and utilization of one pod.
#[track_caller]
fn assert_queue(scenario: &Scenario, wait_s: f64) {
    let pod = &scenario.services[0];
    let record = finish(scenario, 7);
    let arrived = record.arrived as f64;
    assert_close("wait", record.queued_request_s / arrived, wait_s, 0.02);
    let work_s = f64::from(pod.concurrency) / pod.rate_per_replica;
    let sojourn = wait_s + work_s;
    assert_close(
        "sojourn",
        record.in_flight_request_s / arrived,
        sojourn,
        0.02,
    );
    assert_close("latency", record.latency.mean_ms() / 1000.0, sojourn, 0.02);
    let Shape::Constant { rate } = scenario.workload.shape else {
        panic!("the load is constant");
    };
    let used = record.cpu_used_core_s / record.time_s / (pod.cpu_request.millicores() / 1000.0);
    assert_close("utilization", used, rate / pod.rate_per_replica, 0.02);
    assert_eq!(record.answered_in_timeout, record.arrived);
}

#[test]
fn one_server_waits_as_m_m_1() {
    let (rate, load) = (1000.0, 0.7);
    let wait_s = load / (rate * (1.0 - load));
    assert_queue(&alone(service("a", rate, 1), load * rate, 4500.0), wait_s);
}

#[test]
fn four_servers_of_a_pod_wait_as_m_m_4() {
    let (rate, load) = (1000.0, 0.8);
    let mut pod = service("a", rate, 1);
    pod.concurrency = 4;
    // Erlang C with offered load 3.2 on 4 servers.
    let offered: f64 = 4.0 * load;
    let terms: Vec<f64> = (0..4)
        .scan(1.0, |term, k| {
            let now = *term;
            *term *= offered / f64::from(k + 1);
            Some(now)
        })
        .collect();
    let last = offered.powi(4) / 24.0 / (1.0 - load);
    let must_wait = last / (terms.iter().sum::<f64>() + last);
    let wait_s = must_wait / (rate * (1.0 - load));
    assert_queue(&alone(pod, load * rate, 6000.0), wait_s);
}

#[test]
fn constant_work_waits_as_m_d_1() {
    let (rate, load) = (1000.0, 0.7);
    let mut pod = service("a", rate, 1);
    pod.work = WorkDistribution::Deterministic;
    let wait_s = load / (2.0 * rate * (1.0 - load));
    assert_queue(&alone(pod, load * rate, 4000.0), wait_s);
}

#[test]
fn varied_work_waits_as_pollaczek_and_khinchine_say() {
    let (rate, load, cv) = (1000.0, 0.6, 1.5);
    let mut pod = service("a", rate, 1);
    pod.work = WorkDistribution::Lognormal { cv };
    let wait_s = (1.0 + cv * cv) / 2.0 * load / (rate * (1.0 - load));
    assert_queue(&alone(pod, load * rate, 6000.0), wait_s);
}

#[test]
fn sharing_makes_the_sojourn_independent_of_how_work_varies() {
    let (rate, load) = (1000.0, 0.6);
    for work in [
        WorkDistribution::Deterministic,
        WorkDistribution::Lognormal { cv: 2.0 },
    ] {
        let mut pod = service("a", rate, 1);
        pod.discipline = Discipline::Ps;
        pod.work = work;
        let record = finish(&alone(pod, load * rate, 3000.0), 3);
        let sojourn_s = 1.0 / (rate * (1.0 - load));
        assert_close(
            "sojourn",
            record.latency.mean_ms() / 1000.0,
            sojourn_s,
            0.02,
        );
        assert_close(
            "busy",
            record.cpu_used_core_s / record.time_s / 0.5,
            load,
            0.02,
        );
    }
}

/// Mean latency of `clients` without think time on `pods` with processor sharing.
fn closed_latency_ms(clients: u32, pods: u32) -> f64 {
    let mut shared = service("a", 20.0, pods);
    shared.discipline = Discipline::Ps;
    let mut scenario = scenario(vec![shared], 1.0, 600.0);
    scenario.slo.timeout = Seconds(30.0);
    scenario.workload.shape = Shape::Closed {
        clients,
        think_time: Seconds(0.0),
    };
    finish(&scenario, 5).latency.mean_ms()
}

#[test]
fn ten_clients_on_one_to_seven_pods_wait_in_inverse_proportion_to_pods() {
    let products: Vec<f64> = (1..=7)
        .map(|pods| f64::from(pods) * closed_latency_ms(10, pods))
        .collect();
    let mean = products.iter().sum::<f64>() / products.len() as f64;
    for product in products {
        assert_close("latency × pods", product, mean, 0.05);
    }
}

#[test]
fn latency_of_one_pod_is_linear_in_clients() {
    let points: Vec<(f64, f64)> = (1..=9)
        .map(|clients| (f64::from(clients), closed_latency_ms(clients, 1)))
        .collect();
    let mean = |f: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / 9.0;
    let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
    let covariance = mean(&|p| (p.0 - x) * (p.1 - y));
    let (varx, vary) = (mean(&|p| (p.0 - x).powi(2)), mean(&|p| (p.1 - y).powi(2)));
    let r_squared = covariance * covariance / (varx * vary);
    assert!(r_squared >= 0.99, "R² {r_squared}");
    // One client alone has the whole pod: 50 ms.
    assert_close("slope", covariance / varx, 50.0, 0.05);
}
