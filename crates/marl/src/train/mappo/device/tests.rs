//! Training on candle's CPU device beside training by the fused kernels.

use std::{
    fs,
    path::{Path, PathBuf},
};

use karma_cluster::Silent;
use karma_nn::{Learner, Mlp};

use super::super::{
    CriticInput, Settings,
    memory::End,
    tests::{Once, settings},
    *,
};
use crate::train::{Device, DeviceError, Plan, Run, env::SimpleSpread};

fn flat(settings: Settings) -> Settings {
    Settings {
        recurrent: None,
        mask_loss: 0.1,
        ..settings
    }
}

/// The same training twice: by the kernels, and on candle's CPU device.
fn both<E: VecEnv + Clone + 'static>(envs: &[E], settings: &Settings) -> [Mappo<E>; 2] {
    let new = || Mappo::new(envs.to_vec(), settings.clone(), 3);
    let mut on_device = new();
    on_device.compute_on(Device::CandleCpu).unwrap();
    [new(), on_device]
}

fn assert_close(what: &str, a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (at, (a, b)) in a.iter().zip(b).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * (1.0 + b.abs()),
            "{what}, number {at}: {a} and {b}"
        );
    }
}

/// Weights, then moments, of a network.
fn numbers(net: &Net) -> [Vec<f32>; 3] {
    let layers = || 0..net.mlp.layers();
    let join = |(weights, biases): (Vec<f32>, Vec<f32>)| [weights, biases].concat();
    let moments =
        |of: usize| layers().flat_map(move |l| join(net.learner.moments(&net.mlp, l)[of].clone()));
    [
        layers()
            .flat_map(|layer| join(net.mlp.layer(layer)))
            .collect(),
        moments(0).collect(),
        moments(1).collect(),
    ]
}

fn assert_same_iterations<E: VecEnv + Clone + 'static>(envs: &[E], settings: &Settings) {
    let [mut fused, mut device] = both(envs, settings);
    for iteration in 0..3 {
        let mut metrics = [fused.play().unwrap(), device.play().unwrap()];
        for (ours, theirs) in fused.players.iter().zip(&device.players) {
            let (ours, theirs) = (&ours.memory, &theirs.memory);
            assert_eq!(ours.choices, theirs.choices, "iteration {iteration}");
            assert_eq!(ours.masks, theirs.masks);
            assert_eq!(ours.rewards, theirs.rewards);
            assert_eq!(ours.ends, theirs.ends);
            assert!(ours.ends.iter().any(|end| *end != End::No));
            assert_close(
                "log-probabilities",
                &theirs.log_probs,
                &ours.log_probs,
                1e-5,
            );
            assert_close("values", &theirs.values, &ours.values, 1e-4);
            assert_close("advantages", &theirs.advantages, &ours.advantages, 1e-3);
        }
        fused.learn(&mut metrics[0]).unwrap();
        device.learn(&mut metrics[1]).unwrap();
        let [ours, theirs] = metrics.map(|m| {
            [
                m.approx_kl,
                m.clip_fraction,
                m.entropy,
                m.value_loss,
                m.forbidden_mass.unwrap_or(0.0),
            ]
            .map(|value| value as f32)
        });
        assert_close("metrics", &theirs, &ours, 1e-4);
        let pairs = [
            (&fused.actors, &device.actors),
            (&fused.critics, &device.critics),
        ];
        for (ours, theirs) in pairs.into_iter().flat_map(|(a, b)| a.iter().zip(b)) {
            assert_eq!(ours.learner.steps(), theirs.learner.steps());
            let names = ["weights", "first moments", "second moments"];
            for (name, (ours, theirs)) in
                names.iter().zip(numbers(ours).iter().zip(&numbers(theirs)))
            {
                assert_close(name, theirs, ours, 1e-4);
            }
        }
        // Else rounding would grow from one iteration to the next.
        (device.actors, device.critics) = (fused.actors.clone(), fused.critics.clone());
        device.norm = fused.norm.clone();
    }
}

#[test]
fn an_iteration_chooses_the_same_and_learns_the_same_as_by_the_kernels() {
    for (critic, sharing) in [
        (CriticInput::Team, Vec::new()),
        (CriticInput::Team, vec![0, 1]),
        (CriticInput::Sight, Vec::new()),
        (CriticInput::State, vec![1, 0]),
    ] {
        let settings = flat(settings(critic, sharing));
        assert_same_iterations(&[Once::new(), Once::new()], &settings);
    }
}

