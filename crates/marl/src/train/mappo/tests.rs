use karma_nn::{Heads, Scratch};

use super::{memory::End, *};
use crate::train::env::{Outcome, SnapshotError, VecEnv};

/// Two agents see a number of their environment in the first episode, and nothing afterwards.
/// Episodes have four steps and end by turns at a time limit and for good.
#[derive(Clone, Debug)]
pub(super) struct Once {
    numbers: Vec<f32>,
    step: u32,
}

const ENVS: usize = 6;
const LENGTH: u32 = 4;

impl Once {
    pub(super) fn new() -> Self {
        Self {
            numbers: (0..ENVS).map(|env| (env as f32 * 1.3).sin()).collect(),
            step: 0,
        }
    }

    fn number(&self, env: usize, step: u32) -> f32 {
        if step <= LENGTH {
            self.numbers[env] + step as f32 / 10.0
        } else {
            0.5
        }
    }
}

impl VecEnv for Once {
    fn envs(&self) -> usize {
        ENVS
    }
    fn agents(&self) -> usize {
        2
    }
    fn heads(&self) -> Heads {
        Heads {
            heads: 2,
            choices: 3,
        }
    }
    fn width(&self) -> usize {
        2
    }
    fn observe(&self, out: &mut [f32], _: &mut [f32]) {
        // Where an episode has ended and the next has not begun, the last state of the one is seen.
        for (env, out) in out.chunks_exact_mut(2).enumerate() {
            out.copy_from_slice(&[self.number(env, self.step), 1.0]);
        }
    }
    fn masks(&mut self, out: &mut [u8]) {
        for (slot, out) in out.iter_mut().enumerate() {
            *out = [0b111, 0b011, 0b110, 0b101][(slot + self.step as usize) % 4];
        }
    }
    fn step(&mut self, choices: &[u8], outcome: &mut Outcome) {
        self.step += 1;
        let ends = self.step.is_multiple_of(LENGTH);
        for (env, choices) in choices.chunks_exact(4).enumerate() {
            outcome.rewards[env] = f32::from(choices[0]);
            outcome.truncated[env] = ends && env % 2 == 0;
            outcome.terminated[env] = ends && env % 2 == 1;
        }
    }
    fn reset_ended(&mut self) {
        if self.step == LENGTH {
            self.step += 1;
        }
    }
    fn snapshot(&self) -> Vec<u8> {
        self.step.to_le_bytes().to_vec()
    }
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        let step = snapshot.try_into().map(u32::from_le_bytes);
        self.step = step.map_err(|_| SnapshotError("not four bytes".to_owned()))?;
        Ok(())
    }
}

pub(super) fn settings(critic: CriticInput, sharing: Vec<usize>) -> Settings {
    Settings {
        iterations: 10,
        steps: 12,
        hidden: 24,
        learning_rate: 3e-3,
        gamma: 0.9,
        gae_lambda: 0.95,
        clip: 0.2,
        entropy: 0.01,
        entropy_left: 0.1,
        kl_stop: None,
        raw_values: false,
        critic,
        sharing,
        recurrent: Some(Recurrent { sequence: 3 }),
        epochs: 2,
        minibatches: 3,
        mask_loss: 0.0,
        flip_advantage: false,
    }
}

/// Every way to see and to share.
fn ways() -> [Settings; 3] {
    [
        settings(CriticInput::Team, Vec::new()),
        settings(CriticInput::Sight, Vec::new()),
        settings(CriticInput::State, vec![0, 1]),
    ]
}

