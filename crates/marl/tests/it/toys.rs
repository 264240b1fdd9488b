//! Small worlds with known answers.

use karma_cluster::seed::derive;
use karma_marl::train::{
    env::{Outcome, SnapshotError, VecEnv},
    mappo::{CriticInput, Settings},
};
use karma_nn::Heads;
use rand::Rng;

/// Two agents pick a row and a column of a payoff table, over and over.
#[derive(Clone)]
pub(crate) struct Matrix {
    pub(crate) envs: usize,
    pub(crate) payoff: [[f32; 3]; 3],
    /// Choices allowed to both.
    pub(crate) mask: u8,
    pub(crate) clock: Vec<u32>,
}

impl Matrix {
    pub(crate) fn new(payoff: [[f32; 3]; 3]) -> Self {
        Self {
            envs: 64,
            payoff,
            mask: 0b111,
            clock: (0..64).map(|e| e % 25).collect(),
        }
    }

    /// The climbing game (Claus and Boutilier, 1998): 11 is surrounded by penalties.
    pub(crate) fn climbing() -> Self {
        Self::new([[11.0, -30.0, 0.0], [-30.0, 7.0, 6.0], [0.0, 0.0, 5.0]])
    }

    /// A game whose best cell is also safe.
    pub(crate) fn easy() -> Self {
        Self::new([[1.0, 0.0, 0.0], [0.0, 2.0, 1.0], [0.0, 1.0, 4.0]])
    }
}

impl VecEnv for Matrix {
    fn envs(&self) -> usize {
        self.envs
    }
    fn agents(&self) -> usize {
        2
    }
    fn heads(&self) -> Heads {
        Heads {
            heads: 1,
            choices: 3,
        }
    }
    fn width(&self) -> usize {
        1
    }
    fn observe(&self, out: &mut [f32], _: &mut [f32]) {
        out.fill(1.0);
    }
    fn masks(&mut self, out: &mut [u8]) {
        out.fill(self.mask);
    }
    fn step(&mut self, choices: &[u8], outcome: &mut Outcome) {
        for (env, pair) in choices.chunks_exact(2).enumerate() {
            outcome.rewards[env] = self.payoff[usize::from(pair[0])][usize::from(pair[1])];
            self.clock[env] += 1;
            outcome.truncated[env] = self.clock[env] == 25;
        }
    }
    fn reset_ended(&mut self) {
        self.clock.iter_mut().for_each(|c| *c %= 25);
    }
    fn snapshot(&self) -> Vec<u8> {
        self.clock.iter().map(|c| *c as u8).collect()
    }
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        self.clock = snapshot.iter().map(|c| u32::from(*c)).collect();
        Ok(())
    }
}

/// One service under a wave of load; capacity arrives two steps after it was asked for. Three
/// choices: one replica less, none, one more.
#[derive(Clone)]
pub(crate) struct Queue {
    pub(crate) envs: usize,
    pub(crate) state: Vec<QueueState>,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct QueueState {
    pub(crate) time: u32,
    pub(crate) desired: u32,
    coming: [u32; 2],
    backlog: f32,
}

impl Queue {
    pub(crate) const LENGTH: u32 = 60;

    pub(crate) fn new(envs: usize) -> Self {
        let start = |e: usize| QueueState {
            time: (e as u32 * 7) % Self::LENGTH,
            desired: 3,
            coming: [3, 3],
            backlog: 0.0,
        };
        Self {
            envs,
            state: (0..envs).map(start).collect(),
        }
    }

    fn load(time: u32) -> f32 {
        3.5 + 2.5 * (time as f32 * std::f32::consts::TAU / 30.0).sin()
    }

    /// Moves one environment and gives its reward.
    fn advance(state: &mut QueueState, change: i32) -> f32 {
        state.desired = state.desired.saturating_add_signed(change).clamp(1, 8);
        let ready = state.coming[0];
        state.coming = [state.coming[1], state.desired];
        let left = state.backlog + Self::load(state.time) - ready as f32;
        state.backlog = left.clamp(0.0, 10.0);
        state.time += 1;
        // Backlog costs most, idle replicas cost something.
        1.0 - 0.3 * state.backlog - 0.08 * ready as f32
    }

