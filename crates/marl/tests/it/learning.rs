//! MAPPO learns what can be learned, and only then.

use karma_marl::train::{
    IterationMetrics,
    dqn::{self, Dqn},
    env::{Joint, VecEnv},
    mappo::{Mappo, Recurrent, Settings},
    play_greedily,
};
use karma_nn::Mlp;

use crate::{
    on_threads,
    toys::{Ill, Matrix, Queue, Recall, settings},
};

/// Trains and gives the greedy policy's mean reward and the metrics.
fn trained<E: VecEnv + Clone>(
    env: &E,
    settings: Settings,
    seed: u64,
) -> (f64, Vec<IterationMetrics>, Mappo<E>) {
    let mut mappo = Mappo::new(vec![env.clone()], settings.clone(), seed);
    let metrics = (0..settings.iterations)
        .map(|_| mappo.iterate().unwrap())
        .collect();
    let reward = play_greedily(&mut [env.clone()], &mappo.actors, 300).unwrap();
    (reward, metrics, mappo)
}

fn networks<E: VecEnv>(mappo: &Mappo<E>) -> Vec<Mlp> {
    let nets = mappo.actors.iter().chain(&mappo.critics);
    nets.map(|net| net.mlp.clone()).collect()
}

#[test]
fn a_matrix_game_is_solved() {
    for seed in 0..3 {
        let (reward, metrics, _) = trained(&Matrix::easy(), settings(30), seed);
        assert!(reward > 3.99, "seed {seed}: {reward}");
        assert!(metrics.last().unwrap().reward > 3.5);
        assert!(metrics.iter().all(|m| m.mask_violation_rate == 0.0));
    }
}

#[test]
fn the_climbing_game_reaches_its_safe_plateau_in_nine_of_ten_seeds() {
    let settings = Settings {
        entropy: 0.3,
        ..settings(80)
    };
    let good = (0..10)
        .filter(|seed| trained(&Matrix::climbing(), settings.clone(), *seed).0 >= 6.8)
        .count();
    assert!(good >= 9, "{good} of 10 seeds");
}

#[test]
fn scaling_a_queue_beats_the_best_constant() {
    let settings = Settings {
        steps: 30,
        ..settings(60)
    };
    let (reward, _, _) = trained(&Queue::new(64), settings, 1);
    let constant = f64::from(Queue::best_constant());
    assert!(reward > constant + 0.08, "{reward} against {constant}");
}

#[test]
fn with_the_advantage_flipped_nothing_is_learned() {
    let flipped = Settings {
        flip_advantage: true,
        ..settings(30)
    };
    let (reward, _, _) = trained(&Matrix::easy(), flipped, 1);
    assert!(reward < 1.5, "{reward}");
}

#[test]
fn what_masks_forbid_is_learned_where_it_is_taught() {
    let taught = Settings {
        mask_loss: 0.1,
        ..settings(60)
    };
    let mut env = Matrix::easy();
    env.mask = 0b011;
    let (reward, metrics, _) = trained(&env, taught, 1);
    assert!((reward - 2.0).abs() < 0.01, "{reward}");
    let forbidden = |iteration: usize| metrics[iteration].forbidden_mass.unwrap();
    let (first, last) = (forbidden(0), forbidden(59));
    assert!(first > 0.2 && last < 0.01, "{first} to {last}");
}

#[test]
fn masks_hold_in_rollout_and_update() {
    let mut env = Matrix::easy();
    env.mask = 0b011;
    let mut mappo = Mappo::new(vec![env.clone()], settings(60), 1);
    let metrics: Vec<_> = (0..30).map(|_| mappo.iterate().unwrap()).collect();
    let reward = play_greedily(&mut [env], &mappo.actors, 10).unwrap();
    assert!((reward - 2.0).abs() < 0.01, "{reward}");
    assert!(metrics.iter().all(|m| m.mask_violation_rate == 0.0));
    // The logits of the forbidden choice only ever moved through the other weights: the bias of
    // its output got exactly no gradient.
    let (_, biases) = mappo.actors[0].mlp.layer(2);
    assert_eq!(biases[2], 0.0);
    assert!(biases[0] != 0.0);
    mappo.envs_mut().for_each(|env| env.mask = 0b111);
    mappo.iterate().unwrap();
    assert!(mappo.actors[0].mlp.layer(2).1[2] != 0.0);
}

#[test]
fn before_the_first_update_every_ratio_is_one() {
    let mut mappo = Mappo::new(vec![Queue::new(40)], settings(10), 3);
    assert_eq!(mappo.probe().unwrap(), (0.0, 0.0));
    mappo.iterate().unwrap();
    assert_eq!(mappo.probe().unwrap(), (0.0, 0.0));
}

#[test]
fn one_and_many_threads_give_equal_bits() {
    let run = |threads| {
        on_threads(threads, || {
            let (reward, metrics, mappo) = trained(&Queue::new(100), settings(5), 9);
            (reward, metrics, networks(&mappo))
        })
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(5));
}

#[test]
fn a_reward_that_is_not_a_number_is_named() {
    let mut mappo = Mappo::new(vec![Ill::at(Matrix::easy(), 2)], settings(5), 1);
    let fault = mappo.iterate().unwrap_err();
    assert_eq!(
        (fault.step, fault.agent, fault.term),
        (2, Some(1), "reward")
    );
}

