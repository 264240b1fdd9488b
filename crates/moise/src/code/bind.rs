//! Gives the names of conditions their meaning: terms become slots of a graph.

mod operators;

use std::collections::BTreeMap;

use super::{
    graph::{Graph, Op, Slot},
    syntax::Term,
};
use crate::{Vocabulary, error::did_you_mean};

/// Why a term has no meaning here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unbound {
    pub(crate) message: String,
    pub(crate) hint: String,
}

fn unbound<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, Unbound> {
    Err(Unbound {
        message: message.into(),
        hint: hint.into(),
    })
}

/// What a term stands for.
enum Meaning {
    Number(Slot),
    Truth(Slot),
    Subject(usize),
    Subjects(Vec<usize>),
    /// The values of a `map`.
    Numbers(Vec<Slot>),
}

impl Meaning {
    fn kind(&self) -> &'static str {
        match self {
            Self::Number(_) => "a number",
            Self::Truth(_) => "true or false",
            Self::Subject(_) => "a subject",
            Self::Subjects(_) => "a set of subjects",
            Self::Numbers(_) => "a list of numbers",
        }
    }
}

/// Variables and the subjects they stand for.
pub(crate) type Variables = Vec<(String, usize)>;

/// Binds terms to a vocabulary, the labels of an organization and its goals.
pub(crate) struct Binder<'a> {
    vocabulary: &'a Vocabulary,
    labels: &'a BTreeMap<String, (Option<String>, Term)>,
    goals: BTreeMap<&'a str, Slot>,
    bound_labels: BTreeMap<(&'a str, Option<usize>), Slot>,
    pub(crate) graph: Graph,
}

impl<'a> Binder<'a> {
    /// A binder whose graph has the inputs: the numbers of the vocabulary, then one truth per goal.
    pub(crate) fn new(
        vocabulary: &'a Vocabulary,
        labels: &'a BTreeMap<String, (Option<String>, Term)>,
        goals: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut graph = Graph::default();
        for subject in &vocabulary.subjects {
            for feature in &vocabulary.features {
                graph.input(format!("{feature}({subject})"));
            }
        }
        for global in &vocabulary.globals {
            graph.input(global.clone());
        }
        let goals = goals
            .map(|goal| (goal, graph.input(format!("goal({goal})"))))
            .collect();
        Self {
            vocabulary,
            labels,
            goals,
            bound_labels: BTreeMap::new(),
            graph,
        }
    }

    /// The slot of a condition.
    pub(crate) fn truth(&mut self, term: &Term, scope: &mut Variables) -> Result<Slot, Unbound> {
        match self.meaning(term, scope)? {
            Meaning::Truth(slot) => Ok(slot),
            other => unbound(
                format!("expected true or false, found {}", other.kind()),
                "compare it with something, e.g. `> 1.0`",
            ),
        }
    }

    /// The slot of a number.
    pub(crate) fn number(&mut self, term: &Term, scope: &mut Variables) -> Result<Slot, Unbound> {
        match self.meaning(term, scope)? {
            Meaning::Number(slot) => Ok(slot),
            other => unbound(
                format!("expected a number, found {}", other.kind()),
                "use `condition ? 1.0 : 0.0` to count conditions",
            ),
        }
    }

    /// The slot of a label for a subject (or without).
    pub(crate) fn label(&mut self, name: &'a str, subject: Option<usize>) -> Result<Slot, Unbound> {
        if let Some(slot) = self.bound_labels.get(&(name, subject)) {
            return Ok(*slot);
        }
        let (variable, term) = &self.labels[name];
        let mut scope = match (variable, subject) {
            (Some(variable), Some(subject)) => vec![(variable.clone(), subject)],
            (None, None) => Vec::new(),
            (Some(_), None) => {
                return unbound(
                    format!("label `{name}` needs a subject"),
                    format!("write `{name}(s)`"),
                );
            }
            (None, Some(_)) => {
                return unbound(
                    format!("label `{name}` takes no subject"),
                    format!("write `{name}`, or give the label `each: s`"),
                );
            }
        };
        let slot = self.truth(term, &mut scope)?;
        self.bound_labels.insert((name, subject), slot);
        Ok(slot)
    }

    /// The subjects that a term stands for: one, a set or a relation's.
    pub(crate) fn subjects(
        &mut self,
        term: &Term,
        scope: &mut Variables,
    ) -> Result<Vec<usize>, Unbound> {
        match self.meaning(term, scope)? {
            Meaning::Subject(subject) => Ok(vec![subject]),
            Meaning::Subjects(subjects) => Ok(subjects),
            other => unbound(
                format!("expected subjects, found {}", other.kind()),
                "use a subject, a variable, `any`, a set or a relation",
            ),
        }
    }

    fn meaning(&mut self, term: &Term, scope: &mut Variables) -> Result<Meaning, Unbound> {
        match term {
            Term::Number(value) => Ok(Meaning::Number(self.graph.constant(*value as f32))),
            Term::Bool(value) => Ok(Meaning::Truth(self.graph.truth(*value))),
            Term::Name(name) => self.name(name, scope),
            Term::Call(name, arguments) => self.call(name, arguments, scope),
            Term::Operator(operator, arguments) => self.operator(operator, arguments, scope),
            Term::Over {
                kind,
                range,
                variable,
                body,
            } => self.over(*kind, range, variable, body, scope),
        }
    }