    /// Mean reward of the best constant number of replicas.
    pub(crate) fn best_constant() -> f32 {
        (1..=8)
            .map(|replicas| {
                let mut state = QueueState {
                    desired: replicas,
                    coming: [replicas; 2],
                    ..QueueState::default()
                };
                let steps = Self::LENGTH * 4;
                let sum: f32 = (0..steps).map(|_| Self::advance(&mut state, 0)).sum();
                sum / steps as f32
            })
            .fold(f32::NEG_INFINITY, f32::max)
    }
}

impl VecEnv for Queue {
    fn envs(&self) -> usize {
        self.envs
    }
    fn agents(&self) -> usize {
        1
    }
    fn heads(&self) -> Heads {
        Heads {
            heads: 1,
            choices: 3,
        }
    }
    fn width(&self) -> usize {
        6
    }
    fn observe(&self, out: &mut [f32], _: &mut [f32]) {
        for (state, out) in self.state.iter().zip(out.chunks_exact_mut(6)) {
            let before = Self::load(state.time.saturating_sub(1));
            out.copy_from_slice(&[
                Self::load(state.time) / 6.0,
                Self::load(state.time) - before,
                state.desired as f32 / 8.0,
                state.coming[0] as f32 / 8.0,
                state.coming[1] as f32 / 8.0,
                state.backlog / 10.0,
            ]);
        }
    }
    fn masks(&mut self, out: &mut [u8]) {
        out.fill(0b111);
    }
    fn step(&mut self, choices: &[u8], outcome: &mut Outcome) {
        for (env, choice) in choices.iter().enumerate() {
            let state = &mut self.state[env];
            outcome.rewards[env] = Self::advance(state, i32::from(*choice) - 1);
            outcome.truncated[env] = state.time >= Self::LENGTH;
        }
    }
    fn reset_ended(&mut self) {
        for state in self.state.iter_mut().filter(|s| s.time >= Self::LENGTH) {
            *state = QueueState {
                desired: 3,
                coming: [3, 3],
                ..QueueState::default()
            };
        }
    }
    fn snapshot(&self) -> Vec<u8> {
        let words = |s: &QueueState| {
            let [soon, later] = s.coming;
            [s.time, s.desired, soon, later, s.backlog.to_bits()]
        };
        let words = self.state.iter().flat_map(words);
        words.flat_map(u32::to_le_bytes).collect()
    }
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        let words: Vec<u32> = snapshot
            .as_chunks()
            .0
            .iter()
            .map(|b| u32::from_le_bytes(*b))
            .collect();
        if words.len() != self.state.len() * 5 {
            return Err(SnapshotError("another number of queues".to_owned()));
        }
        for (state, words) in self.state.iter_mut().zip(words.as_chunks::<5>().0) {
            *state = QueueState {
                time: words[0],
                desired: words[1],
                coming: [words[2], words[3]],
                backlog: f32::from_bits(words[4]),
            };
        }
        Ok(())
    }
}

/// A world whose last agent is paid no number in one step of its life.
#[derive(Clone)]
pub(crate) struct Ill<E> {
    world: E,
    at: u32,
    step: u32,
}

impl<E> Ill<E> {
    pub(crate) fn at(world: E, step: u32) -> Self {
        Self {
            world,
            at: step,
            step: 0,
        }
    }
}

impl<E: VecEnv> VecEnv for Ill<E> {
    fn envs(&self) -> usize {
        self.world.envs()
    }
    fn agents(&self) -> usize {
        self.world.agents()
    }
    fn heads(&self) -> Heads {
        self.world.heads()
    }
    fn width(&self) -> usize {
        self.world.width()
    }
    fn observe(&self, states: &mut [f32], own: &mut [f32]) {
        self.world.observe(states, own);
    }
    fn masks(&mut self, out: &mut [u8]) {
        self.world.masks(out);
    }
    fn step(&mut self, choices: &[u8], outcome: &mut Outcome) {
        self.world.step(choices, outcome);
        if self.at == self.step {
            outcome.extras[self.agents() - 1] = f32::NAN;
        }
        self.step += 1;
    }
    fn reset_ended(&mut self) {
        self.world.reset_ended();
    }
    fn snapshot(&self) -> Vec<u8> {
        [&self.step.to_le_bytes()[..], &self.world.snapshot()].concat()
    }
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        let (step, world) = snapshot
            .split_first_chunk()
            .ok_or_else(|| SnapshotError("cut off".to_owned()))?;
        self.step = u32::from_le_bytes(*step);
        self.world.restore(world)
    }
}

