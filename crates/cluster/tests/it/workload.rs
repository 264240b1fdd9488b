//! Arithmetic of workloads and their training variants.

use std::sync::{Arc, LazyLock};

use karma_cluster::{
    Scenario,
    scenario::{self, Effect, Shape, TraceScale, TraceWorkload, Workload},
    units::Seconds,
    workload::{attack_rates, rates, trace, training_variant},
};
use proptest::prelude::*;

use crate::workspace;

static PIPELINE: LazyLock<Scenario> = LazyLock::new(|| {
    let loaded = scenario::load(&workspace("scenarios/pipeline.yaml"));
    loaded.expect("the pipeline is sound").scenario
});

fn pipeline() -> Scenario {
    PIPELINE.clone()
}

fn context(name: &str) -> Scenario {
    let contexts = pipeline().in_every_context();
    contexts
        .into_iter()
        .find(|(n, _)| n == name)
        .expect("the context is there")
        .1
}

fn with_shape(shape: Shape, noise: f64) -> Scenario {
    let mut scenario = pipeline();
    scenario.contexts.clear();
    scenario.workload = Workload {
        shape,
        noise,
        noise_memory: Seconds(60.0),
    };
    scenario
}

fn recorded(values: &[f64], start_s: f64, duration_s: f64) -> TraceWorkload {
    TraceWorkload {
        file: "memory".to_owned(),
        column: None,
        interval: Seconds(1.0),
        unit: scenario::TraceUnit::Rps,
        start: Seconds(start_s),
        duration: Some(Seconds(duration_s)),
        scale: TraceScale::Factor(1.0),
        rates: Arc::from(values),
    }
}

#[test]
fn points_are_linear_between_and_constant_outside() {
    let rates = rates(&context("bottleneck"), 1);
    let mut quiet = context("bottleneck");
    quiet.workload.noise = 0.0;
    let shape = karma_cluster::workload::rates(&quiet, 1);
    assert_eq!(rates.len(), 1800);
    assert_eq!(
        (shape[0], shape[300], shape[360], shape[1799]),
        (200.0, 200.0, 200.0 * 2.2, 200.0)
    );
    assert!((shape[330] - 320.0).abs() < 1e-9);
}

#[test]
fn noise_has_its_deviation_and_its_memory() {
    let mut scenario = with_shape(Shape::Constant { rate: 100.0 }, 0.1);
    scenario.duration = Seconds(100_000.0);
    let rates = rates(&scenario, 3);
    let x: Vec<f64> = rates.iter().map(|rate| rate / 100.0 - 1.0).collect();
    let mean = |f: &dyn Fn(usize) -> f64| (0..99_000).map(f).sum::<f64>() / 99_000.0;
    let variance = mean(&|i| x[i] * x[i]);
    let lagged = mean(&|i| x[i] * x[i + 60]);
    assert!((variance.sqrt() - 0.1).abs() < 0.01, "{}", variance.sqrt());
    assert!(
        (lagged / variance - (-1.0_f64).exp()).abs() < 0.08,
        "{}",
        lagged / variance
    );
}

#[test]
fn a_flood_multiplies_the_legitimate_rate_while_it_lasts() {
    let scenario = context("ddos");
    let legit = rates(&scenario, 1);
    let attack = attack_rates(&scenario, &legit);
    for second in 0..1800 {
        let on = (600..900).contains(&second);
        let expected = if on { 3.0 * legit[second] } else { 0.0 };
        assert!((attack[second] - expected).abs() < 1e-9);
    }
}

#[test]
fn a_yo_yo_is_on_for_its_share_of_each_period() {
    let mut scenario = context("ddos");
    scenario.faults[0].effect = Effect::YoYo {
        entry: None,
        factor: 3.0,
        period: Seconds(60.0),
        duty: 0.25,
    };
    let attack = attack_rates(&scenario, &vec![100.0; 1800]);
    assert_eq!(attack.iter().filter(|rate| **rate > 0.0).count(), 75);
    assert_eq!(
        (attack[600], attack[614], attack[615], attack[660]),
        (200.0, 200.0, 0.0, 200.0)
    );
}

