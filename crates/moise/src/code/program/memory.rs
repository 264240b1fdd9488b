//! What code remembers of its games, and a step of theirs.

use serde::{Deserialize, Serialize};

use super::{Operands, Program, Run};
use crate::code::{
    graph::{Op, Slot, apply},
    lanes,
};

/// What code remembers of `L` games between steps. Games may be of different ages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Memory<const L: usize> {
    /// Values of the newest step.
    #[serde(with = "lanes::bits")]
    values: Vec<[f32; L]>,
    #[serde(with = "lanes::bits")]
    rings: Vec<[f32; L]>,
    /// Steps taken modulo each of the program's periods: the age, then where rings are written next.
    #[serde(with = "lanes::bits")]
    clocks: Vec<[u32; L]>,
}

impl<const L: usize> Memory<L> {
    /// Values of a slot at the newest step.
    #[inline]
    pub(crate) fn value(&self, slot: Slot) -> &[f32; L] {
        &self.values[usize::from(slot)]
    }

    /// Steps taken so far.
    #[inline]
    pub(crate) fn steps(&self) -> &[u32; L] {
        &self.clocks[0]
    }
}

impl Program {
    /// Memory before the first step.
    pub(crate) fn memory<const L: usize>(&self) -> Memory<L> {
        Memory {
            values: self.template.iter().map(|value| [*value; L]).collect(),
            rings: vec![[f32::NAN; L]; self.memory],
            clocks: vec![[0; L]; self.periods.len()],
        }
    }

    /// Forgets everything of one game.
    pub(crate) fn reset<const L: usize>(&self, memory: &mut Memory<L>, game: usize) {
        for (value, start) in memory.values.iter_mut().zip(&self.template) {
            value[game] = *start;
        }
        for value in &mut memory.rings {
            value[game] = f32::NAN;
        }
        for clock in &mut memory.clocks {
            clock[game] = 0;
        }
    }

    /// What the next step reads.
    #[inline]
    pub(crate) fn inputs<'m, const L: usize>(
        &self,
        memory: &'m mut Memory<L>,
    ) -> &'m mut [[f32; L]] {
        &mut memory.values[..self.inputs]
    }

    /// Takes one step on the [inputs](Self::inputs) as they are.
    pub(crate) fn step<const L: usize>(&self, memory: &mut Memory<L>) {
        assert_eq!(memory.values.len(), self.template.len());
        for run in &self.runs {
            self.run(*run, memory);
        }
        for ring in &self.rings {
            let values = memory.values[usize::from(ring.slot)];
            let clock = &memory.clocks[usize::from(ring.clock)];
            let ring = &mut memory.rings[ring.place()];
            for (lane, (value, at)) in values.into_iter().zip(clock).enumerate() {
                ring[*at as usize][lane] = value;
            }
        }
        for (clock, period) in memory.clocks.iter_mut().zip(&self.periods) {
            for steps in clock {
                let next = *steps + 1;
                *steps = if next == *period { 0 } else { next };
            }
        }
    }

    fn run<const L: usize>(&self, run: Run, memory: &mut Memory<L>) {
        macro_rules! each {
            ($op:expr) => {
                self.each(run, memory, |a, b| apply($op, a, b))
            };
        }
        match run.op {
            Op::Add => each!(Op::Add),
            Op::Sub => each!(Op::Sub),
            Op::Mul => each!(Op::Mul),
            Op::Div => each!(Op::Div),
            Op::Min => each!(Op::Min),
            Op::Max => each!(Op::Max),
            Op::Abs => each!(Op::Abs),
            Op::Less => each!(Op::Less),
            Op::LessEqual => each!(Op::LessEqual),
            Op::Equal => each!(Op::Equal),
            Op::And => each!(Op::And),
            Op::Or => each!(Op::Or),
            Op::Not => each!(Op::Not),
            Op::Choose(_) => self.choose(run, memory),
            Op::Delta { steps } => self.series(run, memory, |past, now| past.delta(now, steps)),
            Op::Mean { steps } => self.series(run, memory, |past, now| past.mean(now, steps)),
        }
    }

    fn each<const L: usize>(&self, run: Run, memory: &mut Memory<L>, of: impl Fn(f32, f32) -> f32) {
        let (known, nodes) = self.nodes(run, &mut memory.values);
        for (operands, out) in nodes {
            let (a, b) = (usize::from(operands.a), usize::from(operands.b));
            *out = lanes::each(&known[a], &known[b], &of);
        }
    }

    fn choose<const L: usize>(&self, run: Run, memory: &mut Memory<L>) {
        let (known, nodes) = self.nodes(run, &mut memory.values);
        for (operands, out) in nodes {
            let [a, b, c] = [operands.a, operands.b, operands.c].map(usize::from);
            *out = known[b];
            for ((out, a), c) in out.iter_mut().zip(&known[a]).zip(&known[c]) {
                *out = if *c == 0.0 { *out } else { *a };
            }
        }
    }

    fn series<const L: usize>(
        &self,
        run: Run,
        memory: &mut Memory<L>,
        of: impl Fn(&Past<'_, L>, &[f32; L]) -> [f32; L],
    ) {
        let (known, nodes) = self.nodes(run, &mut memory.values);
        for (operands, out) in nodes {
            let ring = self.rings[usize::from(operands.c)];
            let past = Past {
                values: &memory.rings[ring.place()],
                ages: &memory.clocks[0],
                ends: &memory.clocks[usize::from(ring.clock)],
            };
            *out = of(&past, &known[usize::from(operands.a)]);
        }
    }

    /// What is known before a run, and its nodes with where their values go.
    fn nodes<'m, const L: usize>(
        &self,
        run: Run,
        values: &'m mut [[f32; L]],
    ) -> (
        &'m [[f32; L]],
        impl Iterator<Item = (&Operands, &'m mut [f32; L])>,
    ) {
        let (from, to) = (run.nodes.0 as usize, run.nodes.1 as usize);
        let (known, rest) = values.split_at_mut(self.first_node + from);
        (known, self.operands[from..to].iter().zip(rest))
    }
}

