//! Gives the names of conditions their meaning: terms become slots of a graph.

use std::collections::BTreeMap;

use cel::common::ast::operators;

use super::{
    graph::{Graph, Op, Slot},
    syntax::{Over, Term},
};
use crate::{Vocabulary, error::did_you_mean};

/// Most steps that `delta` and `mean` may look back.
const LONGEST_MEMORY: f64 = 1000.0;

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

    fn series(
        &mut self,
        name: &str,
        value: &Term,
        steps: &Term,
        scope: &mut Variables,
    ) -> Result<Meaning, Unbound> {
        let Term::Number(steps) = steps else {
            return unbound(format!("the steps of `{name}` are not a whole number"), "");
        };
        if !(*steps >= 1.0 && *steps <= LONGEST_MEMORY && steps.fract() == 0.0) {
            return unbound(
                format!("`{name}` cannot look back {steps} steps"),
                format!("use a whole number from 1 to {LONGEST_MEMORY}"),
            );
        }
        let steps = *steps as u16;
        let a = self.number(value, scope)?;
        let op = if name == "delta" {
            Op::Delta { steps }
        } else {
            Op::Mean { steps }
        };
        Ok(Meaning::Number(self.graph.node(op, a, a)))
    }

    fn fold(&mut self, name: &str, list: &Term, scope: &mut Variables) -> Result<Meaning, Unbound> {
        let Meaning::Numbers(values) = self.meaning(list, scope)? else {
            return unbound(
                format!("`{name}` needs a list of numbers"),
                format!("write `{name}(any.map(s, x(s)))`"),
            );
        };
        let op = match name {
            "min" => Op::Min,
            "max" => Op::Max,
            _ => Op::Add,
        };
        let count = values.len();
        let folded = values.into_iter().reduce(|a, b| self.graph.node(op, a, b));
        let Some(mut result) = folded else {
            if name == "sum" {
                return Ok(Meaning::Number(self.graph.constant(0.0)));
            }
            return unbound(format!("`{name}` of an empty set has no value"), "");
        };
        if name == "average" {
            let count = self.graph.constant(count as f32);
            result = self.graph.node(Op::Div, result, count);
        }
        Ok(Meaning::Number(result))
    }

    fn operator(
        &mut self,
        operator: &str,
        arguments: &[Term],
        scope: &mut Variables,
    ) -> Result<Meaning, Unbound> {
        match (operator, arguments) {
            (operators::LOGICAL_NOT, [a]) => {
                let a = self.truth(a, scope)?;
                Ok(Meaning::Truth(self.graph.node(Op::Not, a, a)))
            }
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [first, rest @ ..]) => {
                let op = if operator == operators::LOGICAL_AND {
                    Op::And
                } else {
                    Op::Or
                };
                let mut result = self.truth(first, scope)?;
                for term in rest {
                    let next = self.truth(term, scope)?;
                    result = self.graph.node(op, result, next);
                }
                Ok(Meaning::Truth(result))
            }
            (operators::CONDITIONAL, [c, a, b]) => self.choose(c, a, b, scope),
            (_, [a, b]) => self.binary(operator, a, b, scope),
            _ => unbound("an operator has the wrong number of operands", ""),
        }
    }

    fn choose(
        &mut self,
        condition: &Term,
        a: &Term,
        b: &Term,
        scope: &mut Variables,
    ) -> Result<Meaning, Unbound> {
        let condition = self.truth(condition, scope)?;
        let op = Op::Choose(condition);
        match (self.meaning(a, scope)?, self.meaning(b, scope)?) {
            (Meaning::Number(a), Meaning::Number(b)) => {
                Ok(Meaning::Number(self.graph.node(op, a, b)))
            }
            (Meaning::Truth(a), Meaning::Truth(b)) => Ok(Meaning::Truth(self.graph.node(op, a, b))),
            (a, b) => unbound(
                format!("`? :` chooses between {} and {}", a.kind(), b.kind()),
                "both must be numbers, or both true or false",
            ),
        }
    }

    fn binary(
        &mut self,
        operator: &str,
        a: &Term,
        b: &Term,
        scope: &mut Variables,
    ) -> Result<Meaning, Unbound> {
        let (a, b) = (self.number(a, scope)?, self.number(b, scope)?);
        let graph = &mut self.graph;
        Ok(match operator {
            operators::ADD => Meaning::Number(graph.node(Op::Add, a, b)),
            operators::SUBSTRACT => Meaning::Number(graph.node(Op::Sub, a, b)),
            operators::MULTIPLY => Meaning::Number(graph.node(Op::Mul, a, b)),
            operators::DIVIDE => Meaning::Number(graph.node(Op::Div, a, b)),
            operators::LESS => Meaning::Truth(graph.node(Op::Less, a, b)),
            operators::LESS_EQUALS => Meaning::Truth(graph.node(Op::LessEqual, a, b)),
            operators::GREATER => Meaning::Truth(graph.node(Op::Less, b, a)),
            operators::GREATER_EQUALS => Meaning::Truth(graph.node(Op::LessEqual, b, a)),
            operators::EQUALS => Meaning::Truth(graph.node(Op::Equal, a, b)),
            operators::NOT_EQUALS => {
                let (less, more) = (graph.node(Op::Less, a, b), graph.node(Op::Less, b, a));
                Meaning::Truth(graph.node(Op::Or, less, more))
            }
            other => {
                return unbound(
                    format!("`{}` is not part of the language", other.trim_matches('_')),
                    "",
                );
            }
        })
    }

    fn over(
        &mut self,
        kind: Over,
        range: &Term,
        variable: &str,
        body: &Term,
        scope: &mut Variables,
    ) -> Result<Meaning, Unbound> {
        let subjects = self.subjects(range, scope)?;
        let mut values = Vec::with_capacity(subjects.len());
        for subject in subjects {
            scope.push((variable.to_owned(), subject));
            let value = if kind == Over::Map {
                self.number(body, scope)
            } else {
                self.truth(body, scope)
            };
            scope.pop();
            values.push(value?);
        }
        let op = match kind {
            Over::Map => return Ok(Meaning::Numbers(values)),
            Over::Exists => Op::Or,
            Over::All => Op::And,
        };
        let mut result = self.graph.truth(kind == Over::All);
        for value in values {
            result = self.graph.node(op, result, value);
        }
        Ok(Meaning::Truth(result))
    }
}