#[test]
fn variants_keep_the_cluster_and_the_targets_and_move_everything_together() {
    for (name, scenario) in pipeline().in_every_context() {
        for seed in 0..50 {
            let variant = training_variant(&scenario, seed);
            assert_eq!(variant.services, scenario.services);
            assert_eq!(variant.nodes, scenario.nodes);
            let (Some(before), Some(after)) = (scenario.disturbance, variant.disturbance) else {
                panic!("{name} has a disturbance");
            };
            let shift = after.at.seconds() - before.at.seconds();
            for (before, after) in scenario.faults.iter().zip(&variant.faults) {
                assert!((after.at.seconds() - before.at.seconds() - shift).abs() < 1e-9);
                assert_eq!(
                    std::mem::discriminant(&before.effect),
                    std::mem::discriminant(&after.effect)
                );
                let end = after.at.seconds() + after.duration.seconds();
                assert!(after.at.seconds() >= 0.0 && end <= 1800.0, "{name} {seed}");
            }
        }
        let different = training_variant(&scenario, 1) != training_variant(&scenario, 2);
        assert!(different, "{name}");
        assert_eq!(
            training_variant(&scenario, 1),
            training_variant(&scenario, 1)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rates_are_finite_nonnegative_and_of_their_seed(
        rate in 0.0..500.0_f64,
        amplitude in 0.0..=1.0_f64,
        period in 1.0..4000.0_f64,
        noise in 0.0..2.0_f64,
        seed in any::<u64>(),
    ) {
        let shape = Shape::Sine { rate, amplitude, period: Seconds(period) };
        let scenario = with_shape(shape, noise);
        let first = rates(&scenario, seed);
        prop_assert_eq!(first.len(), 1800);
        prop_assert!(first.iter().all(|rate| rate.is_finite() && *rate >= 0.0));
        prop_assert_eq!(&first, &rates(&scenario, seed));
        let variant = training_variant(&scenario, seed);
        let of_variant = rates(&variant, seed);
        prop_assert!(of_variant.iter().all(|rate| rate.is_finite() && *rate >= 0.0));
        let attack = attack_rates(&context("mixed"), &first);
        prop_assert!(attack.iter().all(|rate| *rate >= 0.0));
    }

    #[test]
    fn training_never_plays_what_evaluation_plays(
        start in 0.0..4000.0_f64,
        length in 100.0..2000.0_f64,
        holes in prop::collection::vec(0_usize..5000, 0..200),
        seed in any::<u64>(),
    ) {
        // Every value is its own row, so that a rate tells where it came from.
        let mut values: Vec<f64> = (0..5000).map(|row| 1.0 + f64::from(row)).collect();
        for hole in &holes {
            values[*hole] = f64::NAN;
        }
        let trace = recorded(&values, start, length);
        let (first, last) = (start.round(), start.round() + length.round());
        let scenario = with_shape(Shape::Trace(trace.clone()), 0.0);
        let played = |row: f64| row - 1.0 >= first && row - 1.0 < last;
        let evaluated = rates(&scenario, seed);
        prop_assert!(evaluated.iter().all(|rate| played(*rate)));
        let training = trace::training_rows(&trace, length);
        prop_assert!(training.iter().all(|row| !played(1.0 + *row as f64)));
        let variant = training_variant(&scenario, seed);
        let Shape::Trace(slice) = &variant.workload.shape else {
            return Err(TestCaseError::fail("a variant of a trace is a trace"));
        };
        prop_assert_eq!(slice.rates.len(), training.len().min(1800));
        prop_assert!(slice.rates.iter().all(|rate| !played(*rate) && !rate.is_nan()));
        let of_variant = rates(&variant, seed);
        prop_assert!(of_variant.iter().all(|rate| rate.is_finite() && *rate >= 0.0));
    }
}
