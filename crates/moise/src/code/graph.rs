//! Expressions as a graph with shared parts: equal sub-expressions of a whole organization are one
//! node, constants are folded.

use std::collections::BTreeMap;

/// Index of a value: an input, a constant or the result of a node.
pub(crate) type Slot = u16;

/// What a node computes. Booleans are 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Op {
    /// a + b.
    Add,
    /// a − b.
    Sub,
    /// a · b.
    Mul,
    /// a / b.
    Div,
    /// The smaller one.
    Min,
    /// The larger one.
    Max,
    /// |a|.
    Abs,
    /// a < b; false with NaN.
    Less,
    /// a ≤ b; false with NaN.
    LessEqual,
    /// a = b; false with NaN.
    Equal,
    /// Both.
    And,
    /// One at least.
    Or,
    /// 1 − a.
    Not,
    /// `c` chooses between a and b.
    Choose(Slot),
    /// a now minus a `steps` ago; `series` is the ring that remembers it.
    Delta {
        /// Number of steps.
        steps: u16,
    },
    /// Mean of a over the newest `steps`.
    Mean {
        /// Number of steps.
        steps: u16,
    },
}

/// One node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Node {
    /// What it computes.
    pub(crate) op: Op,
    /// First operand.
    pub(crate) a: Slot,
    /// Second operand; the first again where there is none.
    pub(crate) b: Slot,
}

/// What a slot holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    /// A number or truth value given from outside, and how to name it.
    Input(String),
    /// Always this.
    Constant(f32),
    /// The result of a node.
    Node(Node),
}

/// A growing graph.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    slots: Vec<Content>,
    constants: BTreeMap<u32, Slot>,
    nodes: BTreeMap<Node, Slot>,
}

impl Graph {
    /// Whether more slots than can be numbered were asked for; the graph is then useless.
    pub(crate) fn overflowed(&self) -> bool {
        self.slots.len() > usize::from(Slot::MAX)
    }

    /// All slots.
    pub(crate) fn slots(&self) -> &[Content] {
        &self.slots
    }

    fn push(&mut self, content: Content) -> Slot {
        self.slots.push(content);
        (self.slots.len() - 1) as Slot
    }

    /// A new input called `name`.
    pub(crate) fn input(&mut self, name: String) -> Slot {
        self.push(Content::Input(name))
    }

    /// The slot of a constant.
    pub(crate) fn constant(&mut self, value: f32) -> Slot {
        if let Some(slot) = self.constants.get(&value.to_bits()) {
            return *slot;
        }
        let slot = self.push(Content::Constant(value));
        self.constants.insert(value.to_bits(), slot);
        slot
    }

    /// The slot of a truth value.
    pub(crate) fn truth(&mut self, value: bool) -> Slot {
        self.constant(f32::from(u8::from(value)))
    }

