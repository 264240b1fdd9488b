//! Pods: start-up, room on nodes, crashes, back-off, draining.

use karma_cluster::{PodObservation, PodPhase};

use super::*;

/// Ready pods of service 0 after each second; `act` is called once at the start.
fn ready_after(scenario: &Scenario, seconds: u32, act: impl Fn(&mut Emulator)) -> Vec<f32> {
    let mut scenario = scenario.clone();
    scenario.control.window = Seconds(1.0);
    let mut emulator = Emulator::new(&scenario, 1);
    act(&mut emulator);
    (0..seconds)
        .map(|_| {
            emulator.advance();
            emulator.observe().unwrap().services[0].replicas_ready
        })
        .collect()
}

#[test]
fn initial_replicas_are_ready_at_once_and_added_ones_after_a_lognormal_delay() {
    let pod = service("a", 100.0, 2);
    let mut scenario = scenario(vec![pod], 10.0, 300.0);
    scenario.services[0].startup.sigma = 0.0;
    let ready = ready_after(&scenario, 30, |e| e.scale(0, 5).unwrap());
    assert_eq!(ready[0], 2.0);
    assert_eq!(ready[18], 2.0);
    assert_eq!(ready[20], 5.0);
    scenario.services[0].startup.sigma = 0.5;
    let ready = ready_after(&scenario, 200, |e| e.scale(0, 102).unwrap());
    let within = |second: usize| ready[second] - 2.0;
    // Of 100 pods half are ready after the median of 20 s, 84 % after one deviation, 33 s.
    assert!(
        (within(19) - 50.0).abs() < 15.0,
        "{} after 20 s",
        within(19)
    );
    assert!(
        (within(32) - 84.0).abs() < 11.0,
        "{} after 33 s",
        within(32)
    );
    assert_eq!(within(199), 100.0);
}

#[test]
fn pods_that_do_not_fit_stay_pending_until_room_appears() {
    // 8 vCPU: 16 pods of 500m.
    let mut scenario = scenario(
        vec![service("a", 100.0, 2), service("b", 100.0, 6)],
        10.0,
        600.0,
    );
    scenario.nodes = vec![NodePool {
        count: 1,
        cpu: Millicores(8000.0),
        memory: Mebibytes(32_768.0),
    }];
    let mut emulator = Emulator::new(&scenario, 1);
    emulator.scale(0, 12).unwrap();
    for _ in 0..8 {
        emulator.advance();
    }
    let seen = emulator.observe().unwrap();
    assert_eq!(seen.services[0].replicas_ready, 10.0);
    assert_eq!(seen.services[0].replicas_pending, 2.0);
    let waiting: Vec<&PodObservation> = seen.pods[0]
        .iter()
        .filter(|p| p.phase == PodPhase::Pending)
        .collect();
    assert_eq!(waiting.len(), 2);
    assert!(
        waiting
            .iter()
            .all(|p| p.ready.is_none() && p.started_s_ago.is_none())
    );
    emulator.scale(1, 5).unwrap();
    for _ in 0..8 {
        emulator.advance();
    }
    let seen = emulator.observe().unwrap();
    assert_eq!(seen.services[0].replicas_ready, 11.0);
    assert_eq!(seen.services[0].replicas_pending, 1.0);
    assert_eq!(seen.services[1].replicas_ready, 5.0);
}

#[test]
fn memory_limits_the_pods_of_a_node_too() {
    let mut scenario = scenario(vec![service("a", 100.0, 12)], 10.0, 60.0);
    scenario.nodes[0].memory = Mebibytes(1024.0);
    let seen = metrics_of(&scenario, 1, 0);
    assert_eq!(seen[0].replicas_ready, 4.0);
    assert_eq!(seen[0].replicas_pending, 8.0);
}

