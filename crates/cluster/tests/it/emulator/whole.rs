//! Properties of whole episodes: nothing lost, nothing depends on chance outside the seed, no
//! memory taken by time.

use proptest::prelude::*;

use super::*;

fn arb_service(index: usize) -> impl Strategy<Value = Service> {
    let work = prop_oneof![
        Just(WorkDistribution::Deterministic),
        Just(WorkDistribution::Exponential),
        Just(WorkDistribution::Lognormal { cv: 1.5 }),
    ];
    let queue = (1_u32..5, 0_u32..30, any::<bool>(), work);
    let rates = (10.0_f64..100.0, 1_u32..4, 0.0_f64..0.2, 0.0_f64..200.0);
    let cpu = (500.0_f64..2000.0, prop::option::of(500.0_f64..4000.0));
    (queue, rates, cpu).prop_map(move |(queue, rates, cpu)| {
        let mut service = service(&format!("s{index}"), rates.0, rates.1);
        (service.concurrency, service.queue) = (queue.0, queue.1);
        if queue.2 {
            service.discipline = Discipline::Ps;
        }
        service.work = queue.3;
        service.failure.error_ratio = rates.2;
        service.failure.degraded_ratio = rates.2 / 10.0;
        service.failure.crashes_per_hour = rates.3;
        service.startup.median = Seconds(5.0);
        service.cpu_request = Millicores(cpu.0);
        service.cpu_limit = cpu.1.map(Millicores);
        service
    })
}

fn arb_effect() -> impl Strategy<Value = Effect> {
    let to = || "s1".to_owned();
    prop_oneof![
        (1.0_f64..6.0, 0.5_f64..3.0).prop_map(|(factor, payload)| Effect::DdosFlood {
            entry: None,
            factor,
            payload
        }),
        (1.0_f64..6.0).prop_map(|factor| Effect::YoYo {
            entry: None,
            factor,
            period: Seconds(10.0),
            duty: 0.5
        }),
        (1.0_f64..20.0).prop_map(|rate| Effect::SlowConnections {
            entry: None,
            rate,
            hold: Seconds(3.0)
        }),
        (1_u32..3, prop::option::of(1.0_f64..10.0)).prop_map(move |(count, every)| {
            Effect::PodKill {
                service: to(),
                count,
                every: every.map(Seconds),
            }
        }),
        (1_u32..3).prop_map(move |count| Effect::PodFailure {
            service: to(),
            count
        }),
        (0.0_f64..0.9).prop_map(move |load| Effect::StressCpu {
            service: to(),
            load
        }),
        (100.0_f64..900.0).prop_map(move |size| Effect::StressMemory {
            service: to(),
            size: Mebibytes(size)
        }),
        (0.0_f64..0.5, 0.0_f64..0.5).prop_map(move |(latency, jitter)| Effect::NetworkDelay {
            service: to(),
            latency: Seconds(latency),
            jitter: Seconds(jitter)
        }),
        (0.0_f64..0.5).prop_map(move |loss| Effect::NetworkLoss {
            service: to(),
            loss
        }),
        Just(Effect::MetricOutage { service: None }),
        (0.0_f64..0.5).prop_map(|probability| Effect::ApiErrors { probability }),
    ]
}

