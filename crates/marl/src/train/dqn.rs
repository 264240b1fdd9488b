//! Deep Q-learning on the trainer's environments: double, n-step, one value per choice of every head.
//!
//! Every agent values the choices of each of its heads apart, given what it sees; all heads learn from
//! the agent's reward (branching, Tavakoli et al., 2018; independent learners, Tampuu et al., 2017).
//! Details are numbered Q1 to Q7. Sources: DQN (Mnih et al., 2015), double Q-learning (van Hasselt et
//! al., 2016), Rainbow's n-step targets (Hessel et al., 2018).
//!
//! As with [`mappo`](super::mappo), nothing depends on the number of threads.

mod replay;

use karma_cluster::seed::derive;
use karma_nn::{AdamStep, Objective, SLOTS};
use rand::Rng;
use rayon::prelude::*;

use self::replay::{Replay, Sample};
use super::{
    Fault, Net,
    env::{Outcome, VecEnv},
    logits::Logits,
    net::{self, Body},
    states::States,
    view::{Seen, Shape, View},
};

/// Settings of the algorithm.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Iterations over which exploration and learning rate fall.
    pub iterations: u32,
    /// Steps per iteration and environment.
    pub steps: usize,
    /// Width of the two hidden layers.
    pub hidden: usize,
    /// Learning rate at the start; it falls linearly to a tenth.
    pub learning_rate: f64,
    /// Discount per step.
    pub gamma: f64,
    /// Steps of reward before the bootstrap.
    pub n_step: usize,
    /// Steps that are remembered per environment.
    pub capacity: usize,
    /// Remembered steps per update, all agents of each.
    pub batch: usize,
    /// Updates per iteration.
    pub updates: usize,
    /// Updates between copies of the networks into their targets.
    pub target_every: u64,
    /// Share of random choices at the start.
    pub explore_first: f64,
    /// Share of random choices from the middle of the run on.
    pub explore_last: f64,
    /// Which network each agent uses, from 0; empty for one that all share.
    pub sharing: Vec<usize>,
}

/// What one iteration was like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DqnMetrics {
    /// Mean team reward per step.
    pub reward: f64,
    /// Mean Huber loss; 0 before there is enough to learn from.
    pub loss: f64,
    /// Mean value of the choices made.
    pub value: f64,
    /// Share of random choices.
    pub explore: f64,
}

/// Networks, their targets, the environments, and what is remembered of them.
#[derive(Debug)]
pub struct Dqn<E> {
    /// Values of choices, from what an agent sees. Taken as logits they are a policy: see
    /// [`play_greedily`](super::play_greedily).
    pub nets: Vec<Net>,
    /// Iterations done.
    pub iteration: u32,
    shape: Shape,
    settings: Settings,
    seed: u64,
    /// The networks as they were at the newest copy.
    targets: Vec<Net>,
    updates: u64,
    players: Vec<Player<E>>,
}

/// One part of the environments and its memory.
#[derive(Debug)]
struct Player<E> {
    env: E,
    replay: Replay,
    logits: Logits,
    outcome: Outcome,
    /// Number of its first environment among all.
    first: usize,
}

impl<E: VecEnv> Dqn<E> {
    /// Fresh networks at iteration 0.
    ///
    /// # Panics
    /// If there are no environments, or `settings` has a zero where a count is needed.
    #[must_use]
    pub fn new(envs: Vec<E>, settings: Settings, seed: u64) -> Self {
        assert!(settings.n_step > 0 && settings.capacity > settings.n_step);
        let shape = Shape::of(&envs[0]);
        let groups = net::groups(shape.agents, &settings.sharing);
        let body = Body {
            hidden: settings.hidden,
            recurrent: false,
        };
        let nets = net::per_choice(shape, groups, body, 1.0, (seed, "values"));
        let mut first = 0;
        let players = envs.into_iter().map(|env| {
            let player = Player {
                replay: Replay::new(shape, env.envs(), settings.capacity),
                logits: Logits::default(),
                outcome: Outcome::new(env.envs(), env.agents()),
                first,
                env,
            };
            first += player.env.envs();
            player
        });
        Self {
            players: players.collect(),
            targets: nets.clone(),
            nets,
            iteration: 0,
            updates: 0,
            shape,
            settings,
            seed,
        }
    }

