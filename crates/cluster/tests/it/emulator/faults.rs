//! Every kind of fault, by what it does.

use super::*;

const A: &str = "a";

/// Two pods of `a` at 60 % load for 5 minutes; the fault lasts from 60 s to 180 s.
fn under(effect: Effect) -> Scenario {
    with_fault(base(), 120.0, effect)
}

fn base() -> Scenario {
    let mut pod = service(A, 50.0, 2);
    pod.concurrency = 2;
    scenario(vec![pod], 60.0, 300.0)
}

/// Success of the arrivals in [from, to).
fn success(record: &EpisodeRecord, from: usize, to: usize) -> f64 {
    let seconds = &record.seconds[from..to];
    let sum = |f: fn(&karma_cluster::emulator::SecondRow) -> u32| {
        f64::from(seconds.iter().map(f).sum::<u32>())
    };
    sum(|s| s.ok) / sum(|s| s.arrived)
}

/// Mean p95 of the bins of arrivals in [from, to).
fn p95_ms(record: &EpisodeRecord, from: f64, to: f64) -> f64 {
    let bins = record.bins.iter();
    let bins = bins.filter(|b| b.time_s >= from && b.time_s < to);
    let p95: Vec<f64> = bins.map(|b| b.p95_ms).collect();
    p95.iter().sum::<f64>() / p95.len() as f64
}

#[test]
fn without_a_fault_nothing_fails() {
    let record = finish(&base(), 1);
    assert!(record.success() > 0.9999, "{}", record.success());
}

#[test]
fn a_flood_multiplies_the_load_and_only_the_record_knows_who_attacks() {
    let flood = |payload| {
        under(Effect::DdosFlood {
            entry: None,
            factor: 4.0,
            payload,
        })
    };
    let record = finish(&flood(1.0), 1);
    assert!(success(&record, 0, 55) > 0.999);
    assert!(success(&record, 90, 170) < 0.6);
    assert!(success(&record, 200, 300) > 0.99);
    assert_close(
        "attack",
        record.attack_arrived as f64,
        3.0 * 60.0 * 120.0,
        0.03,
    );
    assert_close("legitimate", record.arrived as f64, 60.0 * 300.0, 0.03);
    let seen = metrics_of(&flood(1.0), 1, 0);
    assert_close("rate seen", f64::from(seen[7].in_rate_rps), 240.0, 0.1);
    // Twice the work per attack request leaves less for others.
    assert!(success(&finish(&flood(2.0), 1), 90, 170) < success(&record, 90, 170));
}

#[test]
fn a_yo_yo_flood_comes_and_goes() {
    let record = finish(
        &under(Effect::YoYo {
            entry: Some(A.to_owned()),
            factor: 5.0,
            period: Seconds(40.0),
            duty: 0.5,
        }),
        1,
    );
    let rows = record.windows.iter();
    let attacked: Vec<bool> = rows.map(|w| w.attack_rps > 60.0).collect();
    // Windows end every 15 s; on from 60 to 80 s, 100 to 120 s and 140 to 160 s.
    let on: Vec<usize> = (0..20).filter(|&w| attacked[w]).collect();
    assert_eq!(on, [4, 5, 6, 7, 9, 10]);
}

#[test]
fn slow_connections_hold_servers_and_are_no_requests() {
    let scenario = under(Effect::SlowConnections {
        entry: None,
        rate: 1.0,
        hold: Seconds(20.0),
    });
    let record = finish(&scenario, 1);
    // Twenty at once for four servers.
    assert!(success(&record, 100, 175) < 0.3);
    assert!(success(&record, 0, 55) > 0.999);
    let seen = metrics_of(&scenario, 1, 0);
    assert_close("rate seen", f64::from(seen[7].in_rate_rps), 60.0, 0.1);
    assert!(seen[7].cpu_millicores < 300.0, "they use no processor");
    assert!(seen[7].queued > 20.0, "they and others wait");
}

