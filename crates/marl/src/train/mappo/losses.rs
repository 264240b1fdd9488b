//! The two losses of an update and what is tallied of them.

use std::ops::Range;

use karma_nn::{Heads, Level, Objective, Sequences, categorical::Distributions, kernel};

use super::{
    Place,
    memory::{End, Memory},
    recollection::Recollection,
};
use crate::train::view::View;

/// Sums over the rows of minibatches.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tally {
    pub(super) rows: f64,
    pub(super) kl: f64,
    pub(super) clipped: f64,
    pub(super) entropy: f64,
    pub(super) value_loss: f64,
    /// Probability of forbidden choices without masks, summed over heads.
    pub(super) forbidden: f64,
    /// Largest distance of a ratio from one.
    pub(super) largest: f64,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.kl += other.kl;
        self.clipped += other.clipped;
        self.entropy += other.entropy;
        self.value_loss += other.value_loss;
        self.forbidden += other.forbidden;
        self.largest = self.largest.max(other.largest);
    }
}

/// Buffers and sums of the policy's loss in one gradient slot.
#[derive(Clone, Debug, Default)]
pub(super) struct ActorWork {
    of: Distributions,
    unmasked: Distributions,
    masks: Vec<u8>,
    all: Vec<u8>,
    choices: Vec<u8>,
    /// Log-probabilities under the policy that played.
    played: Vec<f32>,
    advantages: Vec<f32>,
    log_probs: Vec<f32>,
    entropy: Vec<f32>,
    ratios: Vec<f32>,
    by_entropy: Vec<f32>,
    pub(super) sums: Tally,
}

impl ActorWork {
    /// Collects what was played in `rows`.
    fn gather(&mut self, batch: Batch<'_>, heads: usize, rows: Range<usize>) {
        self.masks.clear();
        self.choices.clear();
        self.played.clear();
        self.advantages.clear();
        for row in rows {
            let (memory, cell, slot) = batch.at(row);
            for agent in batch.view.agents_of(slot) {
                let at = cell * memory.shape.agents + agent;
                let span = at * heads..(at + 1) * heads;
                self.masks.extend_from_slice(&memory.masks[span.clone()]);
                self.choices.extend_from_slice(&memory.choices[span]);
                self.played.push(memory.log_probs[at]);
                self.advantages.push(memory.advantages[at]);
            }
        }
    }
}

/// The rows of a minibatch: those of a view, in the cells of `order`.
#[derive(Clone, Copy)]
pub(super) struct Batch<'a> {
    pub(super) memories: &'a [&'a Memory],
    pub(super) order: &'a [Place],
    pub(super) view: &'a View,
    /// What its network remembers, and which of those it is.
    pub(super) states: (fn(&Memory) -> &Recollection, usize),
}

impl<'a> Batch<'a> {
    pub(super) fn rows(self) -> usize {
        self.order.len() * self.view.rows()
    }

    /// Memory and cell of a row, and which of the cell's rows it is.
    fn at(self, row: usize) -> (&'a Memory, usize, usize) {
        let rows = self.view.rows();
        let Place { player, cell } = self.order[row / rows];
        (self.memories[player as usize], cell as usize, row % rows)
    }

    fn input(self, row: usize, buffer: &'a mut [f32]) -> &'a [f32] {
        let (memory, cell, slot) = self.at(row);
        self.view.row(&memory.seen, cell, slot, buffer)
    }

    /// The state that the chunk which begins with a row was played from.
    fn state(self, row: usize) -> &'a [f32] {
        let (memory, cell, slot) = self.at(row);
        let (states, index) = self.states;
        let (chunk, env) = (cell / memory.envs / memory.sequence, cell % memory.envs);
        let of_chunk = memory.envs * self.view.rows();
        let chunks = memory.ends.len() / memory.envs / memory.sequence;
        let at = chunk * of_chunk + env * self.view.rows() + slot;
        states(memory).start(index, at, chunks * of_chunk)
    }

