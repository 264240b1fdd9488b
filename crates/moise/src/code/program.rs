//! Flat code: nodes in runs of one operation, over one array of numbers.
//!
//! Values lie in one array: inputs, constants, then nodes ordered by depth and operation, so that a
//! step is a few tight loops without decisions in between. Memory of `delta` and `mean` is one ring
//! per remembered value.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::graph::{Content, Graph, Node, Op, Slot, apply};

/// Operands of one node; the result's slot follows from the node's place.
#[derive(Clone, Copy, Debug)]
struct Operands {
    a: Slot,
    b: Slot,
    /// The condition of a choice, or the ring of a series.
    c: Slot,
}

/// Consecutive nodes of one operation.
#[derive(Clone, Copy, Debug)]
struct Run {
    op: Op,
    /// First node and the one after the last.
    nodes: (u32, u32),
}

/// A remembered value.
#[derive(Clone, Copy, Debug)]
struct Ring {
    /// Slot of the value.
    slot: Slot,
    /// Where the ring lies in the memory.
    start: u32,
    /// Steps remembered.
    length: u32,
}

/// Code that was laid out.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Values at the start: zeros for inputs, then constants, then zeros for nodes.
    template: Vec<f32>,
    inputs: usize,
    first_node: usize,
    operands: Vec<Operands>,
    runs: Vec<Run>,
    rings: Vec<Ring>,
    memory: usize,
}

/// What code remembers between steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// Values of the newest step, as bits: NaN survives every file format.
    #[serde(with = "bits")]
    values: Vec<f32>,
    #[serde(with = "bits")]
    rings: Vec<f32>,
    /// Steps taken.
    steps: u32,
}

impl Memory {
    /// Value of a slot at the newest step.
    #[inline]
    pub(crate) fn value(&self, slot: Slot) -> f32 {
        self.values[usize::from(slot)]
    }

    /// Steps taken so far.
    pub(crate) fn steps(&self) -> u32 {
        self.steps
    }
}

impl Program {
    /// Lays out the part of `graph` that `wanted` needs. Returns the code and where each slot of
    /// the graph went; inputs stay first and in order.
    pub(crate) fn new(graph: &Graph, wanted: &[Slot]) -> (Self, Vec<Slot>) {
        let depth = depths(graph, wanted);
        let mut nodes: Vec<(u32, Op, Slot, Node)> = Vec::new();
        let mut place = vec![0 as Slot; graph.slots().len()];
        let mut template = Vec::new();
        for (slot, content) in graph.slots().iter().enumerate() {
            if matches!(content, Content::Input(_)) {
                place[slot] = template.len() as Slot;
                template.push(0.0);
            }
        }
        let inputs = template.len();
        for (slot, content) in graph.slots().iter().enumerate() {
            match content {
                Content::Constant(value) => {
                    place[slot] = template.len() as Slot;
                    template.push(*value);
                }
                Content::Node(node) => {
                    if let Some(depth) = depth[slot] {
                        nodes.push((depth, order(node.op), slot as Slot, *node));
                    }
                }
                Content::Input(_) => {}
            }
        }
        nodes.sort_by_key(|(depth, op, slot, _)| (*depth, *op, *slot));
        let first_node = template.len();
        for (index, (_, _, slot, _)) in nodes.iter().enumerate() {
            place[usize::from(*slot)] = (first_node + index) as Slot;
        }
        template.resize(first_node + nodes.len(), 0.0);
        let mut program = Self {
            template,
            inputs,
            first_node,
            operands: Vec::new(),
            runs: Vec::new(),
            rings: Vec::new(),
            memory: 0,
        };
        program.lay_rings(&nodes, &place);
        program.lay_nodes(&nodes, &place);
        (program, place)
    }

    /// One ring per remembered slot, as long as the longest series asks.
    fn lay_rings(&mut self, nodes: &[(u32, Op, Slot, Node)], place: &[Slot]) {
        let mut lengths: BTreeMap<Slot, u32> = BTreeMap::new();
        for (_, _, _, node) in nodes {
            // A mean takes its newest value from the step itself.
            let needed = match node.op {
                Op::Delta { steps } => u32::from(steps),
                Op::Mean { steps } => u32::from(steps) - 1,
                _ => continue,
            };
            let length = lengths.entry(place[usize::from(node.a)]).or_default();
            *length = (*length).max(needed).max(1);
        }
        for (slot, length) in lengths {
            self.rings.push(Ring {
                slot,
                start: self.memory as u32,
                length,
            });
            self.memory += length as usize;
        }
    }

