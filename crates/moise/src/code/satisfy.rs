//! Whether conditions can hold together, by searching the truth of their atoms.
//!
//! Atoms are comparisons, goals and other truths without logical operators. Comparisons of one
//! number with constants exclude each other as intervals do; beyond that atoms are free, so that
//! "can hold" may be too generous but "cannot" is never wrong about measured numbers.

use std::collections::BTreeMap;

use super::graph::{Content, Graph, Node, Op, Slot};

/// Most atoms tried before giving up.
const BUDGET: u32 = 20_000;

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// They can; these atoms show how, as text.
    Can(Vec<String>),
    /// They cannot.
    Cannot,
    /// Too many possibilities.
    Unknown,
}

struct Search<'a> {
    graph: &'a Graph,
    truths: BTreeMap<Slot, bool>,
    tried: u32,
}

/// Whether all of `conditions` can hold at one step.
pub(crate) fn together(graph: &Graph, conditions: &[Slot]) -> Answer {
    let mut search = Search {
        graph,
        truths: BTreeMap::new(),
        tried: 0,
    };
    match search.solve(conditions) {
        Some(true) => {
            let text = |(slot, truth): (&Slot, &bool)| {
                let text = graph.text(*slot);
                if *truth { text } else { format!("!({text})") }
            };
            Answer::Can(search.truths.iter().map(text).collect())
        }
        Some(false) => Answer::Cannot,
        None => Answer::Unknown,
    }
}

impl Search<'_> {
    fn solve(&mut self, conditions: &[Slot]) -> Option<bool> {
        let mut open = None;
        for condition in conditions {
            match self.value(*condition) {
                Ok(false) => return Some(false),
                Ok(true) => {}
                Err(atom) => open = open.or(Some(atom)),
            }
        }
        let Some(atom) = open else {
            return Some(true);
        };
        for truth in [true, false] {
            self.tried += 1;
            if self.tried > BUDGET {
                return None;
            }
            self.truths.insert(atom, truth);
            if self.consistent(atom) && self.solve(conditions)? {
                return Some(true);
            }
            self.truths.remove(&atom);
        }
        Some(false)
    }

    /// The truth of a slot, or an atom it still hangs on.
    fn value(&self, slot: Slot) -> Result<bool, Slot> {
        if let Some(truth) = self.truths.get(&slot) {
            return Ok(*truth);
        }
        match &self.graph.slots()[usize::from(slot)] {
            Content::Constant(value) => Ok(*value != 0.0),
            Content::Input(_) => Err(slot),
            Content::Node(Node { op, a, b }) => match op {
                Op::Not => self.value(*a).map(|v| !v),
                Op::And | Op::Or => {
                    let decisive = *op == Op::Or;
                    match (self.value(*a), self.value(*b)) {
                        (Ok(v), _) | (_, Ok(v)) if v == decisive => Ok(v),
                        (Err(atom), _) | (_, Err(atom)) => Err(atom),
                        _ => Ok(!decisive),
                    }
                }
                Op::Choose(c) => match self.value(*c) {
                    Ok(true) => self.value(*a),
                    Ok(false) => self.value(*b),
                    Err(atom) => Err(atom),
                },
                _ => Err(slot),
            },
        }
    }

    /// The comparison of a number with a constant: (number, constant, whether the number is the
    /// smaller, whether equal counts).
    fn comparison(&self, slot: Slot) -> Option<(Slot, f32, bool, bool)> {
        let Content::Node(Node { op, a, b }) = self.graph.slots()[usize::from(slot)] else {
            return None;
        };
        let equal = match op {
            Op::Less => false,
            Op::LessEqual => true,
            _ => return None,
        };
        match (self.graph.known(a), self.graph.known(b)) {
            (None, Some(bound)) => Some((a, bound, true, equal)),
            (Some(bound), None) => Some((b, bound, false, equal)),
            _ => None,
        }
    }

    /// Whether the number compared in `atom` can still have a value.
    fn consistent(&self, atom: Slot) -> bool {
        let Some((number, ..)) = self.comparison(atom) else {
            return true;
        };
        // Bounds with a flag: whether the bound itself is excluded.
        let (mut low, mut high) = ((f32::NEG_INFINITY, false), (f32::INFINITY, false));
        for (slot, truth) in &self.truths {
            let Some((of, bound, smaller, equal)) = self.comparison(*slot) else {
                continue;
            };
            if of != number {
                continue;
            }
            // A comparison that fails bounds the number from the other side.
            let (upper, excluded) = if *truth {
                (smaller, !equal)
            } else {
                (!smaller, equal)
            };
            if upper && (bound < high.0 || (bound == high.0 && excluded)) {
                high = (bound, excluded);
            }
            if !upper && (bound > low.0 || (bound == low.0 && excluded)) {
                low = (bound, excluded);
            }
        }
        low.0 < high.0 || (low.0 == high.0 && !low.1 && !high.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_and_negations_exclude_each_other() {
        let mut g = Graph::default();
        let x = g.input("x".to_owned());
        let y = g.input("y".to_owned());
        let (one, two) = (g.constant(1.0), g.constant(2.0));
        let low = g.node(Op::Less, x, one);
        let high = g.node(Op::Less, two, x);
        let high_y = g.node(Op::Less, two, y);
        let not_high = g.node(Op::Not, high, high);
        let either = g.node(Op::Or, low, high_y);
        assert_eq!(together(&g, &[low, high]), Answer::Cannot);
        assert_eq!(together(&g, &[high, not_high]), Answer::Cannot);
        assert!(matches!(together(&g, &[either, high]), Answer::Can(_)));
        let at_most = g.node(Op::LessEqual, x, two);
        let at_least = g.node(Op::LessEqual, two, x);
        assert!(matches!(together(&g, &[at_most, at_least]), Answer::Can(_)));
        assert_eq!(together(&g, &[at_most, high]), Answer::Cannot);
    }
}
