//! From a checked organization to the guides of a team.

use std::collections::BTreeMap;

use crate::{
    During, Group, Guides, Member, NormKind, Operator, Organization, Payout, RawOrganization, Rule,
    SpecFault, Then, Vocabulary,
    code::{
        bind::{Binder, Unbound, Variables},
        graph::Slot,
        program::Program,
        satisfy::{Answer, together},
        syntax::{Term, parse},
    },
    error::did_you_mean,
    guides::{AgentCode, Bonus, Effect, Gate, GoalCode, Pays, Reached, Soft, Span, Value},
};

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

    /// Checks agents against roles, abstract roles and cardinalities.
    fn team(&mut self, team: &[Member]) {
        let raw = self.raw();
        for member in team {
            let role = &member.role;
            if !raw.roles.contains_key(role) {
                let hint = did_you_mean(role, raw.roles.keys().map(String::as_str));
                self.fault(
                    "roles",
                    format!(
                        "agent `{}` has role `{role}`, which is not here",
                        member.name
                    ),
                    hint,
                );
            } else if !self.organization.closure().playable.contains(role) {
                self.fault(
                    format!("roles.{role}"),
                    format!("is abstract, yet agent `{}` plays it", member.name),
                    "list it among the roles of a group",
                );
            }
        }
        let mut ranges: BTreeMap<&str, (String, u32, Option<u32>)> = BTreeMap::new();
        for (name, group) in &raw.groups {
            add_ranges(&format!("groups.{name}"), group, &mut ranges);
        }
        for (role, (path, min, max)) in ranges {
            let players = team.iter().filter(|m| m.role == role).count() as u32;
            if players < min || max.is_some_and(|max| players > max) {
                let most = max.map_or("any number".to_owned(), |max| max.to_string());
                self.fault(
                    path,
                    format!("{players} agents play `{role}`, {min} to {most} may"),
                    "change the range, or the agents of the team",
                );
            }
        }
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

    /// Every rule for every subject.
    fn instances(&mut self, binder: &mut Binder<'_>) -> Vec<Instance> {
        let mut instances = Vec::new();
        for (index, rule) in self.raw().rules.iter().enumerate() {
            let mut scopes: Vec<Variables> = vec![Vec::new()];
            if let Some(variable) = &rule.each {
                let subjects = 0..self.vocabulary.subjects.len();
                scopes = subjects.map(|s| vec![(variable.clone(), s)]).collect();
            }
            let first = instances.len();
            for mut scope in scopes {
                let Some(instance) = self.instance(binder, index, rule, &mut scope) else {
                    break;
                };
                instances.push(instance);
            }
            let answers: Vec<Answer> = instances[first..]
                .iter()
                .filter(|i: &&Instance| binder.graph.known(i.condition).is_none())
                .map(|i| together(&binder.graph, &[i.condition]))
                .collect();
            if !answers.is_empty() && answers.iter().all(|a| *a == Answer::Cannot) {
                self.fault(
                    format!("rules[{index}].when"),
                    "can never hold",
                    "parts of the condition exclude each other",
                );
            }
            // Facts may rule out a subject; such instances cost nothing.
            instances.retain(|i| binder.graph.known(i.condition) != Some(0.0));
        }
        instances
    }

    fn instance(
        &mut self,
        binder: &mut Binder<'_>,
        index: usize,
        rule: &Rule,
        scope: &mut Variables,
    ) -> Option<Instance> {
        let condition = match &rule.when {
            None => binder.graph.truth(true),
            Some(when) => {
                let term = parse(when).ok()?;
                let slot = binder.truth(&term, scope);
                self.bound(format!("rules[{index}].when"), slot)?
            }
        };
        let (verb, actions) = rule.then.parts();
        let mut listed: Vec<Effect> = Vec::new();
        for (i, action) in actions.iter().enumerate() {
            let path = format!("rules[{index}].then.{verb}[{i}]");
            for effect in self.action(binder, path, action, scope)? {
                match listed.iter_mut().find(|e| e.head == effect.head) {
                    Some(known) => known.choices |= effect.choices,
                    None => listed.push(effect),
                }
            }
        }
        let all = self.vocabulary.all_choices();
        let forbids = matches!(rule.then, Then::Forbid(_)) && rule.hardness >= 1.0;
        let emptied = listed.iter().find(|e| forbids && e.choices == all);
        if let Some(effect) = emptied {
            let subject = &self.vocabulary.subjects[usize::from(effect.head)];
            let message = format!("leaves no choice for `{subject}`");
            self.fault(
                format!("rules[{index}].then.{verb}"),
                message,
                "leave at least one action, e.g. `hold`",
            );
            return None;
        }
        Some(Instance {
            rule: index,
            condition,
            during: span(rule.during),
            listed,
        })
    }

    /// The heads and choices that an action such as `up_by(2, s)` names.
    fn action(
        &mut self,
        binder: &mut Binder<'_>,
        path: String,
        text: &str,
        scope: &mut Variables,
    ) -> Option<Vec<Effect>> {
        let actions = &self.vocabulary.actions;
        let (name, number, of) = match parse(text) {
            Ok(Term::Call(name, arguments)) => match arguments.as_slice() {
                [of] => (name, None, of.clone()),
                [Term::Number(number), of] => (name, Some(*number as i64), of.clone()),
                _ => (name, None, Term::Name(String::new())),
            },
            _ => (text.to_owned(), None, Term::Name(String::new())),
        };
        let known = actions
            .iter()
            .find(|a| a.name == name && a.number == number);
        let Some(choices) = known.map(|a| a.choices) else {
            let forms: Vec<String> = actions
                .iter()
                .map(|a| match a.number {
                    None => format!("{}(s)", a.name),
                    Some(number) => format!("{}({number}, s)", a.name),
                })
                .collect();
            let hint = did_you_mean(text, forms.iter().map(String::as_str));
            self.fault(path, format!("unknown action `{text}`"), hint);
            return None;
        };
        let subjects = binder.subjects(&of, scope);
        let subjects = self.bound(path, subjects)?;
        let effect = |subject| Effect {
            head: subject as u16,
            choices,
        };
        Some(subjects.into_iter().map(effect).collect())
    }

    fn goals(&mut self, binder: &mut Binder<'_>) -> Vec<GoalCode> {
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

    /// Hard rules of one agent that can fire together and leave no choice.
    fn contradictions(&mut self, binder: &Binder<'_>, instances: &[Instance], team: &[Member]) {
        let rules = &self.raw().rules;
        let mut told: Vec<(usize, usize)> = Vec::new();
        for member in team {
            let hard: Vec<(&Instance, Vec<Effect>)> = self
                .rules_of(instances, &member.role)
                .filter_map(|i| Some((i, self.mask(i)?)))
                .collect();
            for (n, (a, effects_a)) in hard.iter().enumerate() {
                for (b, effects_b) in &hard[n + 1..] {
                    let pair = (a.rule, b.rule);
                    let overlap = a.during.0.max(b.during.0) < a.during.1.min(b.during.1);
                    let disjoint = effects_a.iter().find(|x| {
                        let same = effects_b.iter().find(|y| y.head == x.head);
                        same.is_some_and(|y| x.choices & y.choices == 0)
                    });
                    let (Some(effect), true, false) = (disjoint, overlap, told.contains(&pair))
                    else {
                        continue;
                    };
                    if let Answer::Can(atoms) = together(&binder.graph, &[a.condition, b.condition])
                    {
                        told.push(pair);
                        let subject = &self.vocabulary.subjects[usize::from(effect.head)];
                        let when = if atoms.is_empty() {
                            "always".to_owned()
                        } else {
                            format!("e.g. when {}", atoms.join(" and "))
                        };
                        let message = format!(
                            "contradicts rule `{}` for {}: both can fire together and leave \
                             no choice for `{subject}`, {when}",
                            rules[a.rule].id, member.role
                        );
                        self.faults.push(SpecFault::new(
                            format!("rules[{}]", b.rule),
                            message,
                            "make the conditions exclude each other, or allow `hold` in both",
                        ));
                    }
                }
            }
        }
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

    /// What a role is paid for: each mission once, at its strongest norm.
    fn bonuses(&self, role: &str) -> Vec<Bonus> {
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

/// Sums the cardinalities of each role over a group and its sub-groups.
fn add_ranges<'a>(
    path: &str,
    group: &'a Group,
    ranges: &mut BTreeMap<&'a str, (String, u32, Option<u32>)>,
) {
    for (role, count) in &group.roles {
        let path = format!("{path}.roles.{role}");
        let range = ranges.entry(role).or_insert((path, 0, Some(0)));
        range.1 = range.1.saturating_add(count.min);
        range.2 = range.2.zip(count.max).map(|(a, b)| a.saturating_add(b));
    }
    for (name, sub_group) in &group.groups {
        add_ranges(&format!("{path}.groups.{name}"), sub_group, ranges);
    }
}

/// Goals in an order in which sub-goals, and predecessors in sequences, come first.
fn goal_order(raw: &RawOrganization) -> Vec<usize> {
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
