//! Attackers that learn, in the games of a real twin.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use karma_cluster::{Silent, Watch, scenario::AdversarySettings};
use karma_marl::{
    MarlError, Policy,
    train::{
        Trainer, TwinEnv,
        adversary::{Arena, Arsenal, Attacker, Exploitability},
        env::VecEnv,
    },
};

use crate::{
    Folder, on_threads,
    twins::{Smoke, play, smoke},
};

/// Six iterations of the team, an attacker before the second and one before the fourth.
fn smoke_with_attackers() -> Smoke {
    let mut smoke = smoke();
    smoke.0.train.adversary = Some(AdversarySettings {
        attackers: 2,
        iterations: 3,
        ..AdversarySettings::default()
    });
    smoke
}

/// Trains, and gives the policy with everything that was told.
fn train(
    (scenario, twin, guides): &Smoke,
    threads: usize,
    watch: &dyn Watch,
    dir: &Path,
) -> Result<(Policy, [String; 2]), MarlError> {
    let policy = on_threads(threads, || {
        let settings = scenario.train;
        Trainer::new(twin, scenario, guides, &settings, 1).run(watch, &mut |_| {}, dir)
    })?;
    let read = |name| fs::read_to_string(dir.join(name)).unwrap();
    Ok((policy, ["metrics.jsonl", "exploitability.json"].map(read)))
}

/// Asks to stop at the look of this number.
struct StopAt(u32, AtomicU32);

impl Watch for StopAt {
    fn progress(&self, _: &str, _: u64, _: u64, _: &str) {}
    fn stopped(&self) -> bool {
        self.1.fetch_add(1, Ordering::Relaxed) == self.0
    }
}

#[test]
fn a_run_with_attackers_gives_the_same_bytes_at_any_thread_count_and_after_any_stop() {
    let smoke = smoke_with_attackers();
    let whole = Folder::new("attackers-whole");
    let expected = train(&smoke, 1, &Silent, whole.path()).unwrap();
    let told: Exploitability = serde_json::from_str(&expected.1[1]).unwrap();
    let joined: Vec<u32> = told.joined.iter().map(|met| met.iteration).collect();
    assert_eq!((joined, told.after.iteration), (vec![1, 3], 6));
    assert_eq!(told.league.len(), 2);
    let mut stops = 0;
    // A look before each of 6 iterations and of 3 attackers' 3.
    for look in 0..16 {
        let folder = Folder::new(&format!("attackers-stopped-{look}"));
        let stopped = train(&smoke, 2, &StopAt(look, AtomicU32::new(0)), folder.path());
        if let Err(fault) = stopped {
            assert!(matches!(fault, MarlError::Interrupted(_)), "{fault}");
            stops += 1;
        }
        assert_eq!(train(&smoke, 2, &Silent, folder.path()).unwrap(), expected);
    }
    assert_eq!(stops, 15);
}

#[test]
fn attacked_games_go_on_from_a_snapshot_with_the_same_bits() {
    let (scenario, twin, guides) = smoke();
    let arsenal = Arc::new(Arsenal::new(&scenario, &AdversarySettings::default()));
    let mut env = TwinEnv::parts(&twin, &scenario, &guides, 16, 3).remove(0);
    let plain = env.snapshot();
    env = env.against(arsenal, vec![Attacker::Random, Attacker::Nobody], 5);
    play(&mut env);
    let snapshot = env.snapshot();
    let first = play(&mut env);
    env.restore(&snapshot).unwrap();
    assert_eq!(play(&mut env), first);
    assert!(env.restore(&plain).is_err(), "games that nobody attacks");
}

/// What a best response takes from a team that does nothing but hold, beside somebody random.
#[test]
fn an_attacker_learns_to_harm() {
    let (scenario, twin, guides) = smoke();
    let settings = AdversarySettings {
        iterations: 30,
        ..AdversarySettings::default()
    };
    let trainer = Trainer::new(&twin, &scenario, &guides, &scenario.train, 1);
    let team = trainer.team();
    for seed in 0..3 {
        let arena = Arena::new(&twin, &scenario, &guides, &settings, seed);
        let learned = Attacker::Learned(Arc::new(arena.respond(&team, 0, &Silent).unwrap()));
        let value = |attacker| arena.value(&team, attacker).unwrap();
        let (nobody, random) = (value(&Attacker::Nobody), value(&Attacker::Random));
        let (idle_loss, loss) = (nobody - random, nobody - value(&learned));
        assert!(
            idle_loss > 0.0,
            "seed {seed}: {nobody} alone, {random} attacked"
        );
        assert!(
            loss > 1.1 * idle_loss,
            "seed {seed}: {loss} against {idle_loss}"
        );
    }
}
