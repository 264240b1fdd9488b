//! Guides of a team at work: masks, fired rules and rewards of one step of games side by side.

mod pay;
mod rules;

use serde::{Deserialize, Serialize};

use crate::{
    GoalKind, Operator, Payout,
    code::{
        graph::Slot,
        lanes,
        program::{Memory, Program},
    },
};
use rules::Said;

/// Steps in which something holds: from the first to before the second.
pub(crate) type Span = (u32, u32);

/// All steps.
pub(crate) const ALWAYS: Span = (0, u32::MAX);

/// A head and some of its choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) head: u16,
    pub(crate) choices: u8,
}

/// One rule for one agent (and subject) that masks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    pub(crate) condition: Slot,
    pub(crate) during: Span,
    /// Range of the effects.
    pub(crate) effects: (u32, u32),
}

/// When a soft rule pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pays {
    /// When a head's choice is outside.
    Outside,
    /// When a head's choice is inside.
    Inside,
}

/// One rule for one agent (and subject) that pays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Soft {
    pub(crate) gate: Gate,
    pub(crate) pays: Pays,
    pub(crate) amount: f32,
}

/// How a goal is known to be reached.
#[derive(Clone, Debug)]
pub(crate) enum Reached {
    /// By a condition.
    When(Slot),
    /// By its plan's sub-goals.
    Plan(Operator, Vec<usize>),
    /// Never finished.
    Never,
}

/// What a goal pays.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value {
    Constant(f32),
    Dense(Slot),
}

/// One goal.
#[derive(Clone, Debug)]
pub(crate) struct GoalCode {
    pub(crate) reached: Reached,
    /// The goal before it in a sequence, without which it is not enabled.
    pub(crate) after: Option<usize>,
    pub(crate) kind: GoalKind,
    pub(crate) payout: Payout,
    pub(crate) value: Value,
}

/// A goal that an agent is paid for: weight × deontic factor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bonus {
    pub(crate) goal: u16,
    pub(crate) factor: f32,
    pub(crate) during: Span,
}

/// What guides one agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct AgentCode {
    /// Hard rules in order of precedence.
    pub(crate) gates: Vec<Gate>,
    pub(crate) soft: Vec<Soft>,
    pub(crate) bonuses: Vec<Bonus>,
}

/// Compiled guides of a team. They hold no state of any game.
#[derive(Clone, Debug)]
pub struct Guides {
    pub(crate) program: Program,
    pub(crate) agents: Vec<AgentCode>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) goals: Vec<GoalCode>,
    /// Goals, sub-goals first.
    pub(crate) goal_order: Vec<usize>,
    pub(crate) labels: Vec<Slot>,
    pub(crate) label_names: Vec<String>,
    pub(crate) heads: usize,
    pub(crate) inputs: usize,
    pub(crate) all: u8,
    /// Most that one agent's guides add or take per step.
    pub(crate) bound: f32,
}

/// What guides remember of `L` games, side by side, and say about the newest step of each.
///
/// Games are independent: they may have begun at different times, and what guides say of one is what
/// they would say of it alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State<const L: usize> {
    memory: Memory<L>,
    /// Whether each goal is satisfied, as code reads it.
    #[serde(with = "lanes::bits")]
    satisfied: Vec<[f32; L]>,
    /// Whether each goal has paid in this episode.
    #[serde(with = "lanes::bits")]
    paid: Vec<[f32; L]>,
    /// Whether each goal's condition held at the step before.
    #[serde(with = "lanes::bits")]
    held: Vec<[f32; L]>,
    /// What each goal pays for the newest step.
    #[serde(with = "lanes::bits")]
    pay: Vec<[f32; L]>,
    /// Said anew at every step.
    #[serde(skip)]
    said: Said<L>,
}

/// What guides say about one step of one game.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guidance {
    /// Allowed choices, agents × heads (agent-major); bit c = choice c. Never 0.
    pub masks: Vec<u8>,
    /// Whether any rule of the agent fired.
    pub fired: Vec<bool>,
    /// Which labels hold, in the order of [`Guides::label_names`].
    pub labels: Vec<bool>,
    /// Rules that were skipped at a head in this step because they would have left no choice.
    pub conflicts: u32,
}

impl Guides {
    /// Number of agents.
    #[must_use]
    pub fn agents(&self) -> usize {
        self.agents.len()
    }

    /// Names of the labels, e.g. `queue_high(b)`.
    #[must_use]
    pub fn label_names(&self) -> &[String] {
        &self.label_names
    }

    /// The memory of games that have not started.
    #[must_use]
    pub fn state<const L: usize>(&self) -> State<L> {
        let nothing = vec![[0.0; L]; self.goals.len()];
        State {
            memory: self.program.memory(),
            satisfied: nothing.clone(),
            paid: nothing.clone(),
            held: nothing.clone(),
            pay: nothing,
            said: Said::default(),
        }
    }

    /// Forgets a game.
    ///
    /// # Panics
    /// If there is no such game.
    pub fn reset<const L: usize>(&self, state: &mut State<L>, game: usize) {
        self.program.reset(&mut state.memory, game);
        for goals in [
            &mut state.satisfied,
            &mut state.paid,
            &mut state.held,
            &mut state.pay,
        ] {
            for goal in goals {
                goal[game] = 0.0;
            }
        }
    }

    /// The numbers of the next step of each game, as many as the vocabulary says: until they are
    /// written, those of the step before.
    #[inline]
    pub fn numbers<'s, const L: usize>(&self, state: &'s mut State<L>) -> &'s mut [[f32; L]] {
        &mut self.program.inputs(&mut state.memory)[..self.inputs]
    }

    /// Takes in one step of each game, whose [numbers](Self::numbers) have been written.
    pub fn observe<const L: usize>(&self, state: &mut State<L>) {
        let steps = *state.memory.steps();
        self.program.inputs(&mut state.memory)[self.inputs..].copy_from_slice(&state.satisfied);
        self.program.step(&mut state.memory);
        self.apply_rules(&steps, &state.memory, &mut state.said);
        self.advance_goals(state);
    }

    /// Writes what is allowed in the step last observed, games × agents × heads: of as many games as
    /// `out` holds.
    ///
    /// # Panics
    /// If `out` is no whole number of games, or nothing was observed.
    pub fn masks<const L: usize>(&self, state: &State<L>, out: &mut [u8]) {
        let masks = &state.said.masks;
        assert!(masks.len() == self.agents.len() * self.heads && !masks.is_empty());
        assert!(out.len().is_multiple_of(masks.len()) && out.len() <= L * masks.len());
        for (game, out) in out.chunks_exact_mut(masks.len()).enumerate() {
            for (out, masks) in out.iter_mut().zip(masks) {
                *out = masks[game];
            }
        }
    }

    /// Writes what guides say about the step last observed of one game.
    ///
    /// # Panics
    /// If there is no such game.
    pub fn guidance<const L: usize>(&self, state: &State<L>, game: usize, out: &mut Guidance) {
        let said = &state.said;
        out.masks.clear();
        out.masks.extend(said.masks.iter().map(|masks| masks[game]));
        out.fired.clear();
        let fired = said.fired.iter().map(|fired| fired[game] != 0);
        out.fired.extend(fired);
        out.labels.clear();
        let labels = self.labels.iter();
        out.labels
            .extend(labels.map(|slot| state.memory.value(*slot)[game] != 0.0));
        out.conflicts = said.conflicts[game];
    }
}
