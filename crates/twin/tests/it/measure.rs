//! Measurements, run by hand: how long recording and fitting take, and what comes out.

use std::time::Instant;

use karma_cluster::{Scenario, Silent};
use karma_twin::{FitSettings, Games, Trace, Twin, record_traces};

use crate::support::shipped;

/// The recorded trace of a scenario, kept between measurements.
fn trace(scenario: &Scenario) -> Trace {
    let path = std::env::temp_dir().join(format!("karma-twin-{}.parquet", scenario.name));
    if let Ok(trace) = Trace::read_parquet(&path) {
        return trace;
    }
    let start = Instant::now();
    let trace = record_traces(scenario, scenario.twin.episodes, scenario.seed, &Silent).unwrap();
    eprintln!(
        "record {:.1} s, {} rows",
        start.elapsed().as_secs_f64(),
        trace.len()
    );
    trace.write_parquet(&path).unwrap();
    trace
}

#[test]
#[ignore = "a measurement"]
fn fidelity_of_pipeline() {
    let name = std::env::var("SCENARIO").unwrap_or("pipeline.yaml".to_owned());
    let scenario = shipped(&name);
    let trace = trace(&scenario);
    let start = Instant::now();
    let mut settings = FitSettings::of(&scenario);
    if let Ok(epochs) = std::env::var("EPOCHS") {
        settings.epochs = epochs.parse().unwrap();
    }
    let (twin, fidelity) = Twin::fit(&trace, &scenario, &settings, scenario.seed, &Silent).unwrap();
    eprintln!(
        "fit {:.1} s\n{}",
        start.elapsed().as_secs_f64(),
        fidelity.table()
    );
    eprintln!(
        "lookup {} of {}",
        fidelity.lookup_hits, fidelity.lookup_windows
    );
    let dir = std::env::temp_dir().join("karma-twin-model");
    std::fs::create_dir_all(&dir).unwrap();
    twin.save(&dir).unwrap();
}

/// Processor time of this process so far.
fn processor_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    fields[11].parse::<f64>().unwrap() / 100.0
}

fn twin() -> Twin {
    Twin::load(&std::env::temp_dir().join("karma-twin-model")).unwrap()
}

#[test]
#[ignore = "a measurement"]
fn speed_of_games() {
    let scenario = shipped("pipeline.yaml");
    let twin = twin();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    pool.install(|| {
        let start = Instant::now();
        let mut games = Games::new(&twin, &scenario, 1024, 1);
        eprintln!("prepare {:.2} s", start.elapsed().as_secs_f64());
        // Processor time, not time on the wall: other work may share the machine.
        let start = processor_s();
        let rounds = 100;
        for step in 0..rounds {
            let desired: Vec<u32> = games
                .desired()
                .iter()
                .enumerate()
                .map(|(at, d)| (d + ((at + step) % 3) as u32).clamp(2, 13) - 1)
                .collect();
            games.step(&desired);
            games.reset_ended();
        }
        let best = (processor_s() - start) / (rounds as f64 * 1024.0);
        eprintln!("{:.2} us per game-window", 1e6 * best);
    });
}

#[test]
#[ignore = "a measurement"]
fn accuracy_of_pipeline() {
    let scenario = shipped("pipeline.yaml");
    let start = Instant::now();
    let seeds = std::env::var("SEEDS").map_or(1, |s| s.parse().unwrap());
    let accuracy =
        karma_twin::fidelity::measure_accuracy(&twin(), &scenario, Vec::new(), seeds, 77, &Silent)
            .unwrap();
    eprintln!("{:.1} s", start.elapsed().as_secs_f64());
    for p in &accuracy.policies {
        eprintln!(
            "{:<24} cluster {:.4} twin {:.4} accuracy {:.3}",
            p.name, p.cluster, p.twin, p.accuracy
        );
    }
    eprintln!(
        "ceiling {:.4} mean {:.4} worst {:.4}",
        accuracy.ceiling, accuracy.mean, accuracy.worst
    );
}

