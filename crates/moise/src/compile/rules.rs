//! Rules, bound once per subject, and the actions they name.

use super::{Compiler, Instance, span};
use crate::{
    Rule, Then,
    code::{
        bind::{Binder, Variables},
        satisfy::{Answer, together},
        syntax::{Term, parse},
    },
    error::did_you_mean,
    guides::Effect,
};

impl Compiler<'_> {
    /// Every rule for every subject.
    pub(super) fn instances(&mut self, binder: &mut Binder<'_>) -> Vec<Instance> {
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
}