#[test]
fn killed_pods_are_replaced_by_new_ones() {
    let scenario = under(Effect::PodKill {
        service: A.to_owned(),
        count: 1,
        every: Some(Seconds(30.0)),
    });
    let mut emulator = Emulator::new(&scenario, 1);
    let seen = observe_all(&mut emulator);
    let mut names = std::collections::BTreeSet::new();
    for seen in &seen {
        names.extend(seen.pods[0].iter().map(|p| p.name.clone()));
    }
    assert_eq!(names.len(), 2 + 4, "{names:?}");
    assert_eq!(seen[4].services[0].replicas_desired, 2.0);
    assert!(seen[4].services[0].replicas_pending >= 1.0);
    assert_eq!(seen[15].services[0].replicas_ready, 2.0);
    assert_eq!(seen[15].services[0].restarts, 0.0);
    assert!(success(emulator.record(), 60, 180) < 0.99);
}

#[test]
fn failing_pods_stay_and_do_not_serve() {
    let scenario = under(Effect::PodFailure {
        service: A.to_owned(),
        count: 1,
    });
    let seen = metrics_of(&scenario, 1, 0);
    for (window, seen) in seen.iter().enumerate() {
        let failing = (4..12).contains(&window);
        // The window that ends at 60 s sees the onset, the one that ends at 180 s the end.
        if window != 3 && window != 11 {
            assert_eq!(
                seen.replicas_failed,
                f32::from(u8::from(failing)),
                "{window}"
            );
            assert_eq!(seen.replicas_ready, 2.0 - seen.replicas_failed);
        }
    }
    let record = finish(&scenario, 1);
    assert!(success(&record, 90, 175) < 0.95, "one pod is not enough");
}

#[test]
fn processor_stress_slows_work_down_and_shows_as_use() {
    let scenario = under(Effect::StressCpu {
        service: A.to_owned(),
        load: 0.3,
    });
    let record = finish(&scenario, 1);
    assert!(p95_ms(&record, 65.0, 175.0) > 1.4 * p95_ms(&record, 0.0, 55.0));
    assert!(p95_ms(&record, 200.0, 300.0) < 1.3 * p95_ms(&record, 0.0, 55.0));
    let seen = metrics_of(&scenario, 1, 0);
    assert_close("use before", f64::from(seen[3].cpu_millicores), 600.0, 0.1);
    // Two pods: 30 % of a core's half each is stress; the work itself costs what it did.
    assert_close(
        "use under stress",
        f64::from(seen[7].cpu_millicores),
        900.0,
        0.1,
    );
}

#[test]
fn memory_stress_above_the_limit_kills_again_and_again_with_back_off() {
    let stress = |size| {
        under(Effect::StressMemory {
            service: A.to_owned(),
            size: Mebibytes(size),
        })
    };
    let seen = metrics_of(&stress(400.0), 1, 0);
    let restarts: f32 = seen.iter().map(|m| m.restarts).sum();
    assert!(restarts >= 4.0, "{restarts} restarts");
    assert!(seen[4..12].iter().all(|m| m.replicas_ready == 0.0));
    assert!(seen[4..12].iter().any(|m| m.replicas_failed == 2.0));
    assert_eq!(seen[19].replicas_ready, 2.0);
    // Below the limit of twice the request it only shows.
    let seen = metrics_of(&stress(200.0), 1, 0);
    assert_eq!(seen.iter().map(|m| m.restarts).sum::<f32>(), 0.0);
    let more = seen[7].memory_mib - seen[2].memory_mib;
    assert_close("memory", f64::from(more), 400.0, 0.05);
}

#[test]
fn network_delay_adds_to_the_latency_but_not_to_the_service() {
    let scenario = under(Effect::NetworkDelay {
        service: A.to_owned(),
        latency: Seconds(0.3),
        jitter: Seconds(0.1),
    });
    let record = finish(&scenario, 1);
    let (before, during) = (p95_ms(&record, 0.0, 55.0), p95_ms(&record, 65.0, 175.0));
    assert!(during > before + 200.0, "p95 {before} then {during}");
    assert!(success(&record, 60, 180) > 0.999);
    let seen = metrics_of(&scenario, 1, 0);
    assert!(seen[7].latency_p95_ms < 1.5 * seen[2].latency_p95_ms);
}