    /// Whether an episode begins with a row, which is not of the first step of a rollout.
    fn is_fresh(self, row: usize) -> bool {
        let (memory, cell, _) = self.at(row);
        memory.ends[cell - memory.envs] != End::No
    }

    /// Asks the cache for the input of a row; gives its memory and where its agents lie there.
    fn prefetch(self, row: usize) -> (&'a Memory, Range<usize>) {
        let (memory, cell, slot) = self.at(row);
        kernel::prefetch(self.view.seen(&memory.seen, cell, slot));
        let (agents, first) = (self.view.agents_of(slot), cell * memory.shape.agents);
        (memory, first + agents.start..first + agents.end)
    }
}

/// The clipped surrogate on a minibatch; a row is one agent at one step.
pub(super) struct ActorObjective<'a> {
    pub(super) batch: Batch<'a>,
    pub(super) heads: Heads,
    pub(super) level: Level,
    pub(super) clip: f32,
    pub(super) entropy: f32,
    pub(super) mask_loss: f32,
}

impl Objective for ActorObjective<'_> {
    type Work = ActorWork;

    fn input<'a>(&'a self, row: usize, buffer: &'a mut [f32]) -> &'a [f32] {
        self.batch.input(row, buffer)
    }

    fn prefetch(&self, row: usize) {
        let (memory, rows) = self.batch.prefetch(row);
        let joint = rows.start * self.heads.heads..rows.end * self.heads.heads;
        kernel::prefetch(&memory.masks[joint.clone()]);
        kernel::prefetch(&memory.choices[joint]);
        kernel::prefetch(&memory.log_probs[rows.clone()]);
        kernel::prefetch(&memory.advantages[rows]);
    }

    fn loss(&self, rows: Range<usize>, out: &[f32], d_out: &mut [f32], work: &mut ActorWork) {
        work.gather(self.batch, self.heads.heads, rows.clone());
        // D16. The same masks in the rollout and here (Huang and Ontañón, 2022).
        self.heads
            .evaluate(self.level, out, &work.masks, &mut work.of);
        work.log_probs.resize(rows.len(), 0.0);
        work.entropy.resize(rows.len(), 0.0);
        self.heads.score(
            &work.of,
            &work.choices,
            &mut work.log_probs,
            &mut work.entropy,
        );
        work.ratios.clear();
        let pairs = work.log_probs.iter().zip(&work.played);
        work.ratios.extend(pairs.map(|(now, played)| now - played));
        self.level.exponentials(&mut work.ratios);
        let scale = 1.0 / self.batch.rows() as f32;
        for i in 0..rows.len() {
            let (ratio, advantage) = (work.ratios[i], work.advantages[i]);
            let log_ratio = work.log_probs[i] - work.played[i];
            // D17. The clipped surrogate: no gradient where the ratio has already gone as far as it
            // may in the direction that the advantage wants.
            let far = (ratio - 1.0).abs() > self.clip;
            let spent = far && (ratio > 1.0) == (advantage > 0.0);
            work.log_probs[i] = if spent {
                0.0
            } else {
                -advantage * ratio * scale
            };
            // D18. KL by the estimator (r − 1) − ln r, never negative (Schulman, 2020).
            work.sums.kl += f64::from(ratio - 1.0 - log_ratio);
            work.sums.clipped += f64::from(u8::from(far));
            work.sums.entropy += f64::from(work.entropy[i]);
            work.sums.largest = work.sums.largest.max(f64::from((ratio - 1.0).abs()));
        }
        work.sums.rows += rows.len() as f64;
        // D19. Entropy, summed over heads, is part of the loss (37 details, 10).
        work.by_entropy.clear();
        work.by_entropy.resize(rows.len(), -self.entropy * scale);
        self.heads.gradient(
            &mut work.of,
            &work.choices,
            &work.log_probs,
            &work.by_entropy,
            d_out,
        );
        if self.mask_loss > 0.0 {
            self.teach_masks(out, d_out, work, scale);
        }
    }
}

