//! Goals, and what agents are paid for them.

use std::collections::BTreeMap;

use super::{Compiler, span};
use crate::{
    NormKind, Operator, Payout, RawOrganization,
    code::{bind::Binder, syntax::parse},
    guides::{Bonus, GoalCode, Reached, Span, Value},
};

impl Compiler<'_> {
    pub(super) fn goals(&mut self, binder: &mut Binder<'_>) -> Vec<GoalCode> {
        let raw = self.raw();
        let index_of = |name: &str| raw.goals.keys().position(|g| g == name);
        let mut goals = Vec::new();
        for (name, goal) in &raw.goals {
            let plan = raw.plans.iter().find(|p| p.goal == *name);
            let reached = match (&goal.when, plan) {
                (Some(when), _) => {
                    let Ok(term) = parse(when) else { continue };
                    let slot = binder.truth(&term, &mut Vec::new());
                    match self.bound(format!("goals.{name}.when"), slot) {
                        Some(slot) => Reached::When(slot),
                        None => continue,
                    }
                }
                (None, Some(plan)) => {
                    let parts = plan.goals.iter().filter_map(|g| index_of(g));
                    Reached::Plan(plan.operator, parts.collect())
                }
                (None, None) => Reached::Never,
            };
            let value = match (&goal.value, goal.payout) {
                (Some(text), Payout::Dense) => {
                    let Ok(term) = parse(text) else { continue };
                    let slot = binder.number(&term, &mut Vec::new());
                    match self.bound(format!("goals.{name}.value"), slot) {
                        Some(slot) => Value::Dense(slot),
                        None => continue,
                    }
                }
                (Some(text), _) => Value::Constant(text.trim().parse().unwrap_or(0.0)),
                (None, _) => Value::Constant(1.0),
            };
            let after = raw
                .plans
                .iter()
                .filter(|p| p.operator == Operator::Sequence)
                .find_map(|p| {
                    let place = p.goals.iter().position(|g| g == name)?;
                    index_of(p.goals.get(place.checked_sub(1)?)?)
                });
            goals.push(GoalCode {
                reached,
                after,
                kind: goal.kind,
                payout: goal.payout,
                value,
            });
        }
        goals
    }

    /// What a role is paid for: each mission once, at its strongest norm.
    pub(super) fn bonuses(&self, role: &str) -> Vec<Bonus> {
        let raw = self.raw();
        let mut strongest: BTreeMap<&str, (NormKind, Span)> = BTreeMap::new();
        let norms = self.organization.closure().norms.get(role);
        for norm in norms.into_iter().flatten().map(|i| &raw.norms[*i]) {
            let entry = strongest
                .entry(&norm.mission)
                .or_insert((norm.kind, span(norm.during)));
            if norm.kind > entry.0 {
                *entry = (norm.kind, span(norm.during));
            }
        }
        let mut bonuses = Vec::new();
        for (mission, (kind, during)) in strongest {
            let p = f64::from(u8::from(kind == NormKind::Obligation));
            let deontic = 1.0 / (1.0 - p + raw.reward.epsilon);
            for goal in &raw.missions[mission].goals {
                if let Some(index) = raw.goals.keys().position(|g| *g == goal.goal) {
                    bonuses.push(Bonus {
                        goal: index as u16,
                        factor: (goal.weight * deontic) as f32,
                        during,
                    });
                }
            }
        }
        bonuses
    }
}

/// Goals in an order in which sub-goals, and predecessors in sequences, come first.
pub(super) fn goal_order(raw: &RawOrganization) -> Vec<usize> {
    let names: Vec<&String> = raw.goals.keys().collect();
    let mut order: Vec<usize> = Vec::new();
    fn place(raw: &RawOrganization, names: &[&String], name: &str, order: &mut Vec<usize>) {
        for plan in raw.plans.iter().filter(|p| p.goal == name) {
            for goal in &plan.goals {
                place(raw, names, goal, order);
            }
        }
        if let Some(index) = names.iter().position(|n| *n == name)
            && !order.contains(&index)
        {
            order.push(index);
        }
    }
    for name in &names {
        place(raw, &names, name, &mut order);
    }
    order
}