    fn lay_nodes(&mut self, nodes: &[(u32, Op, Slot, Node)], place: &[Slot]) {
        let at = |slot: Slot| place[usize::from(slot)];
        let mut depth_of_run = 0;
        for (index, (depth, op, _, node)) in nodes.iter().enumerate() {
            let a = at(node.a);
            let c = match node.op {
                Op::Choose(condition) => at(condition),
                Op::Delta { .. } | Op::Mean { .. } => {
                    self.rings
                        .iter()
                        .position(|ring| ring.slot == a)
                        .unwrap_or_default() as Slot
                }
                _ => 0,
            };
            self.operands.push(Operands {
                a,
                b: at(node.b),
                c,
            });
            match self.runs.last_mut() {
                // Nodes of one depth do not read each other; those of the next depth do.
                Some(run) if run.op == *op && depth_of_run == *depth => run.nodes.1 += 1,
                _ => self.runs.push(Run {
                    op: *op,
                    nodes: (index as u32, index as u32 + 1),
                }),
            }
            depth_of_run = *depth;
        }
    }

    /// Memory before the first step.
    pub(crate) fn memory(&self) -> Memory {
        Memory {
            values: self.template.clone(),
            rings: vec![f32::NAN; self.memory],
            steps: 0,
        }
    }

    /// Forgets everything.
    pub(crate) fn reset(&self, memory: &mut Memory) {
        memory.values.copy_from_slice(&self.template);
        memory.rings.fill(f32::NAN);
        memory.steps = 0;
    }

    /// Takes one step on `inputs` (two parts, one after the other).
    pub(crate) fn step(&self, memory: &mut Memory, first: &[f32], second: &[f32]) {
        assert_eq!(first.len() + second.len(), self.inputs);
        assert_eq!(memory.values.len(), self.template.len());
        memory.values[..first.len()].copy_from_slice(first);
        memory.values[first.len()..self.inputs].copy_from_slice(second);
        for run in &self.runs {
            self.run(*run, memory);
        }
        for ring in &self.rings {
            let newest = memory.steps % ring.length;
            memory.rings[(ring.start + newest) as usize] = memory.values[usize::from(ring.slot)];
        }
        memory.steps += 1;
    }

    #[inline]
    fn run(&self, run: Run, memory: &mut Memory) {
        macro_rules! each {
            ($op:expr) => {{
                let (from, to) = (run.nodes.0 as usize, run.nodes.1 as usize);
                let (known, rest) = memory.values.split_at_mut(self.first_node + from);
                for (operands, out) in self.operands[from..to].iter().zip(rest) {
                    *out = apply(
                        $op,
                        known[usize::from(operands.a)],
                        known[usize::from(operands.b)],
                    );
                }
            }};
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
            Op::Choose(_) | Op::Delta { .. } | Op::Mean { .. } => self.run_slow(run, memory),
        }
    }

    fn run_slow(&self, run: Run, memory: &mut Memory) {
        for index in run.nodes.0 as usize..run.nodes.1 as usize {
            let Operands { a, b, c } = self.operands[index];
            let now = memory.values[usize::from(a)];
            let result = match run.op {
                Op::Delta { steps } => now - self.ago(memory, c, u32::from(steps)).unwrap_or(now),
                Op::Mean { steps } => self.mean(memory, c, now, u32::from(steps)),
                _ if memory.values[usize::from(c)] == 0.0 => memory.values[usize::from(b)],
                _ => now,
            };
            memory.values[self.first_node + index] = result;
        }
    }

    /// The value `steps` ago, the oldest one where the game is younger, none at its first step.
    fn ago(&self, memory: &Memory, ring: Slot, steps: u32) -> Option<f32> {
        let ring = self.rings[usize::from(ring)];
        let steps = steps.min(memory.steps);
        let at = (steps > 0).then(|| (memory.steps - steps) % ring.length)?;
        Some(memory.rings[(ring.start + at) as usize])
    }

