//! What is shown of the cluster, and when.

use super::*;

#[test]
fn nothing_is_measured_at_first_and_replicas_are_known() {
    let seen = Emulator::new(&pipeline(60.0), 1).observe().unwrap();
    assert_eq!((seen.window, seen.time_s), (0, 0.0));
    for metrics in &seen.services {
        assert!(metrics.in_rate_rps.is_nan() && metrics.queued.is_nan());
        assert!(metrics.cpu_millicores.is_nan() && metrics.latency_p50_ms.is_nan());
        assert_eq!(metrics.restarts, 0.0);
    }
    assert_eq!(seen.services[1].replicas_ready, 4.0);
    assert_eq!(seen.metrics_age_s, [f64::INFINITY; 4]);
    assert_eq!(seen.pods[1].len(), 4);
}

#[test]
fn rates_latencies_and_use_show_what_happens() {
    let scenario = pipeline(600.0);
    let all = observe_all(&mut Emulator::new(&scenario, 1));
    let mean = |service: usize, f: fn(&ServiceMetrics) -> f32| {
        let values = all.iter().map(|seen| f64::from(f(&seen.services[service])));
        values.sum::<f64>() / all.len() as f64
    };
    for service in 0..4 {
        assert_close("in", mean(service, |m| m.in_rate_rps), 200.0, 0.03);
        assert_close("out", mean(service, |m| m.out_rate_rps), 200.0, 0.03);
        let rate = scenario.services[service].rate_per_replica;
        let used = 500.0 * 200.0 / rate;
        assert_close("cpu", mean(service, |m| m.cpu_millicores), used, 0.04);
        assert!(mean(service, |m| m.latency_p50_ms) < mean(service, |m| m.latency_p95_ms));
        assert!(mean(service, |m| m.latency_p95_ms) < mean(service, |m| m.latency_p99_ms));
    }
    // d: 4 servers of 13.3 ms, 67 % busy.
    assert!((8.0..20.0).contains(&mean(3, |m| m.latency_p50_ms)));
    // A caller waits for its callees.
    assert!(mean(0, |m| m.latency_p50_ms) > mean(1, |m| m.latency_p50_ms));
}

#[test]
fn scrapes_are_as_old_as_interval_and_lag_say() {
    let mut scenario = pipeline(600.0);
    scenario.control.scrape_lag = Seconds(3.0);
    for seen in observe_all(&mut Emulator::new(&scenario, 1)) {
        for age in seen.metrics_age_s {
            assert!((3.0..=8.0).contains(&age), "age {age}");
        }
        for pod in seen.pods.iter().flatten() {
            assert!((3.0..=8.0).contains(&pod.sample_s_ago));
            assert!(pod.cpu_millicores.is_some());
        }
    }
}

#[test]
fn lost_scrapes_leave_gaps_but_no_wrong_numbers() {
    let mut scenario = pipeline(3000.0);
    scenario.control.scrape_loss = 0.6;
    let all = observe_all(&mut Emulator::new(&scenario, 1));
    let rates: Vec<f32> = all
        .iter()
        .map(|seen| seen.services[0].in_rate_rps)
        .collect();
    let missing = rates.iter().filter(|r| r.is_nan()).count();
    // All three scrapes of a window are lost in 22 % of the windows, and more lack a first one.
    assert!((20..120).contains(&missing), "{missing} of 200 missing");
    for rate in rates.iter().filter(|r| !r.is_nan()) {
        assert!((120.0..280.0).contains(rate), "rate {rate}");
    }
}

#[test]
fn what_is_counted_is_counted_once() {
    // Without lag or loss, successive windows show every request.
    let mut scenario = pipeline(600.0);
    scenario.control.scrape_lag = Seconds(0.0);
    let mut emulator = Emulator::new(&scenario, 1);
    let all = observe_all(&mut emulator);
    let shown: f64 = all
        .iter()
        .map(|s| 15.0 * f64::from(s.services[0].in_rate_rps))
        .sum();
    assert_close("requests", shown, emulator.record().arrived as f64, 0.01);
}

#[test]
fn pods_show_what_the_hpa_rule_reads() {
    let scenario = scenario(vec![service("a", 100.0, 2)], 100.0, 600.0);
    let mut emulator = Emulator::new(&scenario, 1);
    emulator.advance();
    emulator.scale(0, 3).unwrap();
    let seen = emulator.observe().unwrap();
    assert_eq!(seen.pods[0].len(), 3);
    let (old, new) = (&seen.pods[0][0], &seen.pods[0][2]);
    assert_eq!((old.name.as_str(), new.name.as_str()), ("a-0", "a-2"));
    assert_eq!((old.ready, new.ready), (Some(true), Some(false)));
    assert_eq!(
        (old.started_s_ago, new.started_s_ago),
        (Some(15.0), Some(0.0))
    );
    assert_eq!(
        (old.ready_changed_s_ago, new.ready_changed_s_ago),
        (15.0, 0.0)
    );
    assert_eq!(new.cpu_millicores, None);
    assert_eq!(old.sample_window_s, 5.0);
    for _ in 0..8 {
        emulator.advance();
    }
    let seen = emulator.observe().unwrap();
    let use_of = |at: usize| seen.pods[0][at].cpu_millicores.unwrap();
    // 100 requests/s on three pods of 100 each: a third of 500m each.
    for at in 0..3 {
        assert_close("use", use_of(at), 500.0 / 3.0, 0.3);
    }
    assert!(seen.pods[0][2].ready_changed_s_ago < 120.0);
    emulator.scale(0, 1).unwrap();
    let seen = emulator.observe().unwrap();
    assert!(seen.pods[0].iter().filter(|p| !p.deleted).count() == 1);
}

#[test]
fn the_record_adds_up() {
    let scenario = pipeline(600.0);
    let record = finish(&scenario, 1);
    assert_eq!(record.windows.len(), 40);
    assert_eq!(record.bins.len(), 120);
    assert_eq!(record.seconds.len(), 600);
    assert_eq!(record.latency.count(), record.arrived);
    assert_close("pods", record.average_pods(), 10.0, 1e-9);
    assert_close("cores", record.cpu_core_s, 5.0 * 600.0, 1e-9);
    assert!(record.compliance() <= record.success());
    assert!(record.pending() > 0.0 && record.pending() < 1.0);
    let rates = record.windows.iter().map(|w| w.legit_rps);
    assert_close(
        "rate",
        rates.sum::<f64>() / 40.0,
        record.arrived as f64 / 600.0,
        1e-9,
    );
    assert_eq!(record.desired(1).collect::<Vec<_>>(), [4; 40]);
}

#[test]
fn an_episode_ends_once() {
    let mut emulator = Emulator::new(&pipeline(40.0), 1);
    assert!(emulator.advance() && emulator.advance());
    assert!(!emulator.advance());
    let record = emulator.record().clone();
    let seen = emulator.observe().unwrap();
    assert_eq!((seen.window, seen.time_s), (3, 40.0));
    assert!(!emulator.advance());
    emulator.scale(0, 9).unwrap();
    assert_eq!(emulator.observe().unwrap(), seen);
    assert_eq!(emulator.record(), &record);
}