impl Sequences for ActorObjective<'_> {
    fn state(&self, row: usize) -> &[f32] {
        self.batch.state(row)
    }

    fn is_fresh(&self, row: usize) -> bool {
        self.batch.is_fresh(row)
    }
}

impl ActorObjective<'_> {
    /// D21. A mask gives the logits that it hides no gradient, so what they say without it is chance.
    /// The loss −ln Σ p(allowed), p the unmasked distribution, teaches them: its derivative by a logit
    /// is p − q, q the masked distribution. It pays for that: what is mostly forbidden is then
    /// explored less where it is allowed.
    fn teach_masks(&self, out: &[f32], d_out: &mut [f32], work: &mut ActorWork, scale: f32) {
        let heads = self.heads;
        work.all.clear();
        work.all.resize(work.masks.len(), u8::MAX);
        heads.evaluate(self.level, out, &work.all, &mut work.unmasked);
        let weight = self.mask_loss * scale;
        let slots = d_out.chunks_exact_mut(heads.choices).zip(&work.masks);
        for (slot, (d_out, mask)) in slots.enumerate() {
            let (row, head) = (slot / heads.heads, slot % heads.heads);
            for (choice, d) in d_out.iter_mut().enumerate() {
                let choice = choice as u8;
                let p = heads.probability(&work.unmasked, row, head, choice);
                *d += weight * (p - heads.probability(&work.of, row, head, choice));
                if (mask >> choice) & 1 == 0 {
                    work.sums.forbidden += f64::from(p);
                }
            }
        }
    }
}

/// The clipped value loss on a minibatch; a row is one step of one environment, or one agent at one.
pub(super) struct CriticObjective<'a> {
    pub(super) batch: Batch<'a>,
    /// Infinite for none.
    pub(super) clip: f32,
}

impl Objective for CriticObjective<'_> {
    type Work = f64;

    fn input<'a>(&'a self, row: usize, buffer: &'a mut [f32]) -> &'a [f32] {
        self.batch.input(row, buffer)
    }

    fn prefetch(&self, row: usize) {
        let (memory, rows) = self.batch.prefetch(row);
        kernel::prefetch(&memory.values[rows.clone()]);
        kernel::prefetch(&memory.returns[rows]);
    }

    fn loss(&self, rows: Range<usize>, out: &[f32], d_out: &mut [f32], sum: &mut f64) {
        let outputs = out.len() / rows.len();
        let scale = 1.0 / (self.batch.rows() * outputs) as f32;
        let values = out.chunks_exact(outputs);
        for ((row, out), d_out) in rows.zip(values).zip(d_out.chunks_exact_mut(outputs)) {
            let (memory, cell, slot) = self.batch.at(row);
            let agents = self.batch.view.agents_of(slot);
            for ((agent, value), d_out) in agents.zip(out).zip(d_out) {
                let at = cell * memory.shape.agents + agent;
                let (old, target) = (memory.values[at], memory.returns[at]);
                // D20. The worse of the plain and the clipped squared error, in normalised returns
                // (on-policy; 37 details, 9).
                let clipped = old + (value - old).clamp(-self.clip, self.clip);
                let (plain, held) = (value - target, clipped - target);
                let binding = held * held > plain * plain;
                let inside = (value - old).abs() <= self.clip;
                *sum += f64::from(0.5 * (plain * plain).max(held * held));
                *d_out = match (binding, inside) {
                    (false, _) => plain * scale,
                    (true, true) => held * scale,
                    (true, false) => 0.0,
                };
            }
        }
    }
}

impl Sequences for CriticObjective<'_> {
    fn state(&self, row: usize) -> &[f32] {
        self.batch.state(row)
    }

    fn is_fresh(&self, row: usize) -> bool {
        self.batch.is_fresh(row)
    }
}