    /// Mean of the measured values of the newest `steps`.
    fn mean(&self, memory: &Memory, ring: Slot, now: f32, steps: u32) -> f32 {
        let ring = self.rings[usize::from(ring)];
        let before = (steps - 1).min(memory.steps);
        let (mut sum, mut count) = (0.0, 0.0);
        let mut add = |value: f32| {
            let measured = !value.is_nan();
            sum += if measured { value } else { 0.0 };
            count += f32::from(u8::from(measured));
        };
        add(now);
        // The steps before now lie in at most two pieces of the ring.
        let memory_of_ring =
            &memory.rings[ring.start as usize..(ring.start + ring.length) as usize];
        let end = memory.steps % ring.length;
        let (head, tail) = memory_of_ring.split_at(end as usize);
        let from_head = (before as usize).min(head.len());
        head[head.len() - from_head..].iter().for_each(|v| add(*v));
        let from_tail = before as usize - from_head;
        tail[tail.len() - from_tail..].iter().for_each(|v| add(*v));
        sum / count
    }
}

/// The operation that a run is made of: choices differ in their condition only.
fn order(op: Op) -> Op {
    match op {
        Op::Choose(_) => Op::Choose(0),
        other => other,
    }
}

/// Longest path from an input to each slot that `wanted` needs; none for the others.
fn depths(graph: &Graph, wanted: &[Slot]) -> Vec<Option<u32>> {
    let mut needed = vec![false; graph.slots().len()];
    for slot in wanted {
        needed[usize::from(*slot)] = true;
    }
    let operands = |node: &Node| {
        let condition = match node.op {
            Op::Choose(condition) => condition,
            _ => node.a,
        };
        [node.a, node.b, condition].map(usize::from)
    };
    // Operands come before the nodes that use them.
    for (slot, content) in graph.slots().iter().enumerate().rev() {
        if let (true, Content::Node(node)) = (needed[slot], content) {
            for operand in operands(node) {
                needed[operand] = true;
            }
        }
    }
    let mut depth: Vec<Option<u32>> = vec![None; graph.slots().len()];
    for (slot, content) in graph.slots().iter().enumerate() {
        if needed[slot] {
            depth[slot] = Some(match content {
                Content::Node(node) => {
                    1 + operands(node)
                        .iter()
                        .filter_map(|operand| depth[*operand])
                        .max()
                        .unwrap_or(0)
                }
                _ => 0,
            });
        }
    }
    depth
}

/// Numbers as their bits.
mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &[f32], out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(values.iter().map(|v| v.to_bits()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f32>, D::Error> {
        Ok(Vec::<u32>::deserialize(from)?
            .into_iter()
            .map(f32::from_bits)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_one_operation_is_computed_in_order() {
        let mut graph = Graph::default();
        let inputs: Vec<Slot> = (0..5).map(|i| graph.input(format!("x{i}"))).collect();
        let mut sum = inputs[0];
        for input in &inputs[1..] {
            sum = graph.node(Op::Add, sum, *input);
        }
        let (program, place) = Program::new(&graph, &[sum]);
        let mut memory = program.memory();
        program.step(&mut memory, &[1.0, 2.0, 4.0, 8.0, 16.0], &[]);
        assert_eq!(memory.value(place[usize::from(sum)]), 31.0);
    }

    #[test]
    fn series_remember_exactly_what_they_say() {
        let mut graph = Graph::default();
        let x = graph.input("x".to_owned());
        let delta = graph.node(Op::Delta { steps: 2 }, x, x);
        let mean = graph.node(Op::Mean { steps: 3 }, x, x);
        let (program, place) = Program::new(&graph, &[delta, mean]);
        let (delta, mean) = (place[usize::from(delta)], place[usize::from(mean)]);
        let mut memory = program.memory();
        let xs = [1.0, 2.0, 4.0, 8.0, f32::NAN, 32.0];
        let expected = [
            (0.0, 1.0),
            (1.0, 1.5),
            (3.0, 7.0 / 3.0),
            (6.0, 14.0 / 3.0),
            (f32::NAN, 6.0),
            (24.0, 20.0),
        ];
        for (x, (d, m)) in xs.iter().zip(expected) {
            program.step(&mut memory, &[*x], &[]);
            let got = memory.value(delta);
            assert!(got == d || (got.is_nan() && d.is_nan()), "{got} {d}");
            assert!((memory.value(mean) - m).abs() < 1e-6);
        }
        program.reset(&mut memory);
        assert_eq!(memory.steps(), 0);
        program.step(&mut memory, &[5.0], &[]);
        assert_eq!(memory.value(delta), 0.0);
    }
}