    fn name(&mut self, name: &str, scope: &Variables) -> Result<Meaning, Unbound> {
        if let Some((_, subject)) = scope.iter().rev().find(|(variable, _)| variable == name) {
            return Ok(Meaning::Subject(*subject));
        }
        if let Some(index) = self.vocabulary.globals.iter().position(|g| g == name) {
            let subjects = self.vocabulary.subjects.len() * self.vocabulary.features.len();
            return Ok(Meaning::Number((subjects + index) as Slot));
        }
        if let Some((label, _)) = self.labels.get_key_value(name) {
            return self.label(label, None).map(Meaning::Truth);
        }
        if name == "any" {
            return Ok(Meaning::Subjects(
                (0..self.vocabulary.subjects.len()).collect(),
            ));
        }
        if let Some((_, set)) = self.vocabulary.sets.iter().find(|(n, _)| n == name) {
            return Ok(Meaning::Subjects(set.clone()));
        }
        if let Some(index) = self.vocabulary.subjects.iter().position(|s| s == name) {
            return Ok(Meaning::Subject(index));
        }
        let known: Vec<&str> = scope
            .iter()
            .map(|(v, _)| v.as_str())
            .chain(self.known_names())
            .collect();
        unbound(
            format!("unknown name `{name}`"),
            did_you_mean(name, known.into_iter()),
        )
    }

    fn known_names(&self) -> impl Iterator<Item = &str> {
        let v = self.vocabulary;
        v.globals
            .iter()
            .map(String::as_str)
            .chain(self.labels.keys().map(String::as_str))
            .chain(v.sets.iter().map(|(n, _)| n.as_str()))
            .chain(v.subjects.iter().map(String::as_str))
            .chain(v.features.iter().map(String::as_str))
            .chain(v.facts.iter().map(|(n, _)| n.as_str()))
            .chain(v.relations.iter().map(|(n, _)| n.as_str()))
            .chain(["delta", "mean", "goal", "min", "max", "abs", "sum", "any"])
    }

    fn call(
        &mut self,
        name: &str,
        arguments: &[Term],
        scope: &mut Variables,
    ) -> Result<Meaning, Unbound> {
        match (name, arguments) {
            ("delta" | "mean", [value, steps]) => self.series(name, value, steps, scope),
            ("goal", [Term::Name(goal)]) => match self.goals.get(goal.as_str()) {
                Some(slot) => Ok(Meaning::Truth(*slot)),
                None => unbound(
                    format!("unknown goal `{goal}`"),
                    did_you_mean(goal, self.goals.keys().copied()),
                ),
            },
            ("abs", [value]) => {
                let a = self.number(value, scope)?;
                Ok(Meaning::Number(self.graph.node(Op::Abs, a, a)))
            }
            ("min" | "max", [a, b]) => {
                let op = if name == "min" { Op::Min } else { Op::Max };
                let (a, b) = (self.number(a, scope)?, self.number(b, scope)?);
                Ok(Meaning::Number(self.graph.node(op, a, b)))
            }
            ("sum" | "min" | "max" | "average", [list]) => self.fold(name, list, scope),
            ("delta" | "mean" | "goal" | "abs" | "min" | "max" | "sum" | "average", _) => unbound(
                format!("`{name}` does not take {} such arguments", arguments.len()),
                "write delta(x, n), mean(x, n), goal(id), abs(x), min(x, y) or sum(set.map(s, x))",
            ),
            (_, [argument]) => self.of_subject(name, argument, scope),
            _ => unbound(format!("unknown function `{name}`"), self.hint(name)),
        }
    }

    fn hint(&self, name: &str) -> String {
        let known: Vec<&str> = self.known_names().collect();
        did_you_mean(name, known.into_iter())
    }

    /// A label, feature, fact or relation of a subject.
    fn of_subject(
        &mut self,
        name: &str,
        argument: &Term,
        scope: &mut Variables,
    ) -> Result<Meaning, Unbound> {
        let vocabulary = self.vocabulary;
        let feature = vocabulary.features.iter().position(|n| n == name);
        let fact = vocabulary.facts.iter().find(|(n, _)| n == name);
        let relation = vocabulary.relations.iter().find(|(n, _)| n == name);
        let label = self.labels.get_key_value(name);
        if feature.is_none() && fact.is_none() && relation.is_none() && label.is_none() {
            return unbound(
                format!("unknown label, feature or relation `{name}`"),
                self.hint(name),
            );
        }
        let subject = match self.meaning(argument, scope)? {
            Meaning::Subject(subject) => subject,
            other => {
                return unbound(
                    format!("`{name}` needs a subject, found {}", other.kind()),
                    format!("for sets write `set.exists(x, {name}(x))`"),
                );
            }
        };
        if let Some((_, related)) = relation {
            return Ok(Meaning::Subjects(related[subject].clone()));
        }
        if let Some((_, holds)) = fact {
            return Ok(Meaning::Truth(self.graph.truth(holds[subject])));
        }
        if let Some(feature) = feature {
            let slot = subject * vocabulary.features.len() + feature;
            return Ok(Meaning::Number(slot as Slot));
        }
        match label {
            Some((label, _)) => self.label(label, Some(subject)).map(Meaning::Truth),
            None => unbound(format!("unknown label `{name}`"), ""),
        }
    }
}