    /// Plays `steps` steps in every environment and learns from what is remembered.
    ///
    /// # Errors
    /// [`Fault`] where a number is not finite.
    pub fn iterate(&mut self) -> Result<DqnMetrics, Fault> {
        // Q1. Exploration falls linearly over the first half of the run, then stays.
        let done = f64::from(self.iteration) / f64::from(self.settings.iterations.max(1));
        let Settings {
            explore_first: first,
            explore_last: last,
            ..
        } = self.settings;
        let explore = first + (last - first) * (2.0 * done).min(1.0);
        let mut metrics = DqnMetrics {
            reward: self.play(explore)?,
            explore,
            ..DqnMetrics::default()
        };
        let adam = AdamStep {
            learning_rate: (self.settings.learning_rate * (1.0 - 0.9 * done)) as f32,
            clip_norm: 10.0,
        };
        let updates = self.settings.updates;
        for update in 0..updates {
            let (loss, value) = self.update(update, adam)?;
            metrics.loss += loss / updates as f64;
            metrics.value += value / updates as f64;
        }
        self.iteration += 1;
        Ok(metrics)
    }

    /// Plays, and gives the mean team reward.
    fn play(&mut self, explore: f64) -> Result<f64, Fault> {
        let (nets, steps, envs) = (&self.nets, self.settings.steps, self.envs());
        let at = u64::from(self.iteration) * (steps * envs) as u64;
        let seed = self.seed;
        let played: Vec<Result<f64, Fault>> = self
            .players
            .par_iter_mut()
            .with_max_len(1)
            .map(|player| player.play(nets, steps, explore as f32, (seed, at, envs)))
            .collect();
        let sum: f64 = Fault::first_of(played)?.iter().sum();
        Ok(sum / (steps * envs) as f64)
    }

    fn envs(&self) -> usize {
        self.players.iter().map(|p| p.env.envs()).sum()
    }

    /// One step of every network on a batch drawn evenly over what is remembered. Gives mean loss and
    /// mean value of what was chosen.
    fn update(&mut self, number: usize, adam: AdamStep) -> Result<(f64, f64), Fault> {
        let (n, envs) = (self.settings.n_step, self.envs());
        let index = u64::from(self.iteration) * self.settings.updates as u64 + number as u64;
        let mut stream = derive(self.seed, "replay", index);
        let drawn: Vec<(usize, Sample)> = (0..self.settings.batch)
            .filter_map(|_| {
                let mut env = stream.gen_range(0..envs);
                let step = stream.r#gen::<f64>();
                let part = self.players.iter().position(|player| {
                    let here = env < player.env.envs();
                    env -= if here { 0 } else { player.env.envs() };
                    here
                })?;
                let sample = self.players[part].replay.sample(env, step, n)?;
                Some((part, sample))
            })
            .collect();
        if drawn.is_empty() {
            return Ok((0.0, 0.0));
        }
        let replays: Vec<&Replay> = self.players.iter().map(|p| &p.replay).collect();
        let targets = self.targets(&replays, &drawn)?;
        let mut sums = [0.0; 2];
        for net in &mut self.nets {
            let objective = Loss {
                replays: &replays,
                drawn: &drawn,
                targets: &targets,
                view: &net.view,
                shape: self.shape,
            };
            let mut works = [[0.0_f64; 2]; SLOTS];
            let rows = drawn.len() * net.view.rows();
            net.learner.gradient(&net.mlp, rows, &objective, &mut works);
            net.learner.step(&mut net.mlp, adam).map_err(|_| Fault {
                step: number,
                agent: None,
                term: "gradient of the value",
            })?;
            for work in works {
                sums = [sums[0] + work[0], sums[1] + work[1]];
            }
        }
        self.updates += 1;
        // Q2. Targets stand still between copies.
        if self
            .updates
            .is_multiple_of(self.settings.target_every.max(1))
        {
            self.targets.clone_from(&self.nets);
        }
        let count = (drawn.len() * self.shape.joint()) as f64;
        Ok((sums[0] / count, sums[1] / count))
    }