#[test]
fn network_loss_loses_requests_unless_they_are_tried_again() {
    let loss = |service: &str| Effect::NetworkLoss {
        service: service.to_owned(),
        loss: 0.2,
    };
    let record = finish(&under(loss(A)), 1);
    assert_close("success", success(&record, 61, 179), 0.8, 0.03);
    assert!(success(&record, 185, 300) > 0.999);
    let chain = |retries| {
        let mut front = service(A, 50.0, 4);
        front.calls = vec![Call {
            retries,
            ..call("b", CallMode::Async)
        }];
        let scenario = scenario(vec![front, service("b", 100.0, 2)], 60.0, 300.0);
        success(&finish(&with_fault(scenario, 120.0, loss("b")), 1), 61, 179)
    };
    assert_close("no retry", chain(0), 0.8, 0.03);
    assert_close("one retry", chain(1), 0.96, 0.02);
}

#[test]
fn a_metric_outage_leaves_holes_and_the_api_server_as_it_is() {
    let seen = observe_all(&mut Emulator::new(
        &under(Effect::MetricOutage { service: None }),
        1,
    ));
    let during = &seen[7];
    let metrics = &during.services[0];
    for value in [
        metrics.in_rate_rps,
        metrics.out_rate_rps,
        metrics.queued,
        metrics.cpu_millicores,
        metrics.memory_mib,
        metrics.latency_p95_ms,
        metrics.errors_ps,
    ] {
        assert!(value.is_nan());
    }
    assert_eq!(metrics.replicas_ready, 2.0);
    assert!(during.metrics_age_s[0] > 55.0);
    assert!(during.pods[0].iter().all(|p| p.cpu_millicores.is_none()));
    let after = &seen[13].services[0];
    assert_close("rate", f64::from(after.in_rate_rps), 60.0, 0.2);
}

#[test]
fn api_errors_fail_calls_and_change_nothing() {
    let scenario = under(Effect::ApiErrors { probability: 0.5 });
    let mut emulator = Emulator::new(&scenario, 1);
    for _ in 0..6 {
        emulator.advance();
    }
    let mut failures = 0;
    let mut desired = 2;
    for replicas in 3..103 {
        match emulator.scale(0, replicas) {
            Ok(()) => desired = replicas,
            Err(_) => failures += 1,
        }
        if let Ok(seen) = emulator.observe() {
            assert_eq!(seen.services[0].replicas_desired, desired as f32);
        }
    }
    assert!((30..70).contains(&failures), "{failures} of 100 failed");
}

#[test]
fn the_hooks_of_demonstrations_take_metrics_and_api_away() {
    let mut emulator = Emulator::new(&base(), 1);
    emulator.set_metric_outage(true);
    emulator.advance();
    assert!(emulator.observe().unwrap().services[0].in_rate_rps.is_nan());
    emulator.set_metric_outage(false);
    emulator.set_api_down(true);
    emulator.advance();
    assert!(emulator.observe().is_err() && emulator.scale(0, 3).is_err());
    emulator.set_api_down(false);
    assert!(!emulator.observe().unwrap().services[0].in_rate_rps.is_nan());
    assert_eq!(
        emulator.observe().unwrap().services[0].replicas_desired,
        2.0
    );
}

#[test]
fn a_fault_of_no_duration_strikes_once() {
    let kill = Effect::PodKill {
        service: A.to_owned(),
        count: 1,
        every: Some(Seconds(5.0)),
    };
    let seen = metrics_of(&with_fault(base(), 0.0, kill), 1, 0);
    assert_eq!(seen[4].replicas_pending, 1.0);
    assert_eq!(seen[19].replicas_ready, 2.0);
    let stress = Effect::StressCpu {
        service: A.to_owned(),
        load: 0.9,
    };
    let record = finish(&with_fault(base(), 0.0, stress), 1);
    assert!(record.success() > 0.9999);
}
