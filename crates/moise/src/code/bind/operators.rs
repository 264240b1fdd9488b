//! What is computed from bound terms: series, lists, operators and quantifiers.

use cel::common::ast::operators;

use super::{Binder, Meaning, Unbound, Variables, unbound};
use crate::code::{
    graph::Op,
    syntax::{Over, Term},
};

/// Most steps that `delta` and `mean` may look back.
const LONGEST_MEMORY: f64 = 1000.0;

impl Binder<'_> {
    pub(super) fn series(
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

    pub(super) fn fold(
        &mut self,
        name: &str,
        list: &Term,
        scope: &mut Variables,
    ) -> Result<Meaning, Unbound> {
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

    pub(super) fn operator(
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

    pub(super) fn over(
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
