//! Flat code: nodes in runs of one operation, over one array of numbers.
//!
//! Values lie in one array: inputs, constants, then nodes ordered by depth and operation, so that a
//! step is a few tight loops without decisions in between. Each value is as many numbers as games
//! are played side by side. Memory of `delta` and `mean` is one ring per remembered value.

mod memory;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, ops::Range};

use super::graph::{Content, Graph, Node, Op, Slot};
pub(crate) use memory::Memory;

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
    /// The clock that counts steps modulo the length.
    clock: u16,
}

impl Ring {
    #[inline]
    fn place(&self) -> Range<usize> {
        self.start as usize..(self.start + self.length) as usize
    }
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
    /// After how many steps each clock begins again: the first never, it counts the steps.
    periods: Vec<u32>,
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
            periods: vec![u32::MAX],
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
            let known = self.periods.iter().position(|period| *period == length);
            let clock = known.unwrap_or(self.periods.len());
            if known.is_none() {
                self.periods.push(length);
            }
            self.rings.push(Ring {
                slot,
                start: self.memory as u32,
                length,
                clock: clock as u16,
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
