//! Masked categorical heads: several independent choices read off one row of logits.
//!
//! A row holds `heads × choices` logits, head-major. A mask is one byte per head; bit `c` says that
//! choice `c` is allowed. Choices that are not allowed have probability exactly 0, are never drawn
//! and receive exactly zero gradient. Rows are processed sixteen at a time, one row to a lane.

use crate::kernel::{LANES, Level, Line};

/// Layout of the heads of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Heads per row.
    pub heads: usize,
    /// Choices per head, at most 8.
    pub choices: usize,
}

/// Distributions of the newest [`Heads::evaluate`], reused between calls.
#[derive(Clone, Debug, Default)]
pub struct Distributions {
    probability: Vec<Line>,
    log_probability: Vec<Line>,
    entropy: Vec<Line>,
    by_log_prob: Vec<Line>,
    by_entropy: Vec<Line>,
    chosen: Vec<Line>,
    level: Option<Level>,
    rows: usize,
}

impl Heads {
    /// Logits per row.
    #[must_use]
    pub fn width(self) -> usize {
        self.heads * self.choices
    }

    /// Computes the distributions of all rows.
    ///
    /// `logits: [rows × width]`, `masks: [rows × heads]`.
    ///
    /// # Panics
    /// If lengths do not match or there are more than 8 choices. A mask that allows nothing counts
    /// as one that allows everything only in the padding of the last chunk; callers pass none.
    pub fn evaluate(self, level: Level, logits: &[f32], masks: &[u8], into: &mut Distributions) {
        let (width, rows) = (self.width(), masks.len() / self.heads);
        assert!(
            self.choices <= 8 && masks.len() == rows * self.heads && logits.len() == rows * width,
            "one mask per row and head, one logit per choice"
        );
        let chunks = rows.div_ceil(LANES);
        into.rows = rows;
        into.level = Some(level);
        into.probability.resize(chunks * width, Line::ZERO);
        into.log_probability.resize(chunks * width, Line::ZERO);
        into.entropy.resize(chunks * self.heads, Line::ZERO);
        let lines = into
            .probability
            .chunks_exact_mut(width)
            .zip(into.log_probability.chunks_exact_mut(width));
        for (chunk, (values, allowed)) in lines.enumerate() {
            for lane in 0..LANES {
                let row = chunk * LANES + lane;
                if row >= rows {
                    for (value, allowed) in values.iter_mut().zip(allowed.iter_mut()) {
                        value.0[lane] = 0.0;
                        allowed.0[lane] = 1.0;
                    }
                    continue;
                }
                let logits = &logits[row * width..(row + 1) * width];
                for (value, logit) in values.iter_mut().zip(logits) {
                    value.0[lane] = *logit;
                }
                let masks = &masks[row * self.heads..(row + 1) * self.heads];
                for (allowed, mask) in allowed.chunks_exact_mut(self.choices).zip(masks) {
                    for (choice, allowed) in allowed.iter_mut().enumerate() {
                        allowed.0[lane] = f32::from((mask >> choice) & 1);
                    }
                }
            }
        }
        level.distributions(
            self.heads,
            self.choices,
            &mut into.probability,
            &mut into.log_probability,
            &mut into.entropy,
        );
    }

    /// Line and lane of a choice.
    fn at(self, row: usize, head: usize, choice: u8) -> (usize, usize) {
        let line = row / LANES * self.width() + head * self.choices + usize::from(choice);
        (line, row % LANES)
    }

    /// Log-probability of `chosen: [rows × heads]` summed over heads, and entropy summed over heads.
    ///
    /// # Panics
    /// If lengths do not match.
    pub fn score(
        self,
        from: &Distributions,
        chosen: &[u8],
        log_prob: &mut [f32],
        entropy: &mut [f32],
    ) {
        assert!(
            chosen.len() == from.rows * self.heads
                && log_prob.len() == from.rows
                && entropy.len() == from.rows
        );
        let rows = chosen.chunks_exact(self.heads).zip(log_prob).zip(entropy);
        for (row, ((chosen, log_prob), entropy)) in rows.enumerate() {
            let (mut log, mut spread) = (0.0, 0.0);
            for (head, choice) in chosen.iter().enumerate() {
                let (line, lane) = self.at(row, head, *choice);
                log += from.log_probability[line].0[lane];
                spread += from.entropy[row / LANES * self.heads + head].0[lane];
            }
            (*log_prob, *entropy) = (log, spread);
        }
    }

