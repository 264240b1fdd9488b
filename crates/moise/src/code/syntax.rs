//! The condition language as a small tree, read by CEL's parser.

use cel::{
    common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, operators},
    parser::Parser,
};

/// One expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Term {
    /// A number.
    Number(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A name without arguments.
    Name(String),
    /// A function, label, feature, fact or relation with arguments.
    Call(String, Vec<Term>),
    /// An operator, by its CEL name.
    Operator(&'static str, Vec<Term>),
    /// `range.exists(variable, body)` and its like.
    Over {
        /// Which macro.
        kind: Over,
        /// What the variable ranges over.
        range: Box<Term>,
        /// The variable.
        variable: String,
        /// What is asked of each.
        body: Box<Term>,
    },
}

/// Macros over sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// Whether it holds for one at least.
    Exists,
    /// Whether it holds for all.
    All,
    /// The value for each.
    Map,
}

const OPERATORS: [&str; 14] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
];

/// Longer texts are refused: the parser recurses.
const LONGEST: usize = 4096;

/// Reads an expression.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn parse(text: &str) -> Result<Term, String> {
    if text.trim().is_empty() {
        return Err("the expression is empty".to_owned());
    }
    if text.len() > LONGEST {
        return Err(format!(
            "the expression is longer than {LONGEST} characters"
        ));
    }
    let tree = Parser::default().parse(text).map_err(|errors| {
        errors.errors.first().map_or_else(
            || "not an expression".to_owned(),
            |e| {
                // Some parser errors carry no position.
                if e.pos.1 > 0 {
                    format!("not an expression, column {}: {}", e.pos.1, e.msg)
                } else {
                    format!("not an expression: {}", e.msg)
                }
            },
        )
    })?;
    term(&tree.expr)
}

fn term(expr: &Expr) -> Result<Term, String> {
    match expr {
        Expr::Literal(literal) => match literal {
            LiteralValue::Boolean(value) => Ok(Term::Bool(*value.inner())),
            LiteralValue::Int(value) => Ok(Term::Number(*value.inner() as f64)),
            LiteralValue::UInt(value) => Ok(Term::Number(*value.inner() as f64)),
            LiteralValue::Double(value) => Ok(Term::Number(*value.inner())),
            _ => Err("only numbers, true and false are literals here".to_owned()),
        },
        Expr::Ident(name) => Ok(Term::Name(name.clone())),
        Expr::Call(call) => call_term(call),
        Expr::Comprehension(comprehension) => over(comprehension),
        _ => Err("lists, maps, messages and field access are not part of the language".to_owned()),
    }
}

fn call_term(call: &CallExpr) -> Result<Term, String> {
    if call.target.is_some() {
        return Err(format!(
            "`.{}(…)` is not part of the language",
            call.func_name
        ));
    }
    let arguments = call
        .args
        .iter()
        .map(|a| term(&a.expr))
        .collect::<Result<Vec<_>, _>>()?;
    if call.func_name == operators::NEGATE {
        let mut terms = vec![Term::Number(0.0)];
        terms.extend(arguments);
        return Ok(Term::Operator(operators::SUBSTRACT, terms));
    }
    if let Some(known) = OPERATORS.iter().find(|o| **o == call.func_name) {
        return Ok(Term::Operator(known, arguments));
    }
    if call
        .func_name
        .starts_with(|c: char| c.is_alphabetic() || c == '_')
        && !call.func_name.contains('[')
        && !call.func_name.contains('%')
    {
        return Ok(Term::Call(call.func_name.clone(), arguments));
    }
    Err(format!(
        "`{}` is not part of the language",
        call.func_name.trim_matches(['_', '@'])
    ))
}

/// Recognises what the parser made of `exists`, `all` and `map`.
fn over(comprehension: &ComprehensionExpr) -> Result<Term, String> {
    let refuse = || "of CEL's macros, only exists, all and map are part of the language".to_owned();
    let Expr::Call(step) = &comprehension.loop_step.expr else {
        return Err(refuse());
    };
    let result_is_accumulator =
        comprehension.result.expr == Expr::Ident(comprehension.accu_var.clone());
    let (kind, body) = match (step.func_name.as_str(), step.args.as_slice()) {
        (operators::LOGICAL_OR, [_, body]) => (Over::Exists, body),
        (operators::LOGICAL_AND, [_, body]) => (Over::All, body),
        (operators::ADD, [_, list]) => match &list.expr {
            Expr::List(list) if list.elements.len() == 1 => (Over::Map, &list.elements[0]),
            _ => return Err(refuse()),
        },
        _ => return Err(refuse()),
    };
    if !result_is_accumulator || comprehension.iter_var2.is_some() {
        return Err(refuse());
    }
    Ok(Term::Over {
        kind,
        range: Box::new(term(&comprehension.iter_range.expr)?),
        variable: comprehension.iter_var.clone(),
        body: Box::new(term(&body.expr)?),
    })
}

impl Term {
    /// Calls `visit` with every name that is called or used as a value.
    pub(crate) fn names(&self, visit: &mut dyn FnMut(&str)) {
        match self {
            Self::Number(_) | Self::Bool(_) => {}
            Self::Name(name) => visit(name),
            Self::Call(name, arguments) => {
                visit(name);
                arguments.iter().for_each(|a| a.names(visit));
            }
            Self::Operator(_, arguments) => arguments.iter().for_each(|a| a.names(visit)),
            Self::Over { range, body, .. } => {
                range.names(visit);
                body.names(visit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_read_and_nothing_else() -> Result<(), String> {
        assert_eq!(parse("1 + 2")?, {
            Term::Operator("_+_", vec![Term::Number(1.0), Term::Number(2.0)])
        });
        assert!(matches!(
            parse("calls(s).exists(t, queue_high(t))")?,
            Term::Over {
                kind: Over::Exists,
                ..
            }
        ));
        assert!(matches!(
            parse("any.all(t, x(t) > 1.5)")?,
            Term::Over {
                kind: Over::All,
                ..
            }
        ));
        assert!(matches!(
            parse("sum(any.map(t, x(t)))")?,
            Term::Call(name, _) if name == "sum"
        ));
        parse("a && b && c || !d(s) ? -1 : delta(x(s), 3) / 2.0")?;
        for refused in [
            "",
            "a +",
            "'text'",
            "[1, 2]",
            "a.b",
            "a % 2",
            "a[0]",
            "x.exists_one(t, y(t))",
            "x.filter(t, y(t))",
            "a in b",
            "has(a.b)",
            "s.size()",
            "{1: 2}",
        ] {
            assert!(parse(refused).is_err(), "{refused}");
        }
        Ok(())
    }
}