/// What a value was before this step.
struct Past<'m, const L: usize> {
    /// One place of the ring after the other; NaN where nothing was written yet.
    values: &'m [[f32; L]],
    /// Steps taken.
    ages: &'m [u32; L],
    /// The place written at the end of this step: that of the oldest value, once the ring is full.
    ends: &'m [u32; L],
}

impl<const L: usize> Past<'_, L> {
    /// `now` minus the value `steps` ago, minus the oldest one where the game is younger.
    fn delta(&self, now: &[f32; L], steps: u16) -> [f32; L] {
        let (length, steps) = (self.values.len() as u32, u32::from(steps));
        let mut past = *now;
        for (lane, past) in past.iter_mut().enumerate() {
            let (age, end) = (self.ages[lane], self.ends[lane]);
            let around = if end < steps { length } else { 0 };
            let at = if age < steps { 0 } else { end + around - steps };
            let ago = self.values[at as usize][lane];
            *past = if age == 0 { *past } else { ago };
        }
        lanes::each(now, &past, |now, past| now - past)
    }

    /// Mean of the measured values of the newest `steps`. They are added in the order of the ring.
    fn mean(&self, now: &[f32; L], steps: u16) -> [f32; L] {
        let (length, steps) = (self.values.len() as u32, u32::from(steps));
        let (mut sums, mut counts) = ([0.0; L], [0.0; L]);
        let mut add = |values: &[f32; L]| {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += if value.is_nan() { 0.0 } else { *value };
            }
            for (count, value) in counts.iter_mut().zip(values) {
                *count += if value.is_nan() { 0.0 } else { 1.0 };
            }
        };
        add(now);
        for (at, values) in (0..length).zip(self.values) {
            let mut values = *values;
            // Another series may remember more.
            if steps <= length {
                for (value, end) in values.iter_mut().zip(self.ends) {
                    let around = if at < *end { 0 } else { length };
                    let age = *end + around - at;
                    *value = if age < steps { *value } else { f32::NAN };
                }
            }
            add(&values);
        }
        lanes::each(&sums, &counts, |sum, count| sum / count)
    }
}