    /// Draws `chosen` with one uniform number in [0, 1) per row and head.
    ///
    /// # Panics
    /// If lengths do not match.
    pub fn sample(self, from: &Distributions, uniform: &[f32], chosen: &mut [u8]) {
        assert!(chosen.len() == from.rows * self.heads && uniform.len() == chosen.len());
        for (slot, (chosen, uniform)) in chosen.iter_mut().zip(uniform).enumerate() {
            let (line, lane) = self.at(slot / self.heads, slot % self.heads, 0);
            let mut left = *uniform;
            // Rounding can leave a little beyond the last: the last possible choice takes it.
            for choice in 0..self.choices {
                let p = from.probability[line + choice].0[lane];
                if p > 0.0 {
                    *chosen = choice as u8;
                    if left < p {
                        break;
                    }
                    left -= p;
                }
            }
        }
    }

    /// The likeliest choice of every head, the first of equals.
    ///
    /// # Panics
    /// If the length does not match.
    pub fn mode(self, from: &Distributions, chosen: &mut [u8]) {
        assert!(chosen.len() == from.rows * self.heads);
        for (slot, chosen) in chosen.iter_mut().enumerate() {
            let (line, lane) = self.at(slot / self.heads, slot % self.heads, 0);
            let mut best = -1.0;
            for choice in 0..self.choices {
                let p = from.probability[line + choice].0[lane];
                if p > best {
                    (*chosen, best) = (choice as u8, p);
                }
            }
        }
    }

    /// Probability of `choice` of `head` in `row`.
    #[must_use]
    pub fn probability(self, from: &Distributions, row: usize, head: usize, choice: u8) -> f32 {
        let (line, lane) = self.at(row, head, choice);
        from.probability[line].0[lane]
    }

    /// Gradient with respect to the logits, given per row the derivative of the loss by the joint
    /// log-probability of `chosen` and by the summed entropy.
    ///
    /// # Panics
    /// If lengths do not match or nothing was evaluated.
    pub fn gradient(
        self,
        from: &mut Distributions,
        chosen: &[u8],
        by_log_prob: &[f32],
        by_entropy: &[f32],
        d_logits: &mut [f32],
    ) {
        let (rows, width) = (from.rows, self.width());
        let Some(level) = from.level else {
            panic!("evaluate comes before gradient");
        };
        assert!(
            chosen.len() == rows * self.heads
                && by_log_prob.len() == rows
                && by_entropy.len() == rows
                && d_logits.len() == rows * width
        );
        let chunks = rows.div_ceil(LANES);
        from.chosen.clear();
        from.chosen.resize(chunks * width, Line::ZERO);
        for (lines, values) in [
            (&mut from.by_log_prob, by_log_prob),
            (&mut from.by_entropy, by_entropy),
        ] {
            lines.resize(chunks, Line::ZERO);
            for (line, values) in lines.iter_mut().zip(values.chunks(LANES)) {
                line.0[..values.len()].copy_from_slice(values);
                line.0[values.len()..].fill(0.0);
            }
        }
        for (slot, choice) in chosen.iter().enumerate() {
            let (line, lane) = self.at(slot / self.heads, slot % self.heads, *choice);
            from.chosen[line].0[lane] = 1.0;
        }
        level.head_gradient(
            self.heads,
            self.choices,
            (&from.probability, &from.log_probability, &from.entropy),
            &from.by_log_prob,
            &from.by_entropy,
            &mut from.chosen,
        );
        for (row, d_logits) in d_logits.chunks_exact_mut(width).enumerate() {
            let lines = &from.chosen[row / LANES * width..];
            for (d, line) in d_logits.iter_mut().zip(lines) {
                *d = line.0[row % LANES];
            }
        }
    }
}
