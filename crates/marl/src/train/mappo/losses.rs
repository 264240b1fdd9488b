//! The two losses of an update and what is tallied of them.

use std::ops::Range;

use karma_nn::{Level, Objective, categorical::Distributions};

use super::rollout::Rollout;

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
    log_probs: Vec<f32>,
    entropy: Vec<f32>,
    ratios: Vec<f32>,
    by_entropy: Vec<f32>,
    pub(super) sums: Tally,
}

/// The clipped surrogate on a minibatch; a row is one agent at one step.
pub(super) struct ActorObjective<'a> {
    pub(super) rollout: &'a Rollout,
    pub(super) level: Level,
    pub(super) order: &'a [u32],
    pub(super) clip: f32,
    pub(super) entropy: f32,
    pub(super) mask_loss: f32,
}

impl ActorObjective<'_> {
    /// Index into the rollout of a row of the minibatch.
    fn at(&self, row: usize) -> usize {
        let agents = self.rollout.agents;
        self.order[row / agents] as usize * agents + row % agents
    }
}

impl Objective for ActorObjective<'_> {
    type Work = ActorWork;

    fn input(&self, row: usize, input: &mut [f32]) {
        let (width, agents) = (self.rollout.width, self.rollout.agents);
        let step = self.order[row / agents] as usize;
        input[..width].copy_from_slice(&self.rollout.states[step * width..(step + 1) * width]);
        input[width..].fill(0.0);
        input[width + row % agents] = 1.0;
    }

    fn loss(&self, rows: Range<usize>, out: &[f32], d_out: &mut [f32], work: &mut ActorWork) {
        let (rollout, heads) = (self.rollout, self.rollout.heads.heads);
        work.masks.clear();
        work.choices.clear();
        work.ratios.clear();
        for row in rows.clone() {
            let at = self.at(row) * heads;
            work.masks.extend_from_slice(&rollout.masks[at..at + heads]);
            work.choices
                .extend_from_slice(&rollout.choices[at..at + heads]);
        }
        // D16. The same masks in the rollout and here (Huang and Ontañón, 2022).
        rollout
            .heads
            .evaluate(self.level, out, &work.masks, &mut work.of);
        work.log_probs.resize(rows.len(), 0.0);
        work.entropy.resize(rows.len(), 0.0);
        rollout.heads.score(
            &work.of,
            &work.choices,
            &mut work.log_probs,
            &mut work.entropy,
        );
        let pairs = rows.clone().zip(&work.log_probs);
        work.ratios
            .extend(pairs.map(|(row, now)| now - rollout.log_probs[self.at(row)]));
        self.level.exponentials(&mut work.ratios);
        let scale = 1.0 / (self.order.len() * rollout.agents) as f32;
        for (i, row) in rows.clone().enumerate() {
            let at = self.at(row);
            let (ratio, advantage) = (work.ratios[i], rollout.advantages[at]);
            let log_ratio = work.log_probs[i] - rollout.log_probs[at];
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
        rollout.heads.gradient(
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

impl ActorObjective<'_> {
    /// D21. A mask gives the logits that it hides no gradient, so what they say without it is chance.
    /// The loss −ln Σ p(allowed), p the unmasked distribution, teaches them: its derivative by a logit
    /// is p − q, q the masked distribution. It pays for that: what is mostly forbidden is then
    /// explored less where it is allowed.
    fn teach_masks(&self, out: &[f32], d_out: &mut [f32], work: &mut ActorWork, scale: f32) {
        let heads = self.rollout.heads;
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

/// The clipped value loss on a minibatch; a row is one step of one environment.
pub(super) struct CriticObjective<'a> {
    pub(super) rollout: &'a Rollout,
    pub(super) order: &'a [u32],
    pub(super) clip: f32,
}

impl Objective for CriticObjective<'_> {
    type Work = f64;

    fn input(&self, row: usize, input: &mut [f32]) {
        let (step, width) = (self.order[row] as usize, self.rollout.width);
        input.copy_from_slice(&self.rollout.states[step * width..(step + 1) * width]);
    }

    fn loss(&self, rows: Range<usize>, out: &[f32], d_out: &mut [f32], sum: &mut f64) {
        let agents = self.rollout.agents;
        let scale = 1.0 / (self.order.len() * agents) as f32;
        for (i, row) in rows.enumerate() {
            let step = self.order[row] as usize * agents;
            for agent in 0..agents {
                let (value, at) = (out[i * agents + agent], step + agent);
                let (old, target) = (self.rollout.values[at], self.rollout.returns[at]);
                // D20. The worse of the plain and the clipped squared error, in normalised returns
                // (on-policy; 37 details, 9).
                let clipped = old + (value - old).clamp(-self.clip, self.clip);
                let (plain, held) = (value - target, clipped - target);
                let binding = held * held > plain * plain;
                let inside = (value - old).abs() <= self.clip;
                *sum += f64::from(0.5 * (plain * plain).max(held * held));
                d_out[i * agents + agent] = match (binding, inside) {
                    (false, _) => plain * scale,
                    (true, true) => held * scale,
                    (true, false) => 0.0,
                };
            }
        }
    }
}
