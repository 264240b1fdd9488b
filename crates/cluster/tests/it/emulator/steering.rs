//! What scaling does.

use super::*;

#[test]
fn one_more_replica_lowers_the_queue_of_each_service_under_its_own_overload() {
    for service in 0..4 {
        let mut scenario = pipeline(300.0);
        for other in &mut scenario.services {
            other.replicas.initial = Some(10);
            other.rate_per_replica = 100.0;
        }
        // Two pods for 200 requests/s are not enough; three are.
        let queued = |replicas| {
            let mut scenario = scenario.clone();
            scenario.services[service].replicas.initial = Some(replicas);
            let record = finish(&scenario, 3);
            let windows = record.windows.iter();
            windows
                .map(|w| f64::from(w.services[service].queued))
                .sum::<f64>()
        };
        let (few, more) = (queued(2), queued(3));
        assert!(
            more < 0.5 * few,
            "service {service}: {few} with 2, {more} with 3"
        );
    }
}

#[test]
fn an_action_is_never_overwritten() {
    let mut scenario = pipeline(300.0);
    for service in &mut scenario.services {
        service.failure.crashes_per_hour = 30.0;
    }
    let kill = Effect::PodKill {
        service: "b".to_owned(),
        count: 2,
        every: Some(Seconds(10.0)),
    };
    let scenario = with_fault(scenario, 120.0, kill);
    let mut emulator = Emulator::new(&scenario, 1);
    let mut desired = [3, 4, 2, 1];
    for window in 0.. {
        let service = window % 4;
        desired[service] = 1 + (window as u32 * 7) % 6;
        emulator.scale(service, desired[service]).unwrap();
        let goes_on = emulator.advance();
        let seen = emulator.observe().unwrap();
        for (at, desired) in desired.iter().enumerate() {
            assert_eq!(seen.services[at].replicas_desired, *desired as f32);
            let alive = seen.pods[at].iter().filter(|p| !p.deleted).count();
            assert_eq!(alive, *desired as usize, "window {window}, service {at}");
        }
        if !goes_on {
            break;
        }
    }
}

#[test]
fn a_synchronous_caller_holds_its_server_and_an_asynchronous_one_does_not() {
    // Two pods of one server each; the callee takes 100 ms, the caller 10 ms.
    let ready_for = |mode| {
        let mut front = service("a", 100.0, 1);
        front.calls = vec![call("b", mode)];
        let mut back = service("b", 10.0, 8);
        back.work = WorkDistribution::Deterministic;
        let mut scenario = scenario(vec![front, back], 30.0, 120.0);
        scenario.slo.timeout = Seconds(2.0);
        finish(&scenario, 1).success()
    };
    // Held for 110 ms a request, one server carries 9 of the 30 requests/s.
    assert!(ready_for(CallMode::Sync) < 0.4);
    assert!(ready_for(CallMode::Async) > 0.99);
}

#[test]
fn calls_are_made_one_after_another_and_with_their_probability() {
    let mut front = service("a", 1000.0, 1);
    front.calls = vec![
        Call {
            probability: 0.5,
            ..call("b", CallMode::Async)
        },
        call("c", CallMode::Async),
    ];
    let mut services = vec![front, service("b", 10.0, 12), service("c", 10.0, 12)];
    for service in &mut services {
        service.work = WorkDistribution::Deterministic;
        service.replicas.max = 12;
    }
    let mut scenario = scenario(services, 5.0, 600.0);
    scenario.slo.timeout = Seconds(10.0);
    let record = finish(&scenario, 1);
    // 1 ms at a, half of the time 100 ms at b, always 100 ms at c, hardly any queue.
    assert_close("latency", record.latency.mean_ms(), 151.0, 0.05);
    let arrivals = |service| {
        let rates = metrics_of(&scenario, 1, service);
        rates.iter().map(|m| f64::from(m.in_rate_rps)).sum::<f64>()
    };
    assert_close("half call b", arrivals(1) / arrivals(0), 0.5, 0.1);
}

#[test]
fn retries_hide_errors_of_a_callee() {
    let failing = |retries| {
        let mut front = service("a", 100.0, 2);
        front.calls = vec![Call {
            retries,
            ..call("b", CallMode::Async)
        }];
        let mut back = service("b", 200.0, 2);
        back.failure.error_ratio = 0.2;
        finish(&scenario(vec![front, back], 50.0, 300.0), 1).success()
    };
    assert_close("no retry", failing(0), 0.8, 0.02);
    assert_close("two retries", failing(2), 1.0 - 0.2_f64.powi(3), 0.01);
}

#[test]
fn a_request_given_up_is_dropped_when_its_turn_comes() {
    // Twice the capacity. Half could be served; half of these are late by their own work. Without
    // dropping, everything served would be too late.
    let mut pod = service("a", 50.0, 1);
    pod.queue = 10_000;
    let record = finish(&scenario(vec![pod], 100.0, 300.0), 1);
    assert!(record.success() > 0.2, "success {}", record.success());
    assert!(record.latency.percentile(0.99) >= 1900.0);
}

#[test]
fn degraded_requests_take_ten_times_their_work() {
    let mean_ms = |degraded_ratio| {
        let mut pod = service("a", 10.0, 12);
        pod.work = WorkDistribution::Deterministic;
        pod.failure.degraded_ratio = degraded_ratio;
        let mut scenario = scenario(vec![pod], 1.0, 2000.0);
        scenario.slo.timeout = Seconds(20.0);
        finish(&scenario, 1).latency.mean_ms()
    };
    assert_close("none", mean_ms(0.0), 100.0, 0.02);
    assert_close("a tenth", mean_ms(0.1), 190.0, 0.1);
}
