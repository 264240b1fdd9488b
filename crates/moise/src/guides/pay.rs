//! What a step pays: goals reached, and choices made where soft rules fire.

use super::{
    Effect, Guides, Pays, Reached, Soft, State, Value,
    rules::{fires, within},
};
use crate::{GoalKind, Operator, Payout, code::lanes};

impl Guides {
    /// Follows which goals are reached and what they pay for this step.
    pub(super) fn advance_goals<const L: usize>(&self, state: &mut State<L>) {
        for index in &self.goal_order {
            let goal = &self.goals[*index];
            let satisfied = &mut state.satisfied;
            let parts = |parts: &[usize], start, of: fn(&[f32; L], &[f32; L]) -> [f32; L]| {
                let parts = parts.iter().map(|part| &satisfied[*part]);
                parts.fold([start; L], |so_far, part| of(&so_far, part))
            };
            let mut holds = match &goal.reached {
                // Truths are 0 and 1.
                Reached::When(slot) => *state.memory.value(*slot),
                Reached::Plan(Operator::Choice, list) => parts(list, 0.0, lanes::either),
                Reached::Plan(Operator::Parallel, list) => parts(list, 1.0, lanes::both),
                Reached::Plan(Operator::Sequence, list) => {
                    list.last().map_or([0.0; L], |last| satisfied[*last])
                }
                Reached::Never => [0.0; L],
            };
            if let Some(before) = goal.after {
                holds = lanes::both(&holds, &satisfied[before]);
            }
            let (paid, held) = (&mut state.paid[*index], &mut state.held[*index]);
            let anew = |of: &[f32; L]| lanes::each(&holds, of, |holds, of| holds * (1.0 - of));
            let pays = match goal.payout {
                Payout::Once => anew(paid),
                Payout::OnCompletion => anew(held),
                Payout::EveryStep => holds,
                Payout::Dense => [1.0; L],
            };
            let worth = match goal.value {
                Value::Constant(value) => [value; L],
                Value::Dense(slot) => state.memory.value(slot).map(|value| {
                    if value.is_nan() {
                        0.0
                    } else {
                        value.clamp(-1.0, 1.0)
                    }
                }),
            };
            state.pay[*index] = lanes::each(
                &pays,
                &worth,
                |pays, worth| {
                    if pays == 0.0 { 0.0 } else { worth }
                },
            );
            *paid = lanes::either(paid, &holds);
            *held = holds;
            let lasting = match goal.kind {
                GoalKind::Achievement => satisfied[*index],
                GoalKind::Maintenance => [0.0; L],
            };
            satisfied[*index] = lanes::either(&holds, &lasting);
        }
    }

    /// Adds to `rewards` (games × agents) what the guides pay for the step last observed, given the
    /// choices (games × agents × heads) made in it: to as many games as `rewards` holds.
    ///
    /// # Panics
    /// If a length does not match.
    pub fn reward<const L: usize>(&self, state: &State<L>, choices: &[u8], rewards: &mut [f32]) {
        let (agents, heads) = (self.agents.len(), self.agents.len() * self.heads);
        assert!(rewards.len().is_multiple_of(agents) && rewards.len() <= L * agents);
        assert!(choices.len() == rewards.len() * self.heads);
        // The step last observed; the memory counts it already.
        let steps = state.memory.steps().map(|steps| steps.saturating_sub(1));
        for (at, agent) in self.agents.iter().enumerate() {
            let mut totals = [0.0; L];
            for bonus in &agent.bonuses {
                let pay = &state.pay[usize::from(bonus.goal)];
                for ((total, pay), step) in totals.iter_mut().zip(pay).zip(&steps) {
                    *total += if within(bonus.during, *step) {
                        bonus.factor * pay
                    } else {
                        0.0
                    };
                }
            }
            for soft in &agent.soft {
                let fires = fires(&soft.gate, &state.memory, &steps);
                let choices = choices.chunks_exact(heads);
                for ((total, fires), choices) in totals.iter_mut().zip(fires).zip(choices) {
                    let choices = &choices[at * self.heads..][..self.heads];
                    let due = fires != 0 && self.is_due(soft, choices);
                    *total += if due { soft.amount } else { 0.0 };
                }
            }
            let totals = totals.map(|total| total.clamp(-self.bound, self.bound));
            for (rewards, total) in rewards.chunks_exact_mut(agents).zip(totals) {
                rewards[at] += total;
            }
        }
    }

    /// Whether a soft rule that fires pays for an agent's choices (one per head).
    fn is_due(&self, soft: &Soft, choices: &[u8]) -> bool {
        let inside = |e: &Effect| (e.choices >> choices[usize::from(e.head)]) & 1 == 1;
        let mut effects = self.effects(&soft.gate).iter();
        match soft.pays {
            Pays::Inside => effects.any(inside),
            Pays::Outside => !effects.all(inside),
        }
    }
}