#[test]
fn nothing_is_remembered_beyond_the_end_of_an_episode() {
    for settings in ways() {
        let mut mappo = Mappo::new(vec![Once::new()], settings, 1);
        mappo.play().unwrap();
        let memory = &mappo.players[0].memory;
        // The first episode has four steps, the later ones see the same in all environments.
        let apart = |of: &dyn Fn(usize) -> Vec<f32>| (1..ENVS).any(|env| of(env) != of(0));
        let values = |step: usize| {
            move |env: usize| {
                let at = (step * ENVS + env) * 2;
                memory.values[at..at + 2].to_vec()
            }
        };
        for step in 0..=12 {
            assert_eq!(apart(&values(step)), step < 4, "value of step {step}");
        }
        for (of, nets) in [
            (&memory.actors, &mappo.actors),
            (&memory.critics, &mappo.critics),
        ] {
            for (index, net) in nets.iter().enumerate() {
                let rows = net.view.rows();
                let all = 4 * ENVS * rows;
                let start = |chunk: usize| {
                    move |env: usize| {
                        let first = (chunk * ENVS + env) * rows;
                        let starts = (first..first + rows).map(|row| of.start(index, row, all));
                        starts.collect::<Vec<_>>().concat()
                    }
                };
                // Chunks begin with steps 0, 3, 6 and 9, episodes with 0, 4, 7 and 11.
                let is_new = |chunk: usize| start(chunk)(0).iter().all(|v| *v == 0.0);
                assert_eq!([0, 1, 2, 3].map(is_new), [true, false, false, false]);
                let differ = [0, 1, 2, 3].map(|chunk| apart(&start(chunk)));
                assert_eq!(differ, [false, true, false, false]);
            }
        }
    }
}

#[test]
fn a_state_that_was_cut_off_is_valued_with_what_was_remembered_of_its_episode() {
    let settings = Settings {
        // Else values are brought to the scale of the returns once these are known.
        raw_values: true,
        ..settings(CriticInput::Team, Vec::new())
    };
    let mut mappo = Mappo::new(vec![Once::new()], settings, 1);
    mappo.play().unwrap();
    let (memory, critic) = (&mappo.players[0].memory, &mappo.critics[0].mlp);
    for env in (0..ENVS).step_by(2) {
        let mut state = vec![0.0; critic.shape().state()];
        let mut value = [0.0; 2];
        // Four steps and the state that they led to.
        for step in 0..=LENGTH {
            let seen = [Once::new().number(env, step), 1.0];
            critic.step(&seen, 1, &mut state, &mut Scratch::default(), &mut value);
        }
        let End::Truncated(last) = memory.ends[3 * ENVS + env] else {
            panic!("a time limit");
        };
        let at = (13 * ENVS + last as usize) * 2;
        assert_eq!(memory.values[at..at + 2], value, "environment {env}");
    }
}

#[test]
fn before_the_first_update_every_ratio_is_one_through_time() {
    for settings in ways() {
        let mut mappo = Mappo::new(vec![Once::new(); 3], settings, 1);
        for _ in 0..3 {
            assert_eq!(mappo.probe().unwrap(), (0.0, 0.0));
            mappo.iterate().unwrap();
        }
    }
}

#[test]
fn an_update_that_forgot_where_chunks_began_would_be_noticed() {
    let mut mappo = Mappo::new(vec![Once::new()], ways()[0].clone(), 1);
    mappo.iterate().unwrap();
    mappo.play().unwrap();
    let ratios = |mappo: &mut Mappo<Once>| mappo.ratios().largest;
    assert_eq!(ratios(&mut mappo), 0.0);
    let memory = &mut mappo.players[0].memory;
    // Whoever does not know of the ends, or of the states, gets other probabilities.
    let ends = std::mem::replace(&mut memory.ends, vec![End::No; 12 * ENVS]);
    assert!(ratios(&mut mappo) > 0.0);
    let memory = &mut mappo.players[0].memory;
    memory.ends = ends;
    let nothing = States::new(&mappo.actors, ENVS);
    memory.actors.now = nothing;
    memory.actors.begin(&mappo.actors, ENVS);
    (0..4).for_each(|_| memory.actors.mark(0));
    assert!(ratios(&mut mappo) > 0.0);
}
