//! `simple_spread` against golden steps of the public package (`benches/peers/golden.py`).

use karma_marl::train::{
    env::{
        Outcome, SimpleSpread, VecEnv,
        simple_spread::{AGENTS, STEPS, World, observation},
    },
    mappo::{CriticInput, Mappo, Settings},
};
use serde::Deserialize;

use crate::toys::settings;

#[derive(Deserialize)]
struct Golden {
    episodes: Vec<Episode>,
}

/// One row per step; agents one after another.
#[derive(Deserialize)]
struct Episode {
    agents: Vec<f32>,
    landmarks: Vec<f32>,
    first_observation: Vec<f32>,
    actions: Vec<[u8; AGENTS]>,
    observations: Vec<Vec<f32>>,
    rewards: Vec<[f32; AGENTS]>,
    done: Vec<bool>,
}

fn places(numbers: &[f32]) -> Vec<[f32; 2]> {
    numbers.as_chunks().0.to_vec()
}

/// Largest difference, relative beyond 1.
fn difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let pairs = ours.iter().zip(theirs);
    pairs
        .map(|(a, b)| (a - b).abs() / b.abs().max(1.0))
        .fold(0.0, f32::max)
}

#[test]
fn steps_equal_those_of_the_package() {
    let golden: Golden =
        serde_json::from_str(include_str!("../golden/simple_spread.json")).unwrap();
    let mut touches = 0;
    for episode in &golden.episodes {
        let mut world = World::new(places(&episode.agents), places(&episode.landmarks));
        let mut seen = vec![0.0; AGENTS * observation(AGENTS)];
        world.observe(&mut seen);
        assert!(difference(&seen, &episode.first_observation) < 1e-6);
        for (step, actions) in episode.actions.iter().enumerate() {
            world.step(actions);
            world.observe(&mut seen);
            let apart = difference(&seen, &episode.observations[step]);
            assert!(apart < 1e-5, "step {step}: {apart}");
            let mut collisions = [0.0; AGENTS];
            world.collisions(&mut collisions);
            touches += usize::from(collisions != [0.0; AGENTS]);
            let rewards = collisions.map(|own| own + world.coverage());
            assert!(difference(&rewards, &episode.rewards[step]) < 1e-5);
            assert_eq!(world.has_ended(), episode.done[step]);
        }
    }
    assert!(touches > 20, "agents met in {touches} steps only");
}

#[test]
fn parts_play_what_the_whole_plays_and_go_on_from_snapshots() {
    let play = |mut parts: Vec<SimpleSpread>, steps: usize| {
        let mut rewards = Vec::new();
        for step in 0..steps {
            for part in &mut parts {
                let mut outcome = Outcome::new(part.envs(), AGENTS);
                part.step(&vec![(step % 5) as u8; part.envs() * AGENTS], &mut outcome);
                rewards.extend(outcome.rewards);
                part.reset_ended();
            }
        }
        (rewards, parts)
    };
    let (whole, mut later) = play(SimpleSpread::parts(AGENTS, 10, 10, 3), 40);
    assert_eq!(play(SimpleSpread::parts(AGENTS, 10, 4, 3), 40).0, whole);
    let mut fresh = SimpleSpread::parts(AGENTS, 10, 10, 3);
    fresh[0].restore(&later[0].snapshot()).unwrap();
    assert_eq!(play(fresh, 30).0, play(later.clone(), 30).0);
    assert!(later[0].restore(&[0; 12]).is_err());
}

fn spread(iterations: u32) -> Settings {
    Settings {
        steps: 52,
        hidden: 64,
        gamma: 0.99,
        kl_stop: None,
        critic: CriticInput::State,
        ..settings(iterations)
    }
}

/// Mean return of an episode, all agents together, at first and at last.
fn ends(settings: Settings, seed: u64) -> (f64, f64) {
    let mut mappo = Mappo::new(
        SimpleSpread::parts(AGENTS, 32, 16, seed),
        settings.clone(),
        seed,
    );
    let mut returns = (0..settings.iterations).map(|_| {
        let metrics = mappo.iterate().unwrap();
        (metrics.reward + metrics.guide_reward) * f64::from(STEPS) * AGENTS as f64
    });
    let first = returns.next().unwrap();
    (first, returns.last().unwrap())
}

#[test]
fn every_way_to_see_and_to_share_learns_to_spread() {
    let ways = [
        ("critic per agent", CriticInput::State, vec![]),
        ("critic per team", CriticInput::Team, vec![]),
        ("independent", CriticInput::Sight, vec![]),
        ("nothing shared", CriticInput::State, vec![0, 1, 2]),
        ("two share", CriticInput::Sight, vec![1, 0, 1]),
    ];
    for (way, critic, sharing) in ways {
        let settings = Settings {
            critic,
            sharing,
            ..spread(40)
        };
        let (first, last) = ends(settings, 1);
        assert!(last > first + 8.0, "{way}: {first} to {last}");
    }
}