#[test]
fn busy_pods_above_their_requests_stretch_all_work_on_a_crowded_node() {
    // Eight pods that may use 1 core each on 4 cores, busy half of the time at full speed.
    let mean_ms = |cores: f64| {
        let mut pod = service("a", 100.0, 8);
        pod.cpu_limit = Some(Millicores(1000.0));
        pod.discipline = Discipline::Ps;
        let mut scenario = scenario(vec![pod], 700.0, 300.0);
        scenario.nodes[0].cpu = Millicores(cores * 1000.0);
        let record = finish(&scenario, 1);
        let used = record.cpu_used_core_s / record.time_s;
        (record.latency.mean_ms(), used, record.success())
    };
    let (free_ms, free_used, free_success) = mean_ms(16.0);
    let (crowded_ms, crowded_used, crowded_success) = mean_ms(4.0);
    assert_close("cores used with room", free_used, 7.0, 0.03);
    assert!(free_success > 0.999);
    assert!(crowded_used < 4.05, "{crowded_used} of 4 cores used");
    // 4 cores carry 400 of the 700 requests/s.
    assert!(crowded_ms > 5.0 * free_ms, "{crowded_ms} against {free_ms}");
    assert!(crowded_success < 0.7, "{crowded_success}");
}

#[test]
fn a_crashing_pod_backs_off_ten_seconds_and_then_twice_as_long_each_time() {
    // It crashes 0.36 s after it is ready, in the mean.
    let mut pod = service("a", 100.0, 1);
    pod.failure.crashes_per_hour = 10_000.0;
    pod.startup.median = Seconds(1.0);
    pod.startup.sigma = 0.0;
    let mut scenario = scenario(vec![pod], 10.0, 1800.0);
    scenario.control.window = Seconds(1.0);
    let seen = metrics_of(&scenario, 1, 0);
    let restarts: Vec<usize> = (0..seen.len())
        .filter(|&w| seen[w].restarts > 0.0)
        .collect();
    let gaps: Vec<usize> = restarts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (gap, back_off) in gaps.iter().zip([20, 40, 80, 160, 300, 300]) {
        assert!(
            (back_off..back_off + 6).contains(gap),
            "gaps {gaps:?} between restarts"
        );
    }
    assert!(gaps.len() >= 5);
    let failed = seen.iter().filter(|m| m.replicas_failed == 1.0).count();
    assert!(failed > 1700, "in back-off for {failed} s");
}

#[test]
fn a_pod_that_is_scaled_away_finishes_what_it_has() {
    // One request of 5 s per pod; a drain of 30 s is enough, one of 1 s is not.
    let success = |drain| {
        let mut pod = service("a", 0.2, 6);
        pod.work = WorkDistribution::Deterministic;
        let mut scenario = scenario(vec![pod], 0.5, 120.0);
        scenario.slo.timeout = Seconds(60.0);
        scenario.control.drain = Seconds(drain);
        let mut emulator = Emulator::new(&scenario, 1);
        let mut desired = 6;
        loop {
            if !emulator.advance() {
                return emulator.record().success();
            }
            desired = 10 - desired;
            emulator.scale(0, desired).unwrap();
        }
    };
    assert_eq!(success(30.0), 1.0);
    assert!(success(1.0) < 0.99);
}

#[test]
fn a_replica_set_deletes_pods_that_serve_nobody_first() {
    let mut scenario = scenario(vec![service("a", 100.0, 2)], 10.0, 600.0);
    scenario.nodes[0].cpu = Millicores(1500.0);
    let mut emulator = Emulator::new(&scenario, 1);
    emulator.scale(0, 4).unwrap();
    let phases = |emulator: &mut Emulator| {
        let seen = emulator.observe().unwrap();
        let pods = seen.pods[0].iter();
        pods.map(|p| (p.phase, p.ready)).collect::<Vec<_>>()
    };
    // Two ready, one starting, one without room.
    assert_eq!(phases(&mut emulator).len(), 4);
    emulator.scale(0, 3).unwrap();
    assert!(
        phases(&mut emulator)
            .iter()
            .all(|p| p.0 == PodPhase::Running)
    );
    emulator.scale(0, 2).unwrap();
    assert!(phases(&mut emulator).iter().all(|p| p.1 == Some(true)));
}
