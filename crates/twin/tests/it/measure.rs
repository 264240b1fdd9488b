//! Measurements, run by hand: how long recording and fitting take, and what comes out.

use std::time::Instant;

use karma_cluster::{Scenario, Silent, scenario};
use karma_twin::{FitSettings, Games, Trace, Twin, record_traces};

fn shipped(name: &str) -> Scenario {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../scenarios")
        .join(name);
    scenario::load(&path).unwrap().scenario
}

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
        let mut best = f64::INFINITY;
        for round in 0..20 {
            let start = Instant::now();
            for step in 0..5 {
                let desired: Vec<u32> = games
                    .desired()
                    .iter()
                    .enumerate()
                    .map(|(at, d)| (d + ((at + step + round) % 3) as u32).clamp(2, 13) - 1)
                    .collect();
                games.step(&desired);
                games.reset_ended();
            }
            best = best.min(start.elapsed().as_secs_f64() / (5.0 * 1024.0));
        }
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
        karma_twin::fidelity::measure_accuracy(&twin(), &scenario, Vec::new(), seeds, 77);
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