    /// What every head of every agent should have expected of each sample, samples × joint.
    fn targets(&self, replays: &[&Replay], drawn: &[(usize, Sample)]) -> Result<Vec<f32>, Fault> {
        let (shape, gamma) = (self.shape, self.settings.gamma as f32);
        let nets = [&self.nets[..], &self.targets];
        let mut targets = vec![0.0; drawn.len() * shape.joint()];
        let faults: Vec<Fault> = targets
            .par_chunks_mut(BLOCK * shape.joint())
            .zip(drawn.par_chunks(BLOCK))
            .filter_map(|(targets, drawn)| {
                let mut ahead = Ahead::default();
                ahead.gather(shape, replays, drawn);
                ahead.bootstrap(shape, nets, targets).err().or_else(|| {
                    let pairs = targets.chunks_exact_mut(shape.joint()).zip(drawn);
                    for (targets, (part, sample)) in pairs {
                        replays[*part].add_rewards(sample, gamma, targets);
                    }
                    None
                })
            })
            .collect();
        faults.into_iter().next().map_or(Ok(targets), Err)
    }
}

/// Samples whose futures are valued at a time.
const BLOCK: usize = 32;

/// The states that samples lead to.
#[derive(Default)]
struct Ahead {
    seen: Seen,
    masks: Vec<u8>,
    logits: Logits,
}

impl Ahead {
    fn gather(&mut self, shape: Shape, replays: &[&Replay], drawn: &[(usize, Sample)]) {
        self.seen.resize(shape, drawn.len());
        self.masks.resize(drawn.len() * shape.joint(), 0);
        let masks = self.masks.chunks_exact_mut(shape.joint());
        for ((cell, (part, sample)), masks) in drawn.iter().enumerate().zip(masks) {
            replays[*part].future(sample, cell, &mut self.seen, masks);
        }
    }

    /// Q3. Double Q-learning: the network chooses among what masks allow, its target values the
    /// choice.
    fn bootstrap(
        &mut self,
        shape: Shape,
        [nets, targets]: [&[Net]; 2],
        out: &mut [f32],
    ) -> Result<(), Fault> {
        let cells = 0..self.masks.len() / shape.joint();
        let fault = |bad| Fault::of_logits(0, bad);
        let choices = shape.heads.choices;
        let values = self
            .logits
            .of(
                shape,
                nets,
                &mut States::default(),
                &self.seen,
                cells.clone(),
            )
            .map_err(fault)?;
        let best: Vec<usize> = values
            .chunks_exact(choices)
            .zip(&self.masks)
            .map(|(values, mask)| likeliest(values, *mask))
            .collect();
        let values = self
            .logits
            .of(shape, targets, &mut States::default(), &self.seen, cells)
            .map_err(fault)?;
        for ((out, best), values) in out.iter_mut().zip(best).zip(values.chunks_exact(choices)) {
            *out = values[best];
        }
        Ok(())
    }
}

/// The best of what `mask` allows, the first of equals.
fn likeliest(values: &[f32], mask: u8) -> usize {
    let allowed = (0..values.len()).filter(|choice| (mask >> choice) & 1 == 1);
    allowed
        .reduce(|best, choice| {
            if values[choice] > values[best] {
                choice
            } else {
                best
            }
        })
        .unwrap_or_default()
}

