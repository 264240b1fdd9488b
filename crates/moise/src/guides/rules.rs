//! What rules do to a step: which fire, and what they leave to choose from.
//!
//! Choices are bits of a byte, and where a gate fires is a byte of all bits or none, so that a vector
//! holds what sixteen games are allowed at one head.

use super::{ALWAYS, Effect, Gate, Guides, Span};
use crate::code::{lanes, program::Memory};

/// What rules do to the newest step.
#[derive(Clone, Debug)]
pub(super) struct Said<const L: usize> {
    /// Allowed choices, agents × heads.
    pub(super) masks: Vec<[u8; L]>,
    /// Whether any rule of each agent fired.
    pub(super) fired: Vec<[u8; L]>,
    /// Rules that were skipped because they would have left no choice.
    pub(super) conflicts: [u32; L],
}

impl<const L: usize> Default for Said<L> {
    fn default() -> Self {
        Self {
            masks: Vec::new(),
            fired: Vec::new(),
            conflicts: [0; L],
        }
    }
}

impl Guides {
    /// Says what rules do to a step, given the steps before it.
    pub(super) fn apply_rules<const L: usize>(
        &self,
        steps: &[u32; L],
        memory: &Memory<L>,
        said: &mut Said<L>,
    ) {
        said.masks.clear();
        let heads = self.agents.len() * self.heads;
        said.masks.resize(heads, [self.all; L]);
        said.fired.clear();
        said.conflicts = [0; L];
        let masks = said.masks.chunks_exact_mut(self.heads);
        for (agent, masks) in self.agents.iter().zip(masks) {
            let mut fired = [0; L];
            let mut note = |gate: &Gate| {
                let fires = fires(gate, memory, steps);
                for (fired, fires) in fired.iter_mut().zip(fires) {
                    *fired |= fires;
                }
                fires
            };
            for gate in &agent.gates {
                let fires = note(gate);
                self.restrict(gate, &fires, masks, &mut said.conflicts);
            }
            for soft in &agent.soft {
                note(&soft.gate);
            }
            said.fired.push(fired);
        }
    }

    #[inline]
    pub(super) fn effects(&self, gate: &Gate) -> &[Effect] {
        &self.effects[gate.effects.0 as usize..gate.effects.1 as usize]
    }

    /// Restricts the masks where a gate fires; heads that would be left without a choice keep theirs
    /// and are counted.
    fn restrict<const L: usize>(
        &self,
        gate: &Gate,
        fires: &[u8; L],
        masks: &mut [[u8; L]],
        conflicts: &mut [u32; L],
    ) {
        for effect in self.effects(gate) {
            let mut clashes = *fires;
            let masks = masks[usize::from(effect.head)].iter_mut().zip(fires);
            for ((mask, fires), clash) in masks.zip(&mut clashes) {
                let left = *mask & effect.choices;
                *clash &= if left == 0 { u8::MAX } else { 0 };
                *mask &= effect.choices | *clash | !fires;
            }
            // They are rare, and wider than masks.
            if clashes != [0; L] {
                for (conflicts, clash) in conflicts.iter_mut().zip(clashes) {
                    *conflicts += u32::from(clash & 1);
                }
            }
        }
    }
}

/// Where a gate fires, all bits of a byte.
#[inline]
pub(super) fn fires<const L: usize>(gate: &Gate, memory: &Memory<L>, steps: &[u32; L]) -> [u8; L] {
    let mut fires = lanes::masks(memory.value(gate.condition));
    if gate.during != ALWAYS {
        for (fires, step) in fires.iter_mut().zip(steps) {
            *fires &= if within(gate.during, *step) {
                u8::MAX
            } else {
                0
            };
        }
    }
    fires
}

/// Whether a step is one of `during`.
#[inline]
pub(super) fn within(during: Span, step: u32) -> bool {
    (during.0 <= step) & (step < during.1)
}