#[test]
fn a_team_seen_as_one_agent_learns_a_matrix_game() {
    let env = Joint::new(Matrix::easy());
    assert_eq!((env.agents(), env.heads().heads), (1, 2));
    let (reward, ..) = trained(&env, settings(30), 1);
    assert!(reward > 3.99, "{reward}");
}

#[test]
fn one_pass_without_clips_is_advantage_actor_critic() {
    // A2C is PPO with one epoch of one minibatch (Huang et al., 2022): no ratio ever leaves one.
    let a2c = Settings {
        epochs: 1,
        minibatches: 1,
        clip: f64::INFINITY,
        learning_rate: 1e-2,
        ..settings(120)
    };
    let (reward, metrics, _) = trained(&Matrix::easy(), a2c, 1);
    assert!(reward > 3.99, "{reward}");
    assert!(metrics.iter().all(|m| m.clip_fraction == 0.0));
}

#[test]
fn how_environments_are_dealt_to_parts_does_not_matter() {
    let run = |sizes: &[usize]| {
        let mut all = Queue::new(24).state.into_iter();
        let parts = sizes.iter().map(|size| Queue {
            envs: *size,
            state: all.by_ref().take(*size).collect(),
        });
        let mut mappo = Mappo::new(parts.collect(), settings(3), 4);
        for _ in 0..3 {
            mappo.iterate().unwrap();
        }
        networks(&mappo)
    };
    let whole = run(&[24]);
    assert_eq!(whole, run(&[10, 10, 4]));
    assert_eq!(whole, run(&[8, 8, 8]));
}

/// Settings of Q-learning that learn toys in seconds.
fn q_settings(iterations: u32) -> dqn::Settings {
    dqn::Settings {
        iterations,
        steps: 5,
        hidden: 32,
        learning_rate: 3e-3,
        gamma: 0.9,
        n_step: 3,
        capacity: 400,
        batch: 128,
        updates: 16,
        target_every: 100,
        explore_first: 1.0,
        explore_last: 0.05,
        sharing: Vec::new(),
    }
}

#[test]
fn q_learning_solves_a_matrix_game_and_keeps_to_masks() {
    for (mask, best) in [(0b111, 4.0), (0b011, 2.0)] {
        let mut env = Matrix::easy();
        env.mask = mask;
        let mut dqn = Dqn::new(vec![env.clone()], q_settings(80), 1);
        for _ in 0..80 {
            dqn.iterate().unwrap();
        }
        let reward = play_greedily(&mut [env], &dqn.nets, 20).unwrap();
        assert!((reward - best).abs() < 0.01, "{mask:b}: {reward}");
    }
}

#[test]
fn q_learning_beats_the_best_constant_on_a_queue_at_any_thread_count() {
    let run = |threads| {
        on_threads(threads, || {
            let mut dqn = Dqn::new(vec![Queue::new(16), Queue::new(16)], q_settings(200), 2);
            for _ in 0..200 {
                dqn.iterate().unwrap();
            }
            let reward = play_greedily(&mut [Queue::new(64)], &dqn.nets, 300).unwrap();
            (reward, dqn.nets[0].mlp.clone())
        })
    };
    let (one, two) = (run(1), run(2));
    let constant = f64::from(Queue::best_constant());
    assert!(one.0 > constant + 0.05, "{} against {constant}", one.0);
    assert_eq!(one, two);
}

/// Settings that learn to recall: chunks are longer than episodes are, and cut some of them.
fn recalling(iterations: u32) -> Settings {
    Settings {
        steps: 20,
        recurrent: Some(Recurrent { sequence: 10 }),
        ..settings(iterations)
    }
}

#[test]
fn a_cue_is_recalled_by_who_remembers_and_by_nobody_else() {
    let best = 1.0 / Recall::LENGTH as f64;
    for seed in 0..4 {
        let (reward, metrics, _) = trained(&Recall::new(64), recalling(60), seed);
        assert!(reward > 0.999 * best, "seed {seed}: {reward} of {best}");
        assert!(metrics.iter().all(|m| m.mask_violation_rate == 0.0));
        let forgetful = Settings {
            recurrent: None,
            ..recalling(60)
        };
        let (reward, ..) = trained(&Recall::new(64), forgetful, seed);
        assert!(reward < 0.45 * best, "seed {seed}: {reward} of {best}");
    }
}

#[test]
fn networks_that_remember_have_equal_bits_at_any_thread_count_and_in_any_parts() {
    let run = |threads: usize, parts: &[usize]| {
        on_threads(threads, || {
            let mut all = Queue::new(24).state.into_iter();
            let parts = parts.iter().map(|size| Queue {
                envs: *size,
                state: all.by_ref().take(*size).collect(),
            });
            let mut mappo = Mappo::new(parts.collect(), recalling(3), 4);
            for _ in 0..3 {
                mappo.iterate().unwrap();
            }
            let reward = play_greedily(&mut [Queue::new(8)], &mappo.actors, 70).unwrap();
            (reward, networks(&mappo))
        })
    };
    let one = run(1, &[24]);
    assert_eq!(one, run(2, &[10, 10, 4]));
    assert_eq!(one, run(5, &[8, 8, 8]));
}
