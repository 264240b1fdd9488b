//! Guides of a team at work: masks, fired rules and rewards of one step.

use serde::{Deserialize, Serialize};

use crate::{
    GoalKind, Operator, Payout,
    code::{
        graph::Slot,
        program::{Memory, Program},
    },
};

/// Steps in which something holds: from the first to before the second.
pub(crate) type Span = (u32, u32);

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

/// What guides remember of one game.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    memory: Memory,
    /// Whether each goal is satisfied, as code reads it.
    satisfied: Vec<f32>,
    /// Whether each goal has paid in this episode.
    paid: Vec<bool>,
    /// Whether each goal's condition held at the step before.
    held: Vec<bool>,
    /// What each goal pays for the newest step.
    pay: Vec<f32>,
}

/// What guides say about one step.
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

    /// The memory of a game that has not started.
    #[must_use]
    pub fn state(&self) -> State {
        let goals = self.goals.len();
        State {
            memory: self.program.memory(),
            satisfied: vec![0.0; goals],
            paid: vec![false; goals],
            held: vec![false; goals],
            pay: vec![0.0; goals],
        }
    }

    /// Forgets a game.
    pub fn reset(&self, state: &mut State) {
        self.program.reset(&mut state.memory);
        state.satisfied.fill(0.0);
        state.paid.fill(false);
        state.held.fill(false);
        state.pay.fill(0.0);
    }

    /// Takes in the numbers of one step and says what is allowed now.
    ///
    /// # Panics
    /// If `numbers` is not as long as the vocabulary says.
    pub fn observe(&self, state: &mut State, numbers: &[f32], out: &mut Guidance) {
        assert_eq!(numbers.len(), self.inputs);
        let step = state.memory.steps();
        self.program
            .step(&mut state.memory, numbers, &state.satisfied);
        out.masks.clear();
        out.masks.resize(self.agents.len() * self.heads, self.all);
        out.fired.clear();
        out.conflicts = 0;
        for (agent, masks) in self
            .agents
            .iter()
            .zip(out.masks.chunks_exact_mut(self.heads))
        {
            let mut fired = false;
            for gate in &agent.gates {
                if self.fires(gate, &state.memory, step) {
                    fired = true;
                    out.conflicts += self.restrict(gate, masks);
                }
            }
            for soft in &agent.soft {
                fired |= self.fires(&soft.gate, &state.memory, step);
            }
            out.fired.push(fired);
        }
        out.labels.clear();
        let labels = self.labels.iter();
        out.labels
            .extend(labels.map(|slot| state.memory.value(*slot) != 0.0));
        self.advance_goals(state);
    }

    #[inline]
    fn fires(&self, gate: &Gate, memory: &Memory, step: u32) -> bool {
        let now = step >= gate.during.0 && step < gate.during.1;
        now && memory.value(gate.condition) != 0.0
    }

    fn effects(&self, gate: &Gate) -> &[Effect] {
        &self.effects[gate.effects.0 as usize..gate.effects.1 as usize]
    }

    /// Restricts the masks; heads that would be left without a choice keep theirs and are counted.
    #[inline]
    fn restrict(&self, gate: &Gate, masks: &mut [u8]) -> u32 {
        let mut conflicts = 0;
        for effect in self.effects(gate) {
            let mask = &mut masks[usize::from(effect.head)];
            let left = *mask & effect.choices;
            if left == 0 {
                conflicts += 1;
            } else {
                *mask = left;
            }
        }
        conflicts
    }

    /// Follows which goals are reached and what they pay for this step.
    fn advance_goals(&self, state: &mut State) {
        for index in &self.goal_order {
            let goal = &self.goals[*index];
            let satisfied = |other: &usize| state.satisfied[*other] != 0.0;
            let enabled = goal.after.as_ref().is_none_or(satisfied);
            let holds = enabled
                && match &goal.reached {
                    Reached::When(slot) => state.memory.value(*slot) != 0.0,
                    Reached::Plan(Operator::Choice, parts) => parts.iter().any(satisfied),
                    Reached::Plan(Operator::Parallel, parts) => parts.iter().all(satisfied),
                    Reached::Plan(Operator::Sequence, parts) => parts.last().is_some_and(satisfied),
                    Reached::Never => false,
                };
            let pays = match goal.payout {
                Payout::Once => holds && !state.paid[*index],
                Payout::OnCompletion => holds && !state.held[*index],
                Payout::EveryStep => holds,
                Payout::Dense => true,
            };
            state.pay[*index] = match goal.value {
                _ if !pays => 0.0,
                Value::Constant(value) => value,
                Value::Dense(slot) => {
                    let value = state.memory.value(slot);
                    if value.is_nan() {
                        0.0
                    } else {
                        value.clamp(-1.0, 1.0)
                    }
                }
            };
            state.paid[*index] |= holds;
            state.held[*index] = holds;
            let lasting = goal.kind == GoalKind::Achievement && satisfied(index);
            state.satisfied[*index] = f32::from(u8::from(holds || lasting));
        }
    }

    /// Adds to `rewards` (one per agent) what the guides pay for the step last observed, given the
    /// choices (agents × heads) made in it.
    ///
    /// # Panics
    /// If a length does not match.
    pub fn reward(&self, state: &State, choices: &[u8], rewards: &mut [f32]) {
        assert!(rewards.len() == self.agents.len());
        assert!(choices.len() == self.agents.len() * self.heads);
        // The step last observed; the memory counts it already.
        let step = state.memory.steps().saturating_sub(1);
        let agents = self.agents.iter().zip(choices.chunks_exact(self.heads));
        for ((agent, choices), reward) in agents.zip(rewards) {
            let mut total = 0.0;
            for bonus in &agent.bonuses {
                if step >= bonus.during.0 && step < bonus.during.1 {
                    total += bonus.factor * state.pay[usize::from(bonus.goal)];
                }
            }
            for soft in &agent.soft {
                if self.fires(&soft.gate, &state.memory, step) {
                    let inside = |e: &Effect| (e.choices >> choices[usize::from(e.head)]) & 1 == 1;
                    let effects = self.effects(&soft.gate);
                    let due = match soft.pays {
                        Pays::Inside => effects.iter().any(inside),
                        Pays::Outside => !effects.iter().all(inside),
                    };
                    total += if due { soft.amount } else { 0.0 };
                }
            }
            *reward += total.clamp(-self.bound, self.bound);
        }
    }
}