#[test]
fn so_it_does_where_every_agent_has_a_sight_of_its_own() {
    for (critic, sharing) in [
        (CriticInput::Team, Vec::new()),
        (CriticInput::Sight, vec![0, 1, 0]),
    ] {
        let settings = Settings {
            steps: 30,
            ..flat(settings(critic, sharing))
        };
        // The second part is smaller.
        assert_same_iterations(&SimpleSpread::parts(3, 7, 4, 1), &settings);
    }
}

#[test]
fn an_update_moves_weights_by_more_than_what_is_tolerated() {
    let settings = flat(settings(CriticInput::Team, Vec::new()));
    let [_, mut device] = both(&[Once::new()], &settings);
    let before = numbers(&device.actors[0]);
    device.iterate().unwrap();
    let after = numbers(&device.actors[0]);
    let moved = before[0].iter().zip(&after[0]).map(|(a, b)| (a - b).abs());
    assert!(moved.fold(0.0, f32::max) > 1e-2);
}

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A run of so many iterations in a folder, to its end.
fn finished(iterations: u32, folder: &Path) -> Mappo<Once> {
    let settings = flat(settings(CriticInput::Team, Vec::new()));
    let [_, mappo] = both(&[Once::new()], &settings);
    let plan = Plan {
        iterations,
        checkpoint_every: 1,
        stop: None,
        validation_steps: 3,
        fingerprint: "the same".to_owned(),
        agents: Vec::new(),
    };
    let mut run = Run::new(mappo, vec![Once::new()], plan);
    run.train(&Silent, &mut |_| {}, folder).unwrap();
    run.mappo
}

#[test]
fn a_training_on_a_device_resumes_from_its_checkpoint() {
    let name = |of| format!("karma-marl-device-{of}-{}", std::process::id());
    let folder = |of| Folder(std::env::temp_dir().join(name(of)));
    let (straight, broken) = (folder("straight"), folder("broken"));
    let whole = finished(4, &straight.0);
    finished(2, &broken.0);
    let resumed = finished(4, &broken.0);
    assert_eq!(resumed.norm, whole.norm);
    assert_eq!(numbers(&resumed.actors[0]), numbers(&whole.actors[0]));
    assert_eq!(numbers(&resumed.critics[0]), numbers(&whole.critics[0]));
}

#[test]
fn what_a_device_cannot_do_is_refused() {
    let settings = settings(CriticInput::Team, Vec::new());
    let mut mappo = Mappo::new(vec![Once::new()], settings.clone(), 3);
    assert_eq!(
        mappo.compute_on(Device::CandleCpu).unwrap_err(),
        DeviceError::Recurrent {
            device: "candle-cpu"
        }
    );
    let mut mappo = Mappo::new(vec![Once::new()], flat(settings), 3);
    if !cfg!(feature = "cuda") {
        let absent = DeviceError::Absent {
            device: "cuda",
            feature: "cuda",
        };
        assert_eq!(mappo.compute_on(Device::Cuda).unwrap_err(), absent);
    }
}

#[test]
fn what_a_device_says_is_told_in_one_line() {
    let error = candle_core::Error::Msg("no memory\n   0: somewhere".to_owned());
    assert_eq!(super::said(&error), "no memory");
    let [_, mut mappo] = both(
        &[Once::new()],
        &flat(settings(CriticInput::Team, Vec::new())),
    );
    mappo.play().unwrap();
    // A network of more inputs than its rows have.
    let critic = &mut mappo.critics[0];
    let mut shape = critic.mlp.shape().clone();
    shape.inputs += 1;
    critic.mlp = Mlp::zeros(shape);
    critic.learner = Learner::new(&critic.mlp);
    let fault = mappo.play().unwrap_err();
    assert_eq!(fault.term, "what the device gave");
    let failure = mappo.device_failure().unwrap().to_string();
    assert!(
        failure.starts_with("device candle-cpu failed: "),
        "{failure}"
    );
    assert_eq!(failure.lines().count(), 1);
}

#[test]
fn numbers_that_explode_are_told_as_without_a_device() {
    let settings = flat(settings(CriticInput::Team, Vec::new()));
    for mut mappo in both(&[Once::new()], &settings) {
        let net = &mut mappo.actors[0].mlp;
        let (weights, mut biases) = net.layer(0);
        biases[0] = f32::NAN;
        net.set_layer(0, &weights, &biases);
        let fault = mappo.iterate().unwrap_err();
        assert_eq!(
            (fault.step, fault.agent, fault.term),
            (0, Some(0), "logits")
        );
        assert!(mappo.device_failure().is_none());
    }
}