impl<E: VecEnv> Player<E> {
    /// Plays `steps` steps and gives the sum of the team's rewards.
    fn play(
        &mut self,
        nets: &[Net],
        steps: usize,
        explore: f32,
        (seed, at, envs): (u64, u64, usize),
    ) -> Result<f64, Fault> {
        let shape = Shape::of(&self.env);
        let choices = shape.heads.choices;
        let mut reward = 0.0;
        for step in 0..steps {
            let row = self.replay.begin(&mut self.env);
            let values = self
                .logits
                .of(
                    shape,
                    nets,
                    &mut States::default(),
                    &self.replay.seen,
                    row.cells(),
                )
                .map_err(|bad| Fault::of_logits(step, bad))?;
            let (masks, chosen) = self.replay.choices(row);
            let at = at + (step * envs + self.first) as u64;
            let cells = values
                .chunks_exact(shape.joint() * choices)
                .zip(masks.chunks_exact(shape.joint()))
                .zip(chosen.chunks_exact_mut(shape.joint()));
            for (cell, ((values, masks), chosen)) in cells.enumerate() {
                let mut stream = derive(seed, "explore", at + cell as u64);
                let heads = values.chunks_exact(choices).zip(masks).zip(chosen);
                for ((values, mask), chosen) in heads {
                    // Q4. A random choice among what masks allow, head by head.
                    *chosen = if stream.r#gen::<f32>() < explore {
                        nth_allowed(*mask, stream.gen_range(0..mask.count_ones().max(1)))
                    } else {
                        likeliest(values, *mask) as u8
                    };
                }
            }
            self.env.step(self.replay.chosen(row), &mut self.outcome);
            self.replay.end(row, step, &self.outcome, &self.env)?;
            reward += self
                .outcome
                .rewards
                .iter()
                .map(|r| f64::from(*r))
                .sum::<f64>();
            self.env.reset_ended();
        }
        Ok(reward)
    }
}

/// The `n`-th choice that `mask` allows.
fn nth_allowed(mask: u8, n: u32) -> u8 {
    let mut allowed = (0..8).filter(|choice| (mask >> choice) & 1 == 1);
    allowed.nth(n as usize).unwrap_or_default()
}

/// Huber loss between what was expected of the choices made and their targets.
struct Loss<'a> {
    replays: &'a [&'a Replay],
    drawn: &'a [(usize, Sample)],
    targets: &'a [f32],
    view: &'a View,
    shape: Shape,
}

impl Objective for Loss<'_> {
    type Work = [f64; 2];

    fn input<'a>(&'a self, row: usize, buffer: &'a mut [f32]) -> &'a [f32] {
        let (part, sample) = &self.drawn[row / self.view.rows()];
        let seen = &self.replays[*part].seen;
        self.view
            .row(seen, sample.cell, row % self.view.rows(), buffer)
    }

    fn loss(
        &self,
        rows: std::ops::Range<usize>,
        out: &[f32],
        d_out: &mut [f32],
        sums: &mut [f64; 2],
    ) {
        let heads = self.shape.heads;
        let scale = 1.0 / (self.drawn.len() * self.view.rows()) as f32;
        d_out.fill(0.0);
        for (i, row) in rows.enumerate() {
            let (sample, slot) = (row / self.view.rows(), row % self.view.rows());
            let (part, drawn) = &self.drawn[sample];
            for agent in self.view.agents_of(slot) {
                for head in 0..heads.heads {
                    let at = agent * heads.heads + head;
                    let chosen = self.replays[*part].chosen_at(drawn.cell)[at];
                    let at_out = i * heads.width() + head * heads.choices + usize::from(chosen);
                    let target = self.targets[sample * self.shape.joint() + at];
                    let surprise = out[at_out] - target;
                    // Q5. Huber: the slope of a large surprise is one.
                    d_out[at_out] = surprise.clamp(-1.0, 1.0) * scale;
                    let size = surprise.abs();
                    let loss = if size < 1.0 {
                        0.5 * size * size
                    } else {
                        size - 0.5
                    };
                    sums[0] += f64::from(loss);
                    sums[1] += f64::from(out[at_out]);
                }
            }
        }
    }
}