    /// The value of a constant slot.
    pub(crate) fn known(&self, slot: Slot) -> Option<f32> {
        match self.slots[usize::from(slot)] {
            Content::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// The slot of a node, which may turn out to be a constant or an operand.
    pub(crate) fn node(&mut self, op: Op, a: Slot, b: Slot) -> Slot {
        if let Some(simple) = self.simplify(op, a, b) {
            return simple;
        }
        // Commutative operands in one order, so that equal nodes are found equal.
        let (a, b) = match op {
            Op::Add | Op::Mul | Op::Min | Op::Max | Op::Equal | Op::And | Op::Or if b < a => (b, a),
            _ => (a, b),
        };
        let node = Node { op, a, b };
        if let Some(slot) = self.nodes.get(&node) {
            return *slot;
        }
        let slot = self.push(Content::Node(node));
        self.nodes.insert(node, slot);
        slot
    }

    fn simplify(&mut self, op: Op, a: Slot, b: Slot) -> Option<Slot> {
        let (ka, kb) = (self.known(a), self.known(b));
        match op {
            Op::And | Op::Or => {
                let neutral = if op == Op::And { 1.0 } else { 0.0 };
                match (ka, kb) {
                    (Some(value), _) => Some(if value == neutral { b } else { a }),
                    (_, Some(value)) => Some(if value == neutral { a } else { b }),
                    _ if a == b => Some(a),
                    _ => None,
                }
            }
            Op::Not => match (ka, &self.slots[usize::from(a)]) {
                (Some(value), _) => Some(self.constant(1.0 - value)),
                (_, Content::Node(Node { op: Op::Not, a, .. })) => Some(*a),
                _ => None,
            },
            Op::Choose(condition) => self
                .known(condition)
                .map(|value| if value == 0.0 { b } else { a }),
            Op::Delta { .. } => ka.map(|_| self.constant(0.0)),
            Op::Mean { .. } => ka.map(|_| a),
            _ => match (ka, kb) {
                (Some(x), Some(y)) => Some(self.constant(apply(op, x, y))),
                _ => None,
            },
        }
    }

    /// The expression of a slot as text.
    pub(crate) fn text(&self, slot: Slot) -> String {
        match &self.slots[usize::from(slot)] {
            Content::Input(name) => name.clone(),
            Content::Constant(value) => value.to_string(),
            Content::Node(Node { op, a, b }) => {
                let (a, b) = (self.text(*a), self.text(*b));
                match op {
                    Op::Add => format!("({a} + {b})"),
                    Op::Sub => format!("({a} - {b})"),
                    Op::Mul => format!("{a} * {b}"),
                    Op::Div => format!("{a} / {b}"),
                    Op::Min => format!("min({a}, {b})"),
                    Op::Max => format!("max({a}, {b})"),
                    Op::Abs => format!("abs({a})"),
                    Op::Less => format!("{a} < {b}"),
                    Op::LessEqual => format!("{a} <= {b}"),
                    Op::Equal => format!("{a} == {b}"),
                    Op::And => format!("({a} && {b})"),
                    Op::Or => format!("({a} || {b})"),
                    Op::Not => format!("!({a})"),
                    Op::Choose(c) => format!("({} ? {a} : {b})", self.text(*c)),
                    Op::Delta { steps } => format!("delta({a}, {steps})"),
                    Op::Mean { steps } => format!("mean({a}, {steps})"),
                }
            }
        }
    }
}

/// The result of a node without memory.
#[inline(always)]
pub(crate) fn apply(op: Op, a: f32, b: f32) -> f32 {
    let truth = |value: bool| f32::from(u8::from(value));
    match op {
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Div => a / b,
        Op::Min => a.min(b),
        Op::Max => a.max(b),
        Op::Abs => a.abs(),
        Op::Less => truth(a < b),
        Op::LessEqual => truth(a <= b),
        Op::Equal => truth(a == b),
        Op::And => a * b,
        Op::Or => a.max(b),
        Op::Not => 1.0 - a,
        Op::Choose(_) | Op::Delta { .. } | Op::Mean { .. } => a,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_parts_are_shared_and_constants_folded() {
        let mut graph = Graph::default();
        let x = graph.input("x".to_owned());
        let y = graph.input("y".to_owned());
        let sum = graph.node(Op::Add, x, y);
        assert_eq!(graph.node(Op::Add, y, x), sum);
        let two = graph.constant(2.0);
        let three = graph.constant(3.0);
        let five = graph.node(Op::Add, two, three);
        assert_eq!(graph.known(five), Some(5.0));
        let (yes, no) = (graph.truth(true), graph.truth(false));
        let high = graph.node(Op::Less, two, x);
        assert_eq!(graph.node(Op::And, high, yes), high);
        assert_eq!(graph.node(Op::And, no, high), no);
        assert_eq!(graph.node(Op::Or, high, yes), yes);
        let not = graph.node(Op::Not, high, high);
        assert_eq!(graph.node(Op::Not, not, not), high);
        assert_eq!(graph.text(not), "!(2 < x)");
    }
}
