//! Training in the games of a real twin.

use std::{fs, path::Path};

use karma_cluster::{
    Scenario, Silent, Watch,
    emulator::Emulator,
    scenario::{self, Algorithm, RecurrentSettings, Sharing},
};
use karma_marl::{
    Guides, MarlError, Policy, Team, bundle, record,
    train::{
        IterationMetrics, Trainer, TwinEnv,
        env::{Outcome, VecEnv},
    },
};
use karma_moise::{Organization, RawOrganization};
use karma_twin::{FitSettings, Twin, record_traces};

use crate::{Folder, on_threads};

/// A scenario, its twin, and the guides of its team.
pub(crate) type Smoke = (Scenario, Twin, Guides);

/// The smoke scenario, a twin fitted in a hurry, and the default organization's guides.
pub(crate) fn smoke() -> Smoke {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/smoke.yaml");
    let loaded = scenario::load(&path).unwrap();
    let mut smoke = loaded.scenario;
    smoke.train.iterations = 6;
    let trace = record_traces(&smoke, 6, 1, &Silent).unwrap();
    let settings = FitSettings {
        epochs: 2,
        ..FitSettings::of(&smoke)
    };
    let (twin, _) = Twin::fit(&trace, &smoke, &settings, 1, &Silent).unwrap();
    let (path, text) = loaded.organization.unwrap();
    let raw: RawOrganization = karma_cluster::yaml::read(&text, &path).unwrap();
    let guides = Guides::new(&Organization::check(raw).unwrap(), &smoke).unwrap();
    (smoke, twin, guides)
}

fn train(
    (scenario, twin, guides): &Smoke,
    threads: usize,
    watch: &dyn Watch,
    dir: &Path,
) -> Result<Policy, MarlError> {
    on_threads(threads, || {
        let settings = scenario.train;
        Trainer::new(twin, scenario, guides, &settings, 1).run(watch, &mut |_| {}, dir)
    })
}

struct StopAtOnce;

impl Watch for StopAtOnce {
    fn progress(&self, _: &str, _: u64, _: u64, _: &str) {}
    fn stopped(&self) -> bool {
        true
    }
}

#[test]
fn training_gives_the_same_bytes_at_any_thread_count_and_after_a_stop() {
    let smoke = smoke();
    let (one, two) = (Folder::new("one-thread"), Folder::new("two-threads"));
    let policy = train(&smoke, 1, &Silent, one.path()).unwrap();
    let mut shorter = smoke.clone();
    shorter.0.train.iterations = 3;
    let refused = train(&shorter, 1, &Silent, one.path()).unwrap_err();
    assert!(matches!(refused, MarlError::Mismatch { .. }), "{refused}");
    let stopped = train(&smoke, 2, &StopAtOnce, two.path());
    assert!(matches!(stopped, Err(MarlError::Interrupted(_))));
    assert_eq!(train(&smoke, 2, &Silent, two.path()).unwrap(), policy);
    let metrics =
        |folder: &Folder| fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap();
    assert_eq!(metrics(&one), metrics(&two));
    assert_eq!(metrics(&one).lines().count(), 6);
}

/// Rewards of all kinds of the first allowed choices over 25 windows: past the end of every first
/// episode.
pub(crate) fn play(env: &mut TwinEnv) -> Vec<f32> {
    let (envs, agents) = (env.envs(), env.agents());
    let mut masks = vec![0; envs * agents * env.heads().heads];
    let (mut outcome, mut rewards) = (Outcome::new(envs, agents), Vec::new());
    for _ in 0..25 {
        env.masks(&mut masks);
        let choices = masks.iter().map(|mask| mask.trailing_zeros() as u8);
        env.step(&choices.collect::<Vec<u8>>(), &mut outcome);
        rewards.extend_from_slice(&outcome.rewards);
        rewards.extend_from_slice(&outcome.extras);
        env.reset_ended();
    }
    rewards
}

#[test]
fn games_go_on_from_a_snapshot_with_the_same_bits() {
    let (scenario, twin, guides) = smoke();
    let mut env = TwinEnv::parts(&twin, &scenario, &guides, 20, 3).remove(0);
    play(&mut env);
    let snapshot = env.snapshot();
    let first = play(&mut env);
    env.restore(&snapshot).unwrap();
    assert_eq!(play(&mut env), first);
    assert!(env.restore(&snapshot[..40]).is_err());
}

#[test]
fn every_algorithm_trains_a_policy_that_a_team_can_play() {
    let (mut scenario, twin, guides) = smoke();
    scenario.train.iterations = 2;
    let agents = scenario.team.agents.len();
    let mut trained = Vec::new();
    let remembers = Some(RecurrentSettings::default());
    for (algorithm, sharing, recurrent, actors) in [
        (Algorithm::Mappo, Sharing::All, None, 1),
        (Algorithm::Mappo, Sharing::Agent, None, agents),
        (Algorithm::Ippo, Sharing::All, None, 1),
        (Algorithm::Ippo, Sharing::Role, None, agents),
        (Algorithm::Ppo, Sharing::All, None, 1),
        (Algorithm::A2c, Sharing::All, None, 1),
        (Algorithm::Mappo, Sharing::All, remembers, 1),
        (Algorithm::Ippo, Sharing::Role, remembers, agents),
        (Algorithm::Ppo, Sharing::All, remembers, 1),
    ] {
        (scenario.train.algorithm, scenario.train.sharing) = (algorithm, sharing);
        scenario.train.recurrent = recurrent;
        let name = format!("{algorithm:?}-{sharing:?}-{}", recurrent.is_some());
        let folders = [1, 2].map(|threads| {
            let folder = Folder::new(&format!("{name}-{threads}"));
            let smoke = (scenario.clone(), twin.clone(), guides.clone());
            let policy = train(&smoke, threads, &Silent, folder.path()).unwrap();
            (folder, policy)
        });
        let [(folder, policy), (_, again)] = folders;
        assert_eq!(policy, again, "{name}");
        assert_eq!(policy.actors.len(), actors, "{name}");
        let metrics = fs::read_to_string(folder.path().join("metrics.jsonl")).unwrap();
        let last: IterationMetrics = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
        let once = algorithm == Algorithm::A2c;
        assert_eq!(
            last.clip_fraction == 0.0 && last.epochs == 1,
            once,
            "{name}"
        );
        bundle::save(&policy, &scenario, "", folder.path()).unwrap();
        let read = bundle::load(folder.path(), &scenario, "").unwrap();
        assert_eq!(read, policy, "{name}");
        let mut emulator = Emulator::new(&scenario, 1);
        let mut team = Team::new(read, guides.clone(), &scenario);
        let played = record(&mut emulator, &mut team, &scenario, "nominal", 1).unwrap();
        assert!(
            team.last.finite && !played.episodes[0].windows.is_empty(),
            "{name}"
        );
        trained.push(policy.actors);
    }
    for (at, actors) in trained.iter().enumerate() {
        assert!(!trained[..at].contains(actors), "{at} is like one before");
    }
}