#[test]
#[ignore = "a measurement"]
fn terms_of_the_reward() {
    use karma_cluster::{Cluster, emulator::Emulator, reward::RewardModel};
    let scenario = shipped("pipeline.yaml");
    let twin = twin();
    let pick = std::env::var("POLICY").unwrap_or("follows".to_owned());
    let policies = karma_twin::fidelity::untrained_policies(&scenario);
    let (_, make) = policies.iter().find(|p| p.0.starts_with(&pick)).unwrap();
    for (name, context) in scenario.in_every_context() {
        let reward = RewardModel::new(&context);
        for which in ["emulator", "twin"] {
            let mut emulator = Emulator::new(&context, 5);
            let mut dream = karma_twin::TwinCluster::new(&twin, &context, 5);
            let cluster: &mut dyn Cluster = if which == "twin" {
                &mut dream
            } else {
                &mut emulator
            };
            let mut controller = make(&context);
            let mut sum = [0.0_f64; 8];
            let mut least = [0.0_f64; 4];
            let mut n = 0.0;
            loop {
                let Some(seen) = (0..20).find_map(|_| cluster.observe().ok()) else {
                    break;
                };
                let mut desired: Vec<u32> = seen
                    .services
                    .iter()
                    .map(|s| s.replicas_desired as u32)
                    .collect();
                if seen.window > 0 {
                    let r = reward.of(&seen.services);
                    for (s, v) in sum.iter_mut().zip([
                        r.success,
                        r.healthy,
                        r.latency,
                        r.entries,
                        r.throughput,
                        r.pods,
                        r.resilience,
                        r.total,
                    ]) {
                        *s += f64::from(v);
                    }
                    for (l, s) in least.iter_mut().zip(&seen.services) {
                        let v = s.out_rate_rps / s.in_rate_rps;
                        *l += f64::from(v);
                    }
                    n += 1.0;
                }
                controller.decide(&seen, &mut desired);
                for (i, d) in desired.iter().enumerate() {
                    let _ = cluster.scale(i, *d);
                }
                if !cluster.advance() {
                    break;
                }
            }
            eprintln!(
                "{name:<12} {which:<9} {:.3?} ratios {:.3?}",
                sum.map(|s| s / n),
                least.map(|s| s / n)
            );
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn side_by_side() {
    use karma_cluster::{Cluster, emulator::Emulator};
    let scenario = shipped("pipeline.yaml");
    let twin = twin();
    let pick = std::env::var("POLICY").unwrap_or("follows".to_owned());
    let which: usize = std::env::var("CONTEXT").map_or(0, |s| s.parse().unwrap());
    let service: usize = std::env::var("SERVICE").map_or(0, |s| s.parse().unwrap());
    let policies = karma_twin::fidelity::untrained_policies(&scenario);
    let (_, make) = policies.iter().find(|p| p.0.starts_with(&pick)).unwrap();
    let (_, context) = &scenario.in_every_context()[which];
    let mut emulator = Emulator::new(context, 5);
    let mut dream = karma_twin::TwinCluster::new(&twin, context, 5);
    let mut controllers = [make(context), make(context)];
    loop {
        let clusters: [&mut dyn Cluster; 2] = [&mut emulator, &mut dream];
        let mut goes_on = true;
        for (cluster, controller) in clusters.into_iter().zip(&mut controllers) {
            let seen = (0..20).find_map(|_| cluster.observe().ok()).unwrap();
            let m = &seen.services[service];
            eprint!(
                "{:>4} d{:<2} r{:<2} in {:>6.1} out {:>6.1} q {:>6.1} p95 {:>6.0} err {:>5.1} cpu {:>6.0} |",
                seen.window,
                m.replicas_desired,
                m.replicas_ready,
                m.in_rate_rps,
                m.out_rate_rps,
                m.queued,
                m.latency_p95_ms,
                m.errors_ps,
                m.cpu_millicores
            );
            let mut desired: Vec<u32> = seen
                .services
                .iter()
                .map(|s| s.replicas_desired as u32)
                .collect();
            controller.decide(&seen, &mut desired);
            for (i, d) in desired.iter().enumerate() {
                let _ = cluster.scale(i, *d);
            }
            goes_on = cluster.advance();
        }
        eprintln!();
        if !goes_on {
            break;
        }
    }
}
