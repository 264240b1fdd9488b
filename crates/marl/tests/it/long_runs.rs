//! Runs that are stopped, killed, damaged, and go on.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use karma_cluster::{Silent, Watch, scenario::EarlyStop};
use karma_marl::{
    MarlError,
    train::{
        IterationMetrics, Plan, Run,
        mappo::{Mappo, Recurrent, Settings},
    },
};
use karma_nn::Mlp;

use crate::{
    Folder,
    toys::{Ill, Matrix, Queue, settings},
};

fn plan() -> Plan {
    Plan {
        iterations: 12,
        checkpoint_every: 3,
        stop: None,
        validation_steps: 40,
        fingerprint: "print".to_owned(),
        agents: vec!["alone".to_owned()],
    }
}

fn run(plan: Plan) -> Run<Queue> {
    run_of(plan, settings(12))
}

fn run_of(plan: Plan, settings: Settings) -> Run<Queue> {
    let mappo = Mappo::new(vec![Queue::new(30)], settings, 5);
    Run::new(mappo, vec![Queue::new(6)], plan)
}

/// Names of the checkpoints of the run in `folder`.
fn kept(folder: &Folder) -> Vec<String> {
    let checkpoints = fs::read_dir(folder.path().join("checkpoint")).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<String> = checkpoints
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Metrics and events of the run in `folder`.
fn told(folder: &Folder) -> [Vec<u8>; 2] {
    let events = "tensorboard/events.out.tfevents.0.karma";
    ["metrics.jsonl", events].map(|name| fs::read(folder.path().join(name)).unwrap())
}

fn train(run: &mut Run<Queue>, watch: &dyn Watch, dir: &Path) -> Result<Vec<Mlp>, MarlError> {
    run.train(watch, &mut |_| {}, dir)
}

/// Asks to stop after some looks.
struct Impatient(AtomicU32);

impl Watch for Impatient {
    fn progress(&self, _: &str, _: u64, _: u64, _: &str) {}
    fn stopped(&self) -> bool {
        self.0.fetch_sub(1, Ordering::Relaxed) == 0
    }
}

#[test]
fn a_stopped_run_goes_on_with_the_same_bytes() {
    // What networks remember is a part of where a run stands.
    for recurrent in [None, Some(Recurrent { sequence: 5 })] {
        let (whole, parts) = (Folder::new("whole"), Folder::new("parts"));
        let fresh = || {
            let settings = Settings {
                recurrent,
                ..settings(12)
            };
            run_of(plan(), settings)
        };
        let expected = train(&mut fresh(), &Silent, whole.path()).unwrap();
        for looks in [0, 4, 2, 1] {
            let watch = Impatient(AtomicU32::new(looks));
            let stopped = train(&mut fresh(), &watch, parts.path());
            assert!(matches!(stopped, Err(MarlError::Interrupted(_))));
        }
        let policy = train(&mut fresh(), &Silent, parts.path()).unwrap();
        assert_eq!(policy, expected);
        assert_eq!(told(&whole), told(&parts));
        let state = |folder: &Folder| {
            let path = folder.path().join("checkpoint/00000012/state.msgpack");
            fs::read(path).unwrap()
        };
        assert_eq!(state(&whole), state(&parts));
    }
}

#[test]
fn a_checkpoint_of_an_interruption_goes_when_the_next_is_due() {
    let folder = Folder::new("interrupted");
    // Every third is due. The last stop lies between the last two that are.
    for (looks, expected) in [
        (0, &["00000000"][..]),
        (7, &["00000003", "00000006", "00000007"]),
        (1, &["00000003", "00000006", "00000008"]),
        (3, &["00000006", "00000009", "00000011"]),
    ] {
        let watch = Impatient(AtomicU32::new(looks));
        train(&mut run(plan()), &watch, folder.path()).unwrap_err();
        assert_eq!(kept(&folder), expected);
    }
    train(&mut run(plan()), &Silent, folder.path()).unwrap();
    assert_eq!(kept(&folder), ["00000009", "00000012"]);
}

#[test]
fn what_a_killed_run_left_beside_its_checkpoints_goes_when_it_is_resumed() {
    let folder = Folder::new("half removed");
    train(&mut run(plan()), &Silent, folder.path()).unwrap();
    for name in ["00000006", "partial"] {
        let left = folder.path().join("checkpoint").join(name);
        fs::create_dir(&left).unwrap();
        fs::write(left.join("networks.safetensors"), "half").unwrap();
    }
    train(&mut run(plan()), &Silent, folder.path()).unwrap();
    assert_eq!(kept(&folder), ["00000009", "00000012"]);
}

#[test]
fn a_checkpoint_with_one_changed_bit_is_not_gone_on_from() {
    let (whole, flipped) = (
        Folder::new("no bit changed"),
        Folder::new("one bit changed"),
    );
    let expected = train(&mut run(plan()), &Silent, whole.path()).unwrap();
    for bit in [3, 4007, 9999] {
        let watch = Impatient(AtomicU32::new(8));
        train(&mut run(plan()), &watch, flipped.path()).unwrap_err();
        let state = flipped.path().join("checkpoint/00000008/state.msgpack");
        let mut bytes = fs::read(&state).unwrap();
        let bits = 8 * bytes.len();
        bytes[bit % bits / 8] ^= 1 << (bit % 8);
        fs::write(&state, bytes).unwrap();
        // The one before is whole.
        let policy = train(&mut run(plan()), &Silent, flipped.path()).unwrap();
        assert_eq!(policy, expected);
        assert_eq!(told(&whole), told(&flipped));
        fs::remove_dir_all(flipped.path()).unwrap();
        fs::create_dir_all(flipped.path()).unwrap();
    }
}

#[test]
fn a_killed_run_goes_on_from_its_newest_whole_checkpoint() {
    let (whole, killed) = (Folder::new("unharmed"), Folder::new("killed"));
    let expected = train(&mut run(plan()), &Silent, whole.path()).unwrap();
    // Killed after iteration 8, while writing a checkpoint, a line of metrics and an event.
    let watch = Impatient(AtomicU32::new(8));
    train(&mut run(plan()), &watch, killed.path()).unwrap_err();
    let checkpoint = killed.path().join("checkpoint");
    let metrics = killed.path().join("metrics.jsonl");
    fs::write(checkpoint.join("00000008/state.msgpack"), b"half").unwrap();
    fs::create_dir_all(checkpoint.join("partial")).unwrap();
    let text = fs::read_to_string(&metrics).unwrap();
    assert_eq!(text.lines().count(), 8);
    fs::write(&metrics, text + "{\"iterat").unwrap();
    let events = killed
        .path()
        .join("tensorboard/events.out.tfevents.0.karma");
    let bytes = fs::read(&events).unwrap();
    fs::write(&events, &bytes[..bytes.len() - 5]).unwrap();
    let mut heard = Vec::new();
    let policy = run(plan())
        .train(&Silent, &mut |m| heard.push(m.iteration), killed.path())
        .unwrap();
    assert_eq!(policy, expected);
    assert_eq!(heard, (0..12).collect::<Vec<u32>>());
    assert_eq!(told(&whole), told(&killed));
    let kept = fs::read_dir(&checkpoint).unwrap().count();
    assert_eq!(kept, 2);
}

#[test]
fn a_finished_run_gives_its_policy_again() {
    let folder = Folder::new("finished");
    let policy = train(&mut run(plan()), &Silent, folder.path()).unwrap();
    assert_eq!(
        train(&mut run(plan()), &Silent, folder.path()).unwrap(),
        policy
    );
}

#[test]
fn a_run_whose_numbers_explode_says_where_and_goes_on_from_its_last_good_checkpoint() {
    let run = |ill| {
        let mappo = Mappo::new(vec![Ill::at(Queue::new(30), ill)], settings(12), 5);
        Run::new(mappo, vec![Ill::at(Queue::new(6), u32::MAX)], plan())
    };
    let (whole, broken) = (Folder::new("sound"), Folder::new("exploded"));
    let expected = run(u32::MAX)
        .train(&Silent, &mut |_| {}, whole.path())
        .unwrap();
    // Step 4 of iteration 7, whose rollouts have 25 steps; checkpoints every third.
    let ill = 7 * 25 + 4;
    for _ in 0..2 {
        let mut heard = Vec::new();
        let fault = run(ill)
            .train(&Silent, &mut |m| heard.push(m.iteration), broken.path())
            .unwrap_err();
        assert_eq!(
            fault.to_string(),
            "training stopped at iteration 7, step 4, agent alone: reward is not finite"
        );
        assert_eq!(heard, (0..7).collect::<Vec<u32>>());
        let kept: Vec<_> = fs::read_dir(broken.path().join("checkpoint"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(kept.contains(&"00000006".into()), "{kept:?}");
        assert!(!kept.contains(&"00000007".into()), "{kept:?}");
    }
    // Where the cause is gone, the run ends as if it had never been.
    let policy = run(u32::MAX)
        .train(&Silent, &mut |_| {}, broken.path())
        .unwrap();
    assert_eq!(policy, expected);
    assert_eq!(told(&whole), told(&broken));
}

#[test]
fn checkpoints_of_something_else_are_refused() {
    let folder = Folder::new("else");
    train(&mut run(plan()), &Silent, folder.path()).unwrap();
    let other = Plan {
        fingerprint: "other".to_owned(),
        ..plan()
    };
    let fault = train(&mut run(other), &Silent, folder.path()).unwrap_err();
    assert!(matches!(fault, MarlError::Mismatch { .. }), "{fault}");
}

#[test]
fn networks_of_another_checkpoint_are_not_taken_for_those_of_this_one() {
    let (whole, mixed) = (Folder::new("own networks"), Folder::new("mixed networks"));
    let expected = train(&mut run(plan()), &Silent, whole.path()).unwrap();
    train(&mut run(plan()), &Silent, mixed.path()).unwrap();
    let networks = |at: &str| {
        let checkpoint = mixed.path().join("checkpoint").join(at);
        checkpoint.join("networks.safetensors")
    };
    fs::copy(networks("00000009"), networks("00000012")).unwrap();
    // The newest is damaged, so the one before it is gone on from.
    let policy = train(&mut run(plan()), &Silent, mixed.path()).unwrap();
    assert_eq!(policy, expected);
    fs::write(networks("00000009"), b"").unwrap();
    fs::write(networks("00000012"), b"").unwrap();
    let fault = train(&mut run(plan()), &Silent, mixed.path()).unwrap_err();
    let says = "is not the one that this checkpoint was saved with";
    assert!(fault.to_string().contains(says), "{fault}");
}

#[test]
fn metrics_of_another_run_are_not_taken_for_those_of_this_one() {
    let (mine, other) = (Folder::new("own metrics"), Folder::new("other metrics"));
    train(&mut run(plan()), &Silent, mine.path()).unwrap();
    let mappo = Mappo::new(vec![Queue::new(30)], settings(12), 6);
    let mut of_another_seed = Run::new(mappo, vec![Queue::new(6)], plan());
    train(&mut of_another_seed, &Silent, other.path()).unwrap();
    let metrics = mine.path().join("metrics.jsonl");
    let told = fs::read_to_string(&metrics).unwrap();
    let refused = |says: &[&str]| {
        let mut heard = 0;
        let resumed = run(plan()).train(&Silent, &mut |_| heard += 1, mine.path());
        let fault = resumed.unwrap_err();
        assert!(matches!(fault, MarlError::Broken { .. }), "{fault}");
        let fault = fault.to_string();
        for word in [&["metrics.jsonl", "checkpoint of iteration 12"], says].concat() {
            assert!(fault.contains(word), "{fault}");
        }
        assert_eq!(heard, 0, "nothing of it is told");
    };
    fs::copy(other.path().join("metrics.jsonl"), &metrics).unwrap();
    refused(&["are not those"]);
    let (shorter, _) = told.trim_end().rsplit_once('\n').unwrap();
    fs::write(&metrics, shorter).unwrap();
    refused(&["are not those"]);
    fs::write(&metrics, told.replacen("0.", "1.", 1)).unwrap();
    refused(&["are not those"]);
    fs::remove_file(&metrics).unwrap();
    refused(&["is missing"]);
    fs::write(&metrics, &told).unwrap();
    train(&mut run(plan()), &Silent, mine.path()).unwrap();
    assert_eq!(fs::read_to_string(&metrics).unwrap(), told);
}

#[test]
fn the_early_stop_needs_both_a_high_mean_and_a_small_deviation() {
    let count = |reward_above, deviation_below| {
        let folder = Folder::new(&format!("early-{reward_above}-{deviation_below}"));
        let stop = EarlyStop {
            reward_above,
            deviation_below,
            over: 4,
        };
        let plan = Plan {
            stop: Some(stop),
            iterations: 30,
            ..plan()
        };
        let mappo = Mappo::new(vec![Matrix::easy()], settings(30), 1);
        let mut heard: Vec<IterationMetrics> = Vec::new();
        Run::new(mappo, vec![Matrix::easy()], plan)
            .train(&Silent, &mut |m| heard.push(m.clone()), folder.path())
            .unwrap();
        heard
    };
    let heard = count(3.0, 0.3);
    assert!(heard.len() < 30, "{}", heard.len());
    let newest: Vec<f64> = heard.iter().rev().take(4).map(|m| m.reward).collect();
    assert!(newest.iter().sum::<f64>() / 4.0 > 3.0);
    assert!(heard.last().unwrap().validation.is_some());
    assert_eq!(count(5.0, 0.3).len(), 30);
    assert_eq!(count(3.0, 0.0).len(), 30);
}