/// One of three cues is shown in the first step of an episode and asked for in its last, between which
/// nothing is seen: the answer is worth one, all else nothing. Who remembers gets it always, who does
/// not in one of three episodes.
#[derive(Clone)]
pub(crate) struct Recall {
    pub(crate) envs: usize,
    /// Per environment, episodes before and steps in this one.
    clock: Vec<[u64; 2]>,
}

impl Recall {
    pub(crate) const LENGTH: u64 = 6;

    pub(crate) fn new(envs: usize) -> Self {
        Self {
            envs,
            clock: vec![[0, 0]; envs],
        }
    }

    fn cue(&self, env: usize) -> usize {
        let number = env as u64 * 1_000_000 + self.clock[env][0];
        derive(7, "cue", number).gen_range(0..3)
    }
}

impl VecEnv for Recall {
    fn envs(&self) -> usize {
        self.envs
    }
    fn agents(&self) -> usize {
        1
    }
    fn heads(&self) -> Heads {
        Heads {
            heads: 1,
            choices: 3,
        }
    }
    fn width(&self) -> usize {
        4
    }
    fn observe(&self, out: &mut [f32], _: &mut [f32]) {
        out.fill(0.0);
        for (env, out) in out.chunks_exact_mut(4).enumerate() {
            let step = self.clock[env][1];
            if step == 0 {
                out[self.cue(env)] = 1.0;
            }
            out[3] = f32::from(u8::from(step + 1 == Self::LENGTH));
        }
    }
    fn masks(&mut self, out: &mut [u8]) {
        out.fill(0b111);
    }
    fn step(&mut self, choices: &[u8], outcome: &mut Outcome) {
        for (env, choice) in choices.iter().enumerate() {
            let cue = self.cue(env);
            let step = &mut self.clock[env][1];
            *step += 1;
            let ends = *step == Self::LENGTH;
            outcome.rewards[env] = f32::from(u8::from(ends && usize::from(*choice) == cue));
            // By turns, so that both kinds of end are met.
            outcome.truncated[env] = ends && env % 2 == 0;
            outcome.terminated[env] = ends && env % 2 == 1;
        }
    }
    fn reset_ended(&mut self) {
        for clock in self.clock.iter_mut().filter(|c| c[1] == Self::LENGTH) {
            *clock = [clock[0] + 1, 0];
        }
    }
    fn snapshot(&self) -> Vec<u8> {
        let words = self.clock.iter().flatten();
        words.flat_map(|word| word.to_le_bytes()).collect()
    }
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        let words = snapshot
            .as_chunks()
            .0
            .iter()
            .map(|b| u64::from_le_bytes(*b));
        let words: Vec<u64> = words.collect();
        if words.len() != self.envs * 2 {
            return Err(SnapshotError("another number of cues".to_owned()));
        }
        self.clock = words.as_chunks().0.to_vec();
        Ok(())
    }
}

/// Settings that learn toys in seconds.
pub(crate) fn settings(iterations: u32) -> Settings {
    Settings {
        iterations,
        steps: 25,
        hidden: 32,
        learning_rate: 3e-3,
        gamma: 0.9,
        gae_lambda: 0.95,
        clip: 0.2,
        entropy: 0.01,
        entropy_left: 0.1,
        kl_stop: Some(0.03),
        raw_values: false,
        critic: CriticInput::Team,
        sharing: Vec::new(),
        recurrent: None,
        epochs: 4,
        minibatches: 4,
        mask_loss: 0.0,
        flip_advantage: false,
    }
}
