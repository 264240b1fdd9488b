//! The stochastic game.

use karma_cluster::{Cluster, Controller, ServiceMetrics, hpa::HpaController};
use karma_twin::{Games, GamesSnapshot, TwinCluster};

use crate::support::{fitted, smoke};

const N: usize = 70;

/// Desired replicas that wander without chance.
fn wander(games: &Games, step: usize) -> Vec<u32> {
    games
        .desired()
        .iter()
        .enumerate()
        .map(|(at, d)| (d + ((at * 7 + step) % 3) as u32).clamp(2, 7) - 1)
        .collect()
}

fn play(games: &mut Games, from: usize, steps: usize) {
    for step in from..from + steps {
        let desired = wander(games, step);
        games.step(&desired);
        games.reset_ended();
    }
}

/// Everything that can be seen, NaN included.
fn seen(games: &Games) -> Vec<u32> {
    let bits = |m: &ServiceMetrics| m.to_array().map(f32::to_bits);
    let metrics = games
        .metrics()
        .iter()
        .chain(games.previous())
        .flat_map(bits);
    metrics
        .chain(games.desired().iter().copied())
        .chain(games.windows().iter().copied())
        .chain(games.contexts().iter().copied())
        .collect()
}

#[test]
fn games_are_the_same_at_any_number_of_threads() {
    let (twin, _) = fitted();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut games = Games::new(&twin, &smoke(), N, 5);
            play(&mut games, 0, 25);
            seen(&games)
        })
    };
    assert!(run(1) == run(3));
}

#[test]
fn a_snapshot_continues_exactly_after_a_trip_through_json() {
    let (twin, _) = fitted();
    let mut games = Games::new(&twin, &smoke(), N, 5);
    play(&mut games, 0, 9);
    let text = serde_json::to_string(&games.snapshot()).unwrap();
    let snapshot: GamesSnapshot = serde_json::from_str(&text).unwrap();
    let mut resumed = Games::new(&twin, &smoke(), N, 5);
    resumed.restore(&snapshot).unwrap();
    assert!(seen(&games) == seen(&resumed));
    play(&mut games, 9, 22);
    play(&mut resumed, 9, 22);
    assert!(seen(&games) == seen(&resumed));
    let mut others = Games::new(&twin, &smoke(), N, 6);
    assert!(others.restore(&snapshot).is_err());
    let mut fewer = Games::new(&twin, &smoke(), N - 1, 5);
    assert!(fewer.restore(&snapshot).is_err());
}

#[test]
fn metrics_stay_within_physics() {
    let (twin, _) = fitted();
    let scenario = smoke();
    let mut games = Games::new(&twin, &scenario, N, 5);
    for step in 0..40 {
        let desired = wander(&games, step);
        let before: Vec<ServiceMetrics> = games.metrics().to_vec();
        games.step(&desired);
        for (at, m) in games.metrics().iter().enumerate() {
            assert!(
                m.to_array()
                    .iter()
                    .all(|v| v.is_nan() || (*v >= 0.0 && *v < 1e7)),
                "{m:?}"
            );
            assert_eq!(m.replicas_desired, games.desired()[at] as f32);
            let pods = m.replicas_ready + m.replicas_failed + m.replicas_pending;
            assert_eq!(pods, m.replicas_desired, "{m:?}");
            assert!(m.latency_p50_ms <= m.latency_p95_ms && m.latency_p95_ms <= m.latency_p99_ms);
            let queued = before[at].queued;
            let backlog = if queued.is_nan() { 0.0 } else { queued } / 15.0;
            assert!(m.out_rate_rps <= 1.06 * m.in_rate_rps + backlog, "{m:?}");
        }
        games.reset_ended();
    }
}

#[test]
fn games_do_not_end_together_and_start_again_with_nothing_measured() {
    let (twin, _) = fitted();
    let mut games = Games::new(&twin, &smoke(), N, 5);
    let (mut at_once, mut ended) = (0, 0);
    for step in 0..smoke().windows() as usize {
        let desired = wander(&games, step);
        games.step(&desired);
        let now = games.ended().iter().filter(|e| **e).count();
        at_once = at_once.max(now);
        ended += now;
        games.reset_ended();
        for (game, window) in games.windows().iter().enumerate() {
            if *window == 0 {
                let m = &games.metrics()[game * 2];
                assert!(m.in_rate_rps.is_nan() && m.replicas_ready == 2.0);
            }
        }
    }
    assert_eq!(
        ended, N,
        "every game ends once in as many windows as an episode has"
    );
    assert!(at_once < N / 4, "{at_once} games end at once");
}

#[test]
fn more_replicas_of_an_overloaded_service_shorten_its_queue() {
    let (twin, _) = fitted();
    let scenario = smoke();
    let queue = |replicas: u32| {
        let mut games = Games::new(&twin, &scenario, N, 5);
        let (mut sum, mut count) = (0.0, 0.0);
        for _ in 0..30 {
            games.step(&[replicas, 6].repeat(N));
            for m in games
                .metrics()
                .iter()
                .step_by(2)
                .filter(|m| !m.queued.is_nan())
            {
                sum += f64::from(m.queued);
                count += 1.0;
            }
            games.reset_ended();
        }
        sum / count
    };
    let queues = [1, 2, 4].map(queue);
    assert!(queues[0] > queues[1] && queues[1] > queues[2], "{queues:?}");
}

#[test]
fn an_hpa_reads_the_pods_of_a_twin() {
    let (twin, _) = fitted();
    let (_, scenario) = &smoke().in_every_context()[0];
    let mut cluster = TwinCluster::new(&twin, scenario, 3);
    let mut hpa = HpaController::as_shipped(scenario);
    hpa.reset(scenario, 3);
    let (mut most, mut windows) = (0, 0);
    loop {
        let seen = cluster.observe().unwrap();
        assert_eq!(seen.window, windows);
        let mut desired: Vec<u32> = seen
            .services
            .iter()
            .map(|s| s.replicas_desired as u32)
            .collect();
        for (service, m) in seen.services.iter().enumerate() {
            let ready = seen.pods[service].iter().filter(|p| p.ready == Some(true));
            assert_eq!(ready.count() as f32, m.replicas_ready);
        }
        hpa.decide(&seen, &mut desired);
        for (service, desired) in desired.iter().enumerate() {
            most = most.max(*desired);
            cluster.scale(service, *desired).unwrap();
        }
        if !cluster.advance() {
            break;
        }
        windows += 1;
    }
    assert_eq!(windows + 1, scenario.windows());
    // The flood of the scenario is three times what the initial replicas carry.
    assert!(most > 2, "{most}");
    assert!(cluster.scale(9, 1).is_err());
}
