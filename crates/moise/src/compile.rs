//! From a checked organization to the guides of a team.

mod contradictions;
mod goals;
mod rules;
mod team;

use std::collections::BTreeMap;

use crate::{
    During, Guides, Member, Organization, RawOrganization, SpecFault, Then, Vocabulary,
    code::{
        bind::{Binder, Unbound},
        graph::Slot,
        program::Program,
        syntax::{Term, parse},
    },
    guides::{AgentCode, Effect, Gate, Pays, Reached, Soft, Span, Value},
};
use goals::goal_order;

/// One rule for one subject (or without), bound.
struct Instance {
    /// Index of the rule in the file.
    rule: usize,
    condition: Slot,
    during: Span,
    /// The choices listed, per head.
    listed: Vec<Effect>,
}

/// Compiles one organization.
pub(crate) struct Compiler<'a> {
    organization: &'a Organization,
    vocabulary: &'a Vocabulary,
    faults: Vec<SpecFault>,
}

type Terms = BTreeMap<String, (Option<String>, Term)>;

impl<'a> Compiler<'a> {
    pub(crate) fn new(organization: &'a Organization, vocabulary: &'a Vocabulary) -> Self {
        Self {
            organization,
            vocabulary,
            faults: Vec::new(),
        }
    }

    fn raw(&self) -> &'a RawOrganization {
        self.organization.raw()
    }

    fn fault(
        &mut self,
        path: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.faults.push(SpecFault::new(path, message, hint));
    }

    fn bound<T>(&mut self, path: String, result: Result<T, Unbound>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(Unbound { message, hint }) => {
                self.fault(path, message, hint);
                None
            }
        }
    }

    pub(crate) fn compile(mut self, team: &[Member]) -> Result<Guides, Vec<SpecFault>> {
        self.team(team);
        let terms = self.label_terms();
        let raw = self.raw();
        let mut binder = Binder::new(
            self.vocabulary,
            &terms,
            raw.goals.keys().map(String::as_str),
        );
        let labels = self.labels(&mut binder);
        let instances = self.instances(&mut binder);
        let goals = self.goals(&mut binder);
        if binder.graph.overflowed() {
            self.fault("rules", "the organization is too large to compile", "");
        }
        if self.faults.is_empty() {
            self.contradictions(&binder, &instances, team);
        }
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        let (agents, effects) = self.agents(&instances, team);
        let mut guides = Guides {
            program: Program::new(&binder.graph, &[]).0,
            agents,
            effects,
            goal_order: goal_order(raw),
            goals,
            labels: labels.iter().map(|(slot, _)| *slot).collect(),
            label_names: labels.into_iter().map(|(_, name)| name).collect(),
            heads: self.vocabulary.subjects.len(),
            inputs: self.vocabulary.width(),
            all: self.vocabulary.all_choices(),
            bound: raw.reward.bound as f32 / team.len().max(1) as f32,
        };
        lay_out(&mut guides, &binder);
        Ok(guides)
    }

    fn label_terms(&mut self) -> Terms {
        let mut terms = Terms::new();
        let v = self.vocabulary;
        for (name, label) in &self.raw().labels {
            let taken = v.features.contains(name)
                || v.globals.contains(name)
                || v.subjects.contains(name)
                || v.facts.iter().any(|(n, _)| n == name)
                || v.sets.iter().any(|(n, _)| n == name)
                || v.relations.iter().any(|(n, _)| n == name)
                || [
                    "any", "delta", "mean", "goal", "min", "max", "abs", "sum", "average",
                ]
                .contains(&name.as_str());
            if taken {
                self.fault(
                    format!("labels.{name}"),
                    format!("`{name}` already means something else"),
                    "choose another name",
                );
            }
            if let Ok(term) = parse(&label.when) {
                terms.insert(name.clone(), (label.each.clone(), term));
            }
        }
        terms
    }

    /// Every label for every subject, with its name.
    fn labels<'b>(&mut self, binder: &mut Binder<'b>) -> Vec<(Slot, String)>
    where
        'a: 'b,
    {
        let mut labels = Vec::new();
        for (name, label) in &self.raw().labels {
            let path = format!("labels.{name}.when");
            if label.each.is_none() {
                let slot = binder.label(name, None);
                labels.extend(self.bound(path, slot).map(|slot| (slot, name.clone())));
                continue;
            }
            for (index, subject) in self.vocabulary.subjects.iter().enumerate() {
                let slot = binder.label(name, Some(index));
                let Some(slot) = self.bound(path.clone(), slot) else {
                    break;
                };
                labels.push((slot, format!("{name}({subject})")));
            }
        }
        labels
    }

    /// Instances of the rules that bind a role, hardest first, else in the order of the file.
    fn rules_of<'b>(
        &self,
        instances: &'b [Instance],
        role: &str,
    ) -> impl Iterator<Item = &'b Instance> + use<'b, 'a> {
        let supers = self.organization.closure().supers.get(role);
        let rules = &self.raw().rules;
        let mut bound: Vec<&Instance> = instances
            .iter()
            .filter(|i| supers.is_some_and(|s| s.contains(&rules[i.rule].role)))
            .collect();
        bound.sort_by(|a, b| rules[b.rule].hardness.total_cmp(&rules[a.rule].hardness));
        bound.into_iter()
    }

    /// What a rule leaves of the heads it mentions, if it masks at all.
    fn mask(&self, instance: &Instance) -> Option<Vec<Effect>> {
        let rule = &self.raw().rules[instance.rule];
        let invert = match rule.then {
            _ if rule.hardness < 1.0 => return None,
            Then::Allow(_) => false,
            Then::Forbid(_) => true,
            Then::Prefer(_) | Then::Avoid(_) => return None,
        };
        let all = self.vocabulary.all_choices();
        let mask = |e: &Effect| Effect {
            choices: if invert { all & !e.choices } else { e.choices },
            ..*e
        };
        Some(instance.listed.iter().map(mask).collect())
    }

    fn agents(&self, instances: &[Instance], team: &[Member]) -> (Vec<AgentCode>, Vec<Effect>) {
        let mut effects: Vec<Effect> = Vec::new();
        let mut agents = Vec::new();
        let all = self.vocabulary.all_choices();
        for member in team {
            let mut code = AgentCode::default();
            for instance in self.rules_of(instances, &member.role) {
                let rule = &self.raw().rules[instance.rule];
                let start = effects.len() as u32;
                let mask = self.mask(instance);
                let hard = mask.is_some();
                effects.extend(mask.unwrap_or_else(|| instance.listed.clone()));
                let gate = Gate {
                    condition: instance.condition,
                    during: instance.during,
                    effects: (start, effects.len() as u32),
                };
                if hard {
                    code.gates.push(gate);
                    continue;
                }
                let penalty = rule.penalty as f32;
                let (pays, amount) = match rule.then {
                    Then::Allow(_) => (Pays::Outside, penalty),
                    Then::Forbid(_) | Then::Avoid(_) => (Pays::Inside, penalty),
                    Then::Prefer(_) => (Pays::Inside, -penalty),
                };
                code.soft.push(Soft { gate, pays, amount });
            }
            code.bonuses = self.bonuses(&member.role);
            agents.push(code);
        }
        debug_assert!(effects.iter().all(|e| e.choices & all != 0));
        (agents, effects)
    }
}

/// Lays out the code and moves every slot to where the layout put it.
fn lay_out(guides: &mut Guides, binder: &Binder<'_>) {
    let mut slots: Vec<&mut Slot> = Vec::new();
    slots.extend(guides.labels.iter_mut());
    for agent in &mut guides.agents {
        slots.extend(agent.gates.iter_mut().map(|gate| &mut gate.condition));
        slots.extend(agent.soft.iter_mut().map(|soft| &mut soft.gate.condition));
    }
    for goal in &mut guides.goals {
        if let Reached::When(slot) = &mut goal.reached {
            slots.push(slot);
        }
        if let Value::Dense(slot) = &mut goal.value {
            slots.push(slot);
        }
    }
    let wanted: Vec<Slot> = slots.iter().map(|slot| **slot).collect();
    let (program, place) = Program::new(&binder.graph, &wanted);
    for slot in slots {
        *slot = place[usize::from(*slot)];
    }
    guides.program = program;
}

fn span(during: Option<During>) -> Span {
    let During { from, to } = during.unwrap_or_default();
    (from, to.unwrap_or(u32::MAX))
}