fn arb_scenario() -> impl Strategy<Value = Scenario> {
    let services = (arb_service(0), arb_service(1), arb_service(2));
    let calls = prop::collection::vec((any::<bool>(), 0_u32..3, 0.3_f64..1.0), 3);
    let faults = prop::collection::vec((0.0_f64..50.0, 0.0_f64..40.0, arb_effect()), 0..5);
    let load = (10.0_f64..200.0, any::<bool>(), 0.0_f64..0.2);
    (services, calls, faults, load).prop_map(|(services, calls, faults, load)| {
        let mut services = vec![services.0, services.1, services.2];
        for ((from, to), (sync, retries, probability)) in
            [(0, 1), (1, 2), (0, 2)].into_iter().zip(calls)
        {
            let mode = if sync {
                CallMode::Sync
            } else {
                CallMode::Async
            };
            let call = Call {
                retries,
                probability,
                ..call(&format!("s{to}"), mode)
            };
            services[from].calls.push(call);
        }
        let mut scenario = scenario(services, load.0, 60.0);
        scenario.nodes = vec![NodePool {
            count: 2,
            cpu: Millicores(6000.0),
            memory: Mebibytes(8192.0),
        }];
        if load.1 {
            scenario.workload.shape = Shape::Closed {
                clients: load.0 as u32,
                think_time: Seconds(load.2),
            };
        }
        for (at, duration, effect) in faults {
            let (at, duration) = (Seconds(at), Seconds(duration));
            scenario.faults.push(Fault {
                at,
                duration,
                effect,
            });
        }
        scenario
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_request_is_answered_failed_queued_or_in_service(
        scenario in arb_scenario(),
        seed in any::<u64>(),
        desired in prop::collection::vec((0_usize..3, 0_u32..6), 4),
    ) {
        let mut emulator = Emulator::new(&scenario, seed);
        for (service, replicas) in desired {
            emulator.advance();
            let now = emulator.census();
            prop_assert_eq!(
                now.arrived,
                now.answered + now.failed + now.queued + now.in_service,
                "{:?}", now
            );
            let _ = emulator.scale(service, replicas);
        }
        prop_assert!(!emulator.advance(), "four windows are the episode");
        let (census, record) = (emulator.census(), emulator.record());
        prop_assert!(record.answered_in_timeout <= record.arrived);
        prop_assert!(record.within_slo <= record.answered_in_timeout);
        prop_assert!(record.arrived + record.attack_arrived >= census.arrived);
        let seconds = |f: fn(&karma_cluster::emulator::SecondRow) -> u32| {
            record.seconds.iter().map(|s| u64::from(f(s))).sum::<u64>()
        };
        prop_assert_eq!(seconds(|s| s.arrived), record.arrived);
        prop_assert_eq!(seconds(|s| s.ok), record.answered_in_timeout);
        let bins = record.bins.iter();
        prop_assert_eq!(bins.map(|b| u64::from(b.arrived)).sum::<u64>(), record.arrived);
        prop_assert!(record.queued_request_s >= -1e-6);
        prop_assert!(record.queued_request_s <= record.in_flight_request_s + 1e-6);
    }
}

/// Everything that can be seen of an episode under some actions, as text.
fn seen(scenario: &Scenario, seed: u64) -> String {
    let mut emulator = Emulator::new(scenario, seed);
    let mut text = String::new();
    let mut window = 0;
    loop {
        let seen = emulator.observe();
        text += &serde_json::to_string(&seen.ok()).unwrap();
        window += 1;
        let _ = emulator.scale(window % 4, 1 + window as u32 % 5);
        if !emulator.advance() {
            return text + &serde_json::to_string(emulator.record()).unwrap();
        }
    }
}

fn eventful() -> Scenario {
    let mut scenario = pipeline(300.0);
    scenario.control.scrape_loss = 0.1;
    scenario.workload.noise = 0.1;
    for service in &mut scenario.services {
        service.failure.error_ratio = 0.01;
        service.failure.degraded_ratio = 0.01;
        service.failure.crashes_per_hour = 20.0;
    }
    let flood = Effect::DdosFlood {
        entry: None,
        factor: 3.0,
        payload: 1.5,
    };
    with_fault(scenario, 60.0, flood)
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let scenario = eventful();
    assert_eq!(seen(&scenario, 1), seen(&scenario, 1));
    assert_ne!(seen(&scenario, 1), seen(&scenario, 2));
}

#[test]
fn arrivals_do_not_depend_on_what_is_done_to_the_cluster() {
    let scenario = eventful();
    let arrivals = |replicas| {
        let mut emulator = Emulator::new(&scenario, 9);
        loop {
            for service in 0..4 {
                emulator.scale(service, replicas).unwrap();
            }
            if !emulator.advance() {
                let record = emulator.record();
                let seconds: Vec<u32> = record.seconds.iter().map(|s| s.arrived).collect();
                return (seconds, record.attack_arrived);
            }
        }
    };
    assert_eq!(arrivals(1), arrivals(6));
}

#[test]
fn memory_does_not_grow_with_the_length_of_the_episode() {
    let held = |factor| {
        let scenario = pipeline(300.0 * factor);
        let mut emulator = Emulator::new(&scenario, 1);
        let mut window = 0;
        while emulator.advance() {
            // Pods come and go.
            window += 1;
            emulator.scale(0, 3 + window % 3).unwrap();
        }
        emulator.records_held()
    };
    assert_eq!(held(1.0), held(4.0));
}

#[test]
fn load_has_memory() {
    let mut scenario = pipeline(1800.0);
    scenario.workload.noise = 0.2;
    scenario.workload.noise_memory = Seconds(120.0);
    for service in &mut scenario.services {
        service.replicas.initial = Some(8);
    }
    let rates: Vec<f64> = metrics_of(&scenario, 4, 0)
        .iter()
        .map(|m| f64::from(m.in_rate_rps))
        .collect();
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    let product = |lag: usize| {
        let pairs = rates.iter().zip(&rates[lag..]);
        pairs.map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>()
    };
    let correlation = product(1) / product(0);
    assert!(correlation > 0.6, "lag-1 autocorrelation {correlation}");
}
