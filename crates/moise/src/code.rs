//! Conditions: from text to flat code.
//!
//! `text → syntax::Term → (binding names to a vocabulary) → graph::Graph → program::Program`. The
//! language is the part of CEL below, read by CEL's own parser and evaluated here, over numbers and
//! booleans only:
//!
//! - `&& || ! ?: == != < <= > >= + - * /`, numbers, `true`, `false`
//! - `min(a, b)`, `max(a, b)`, `abs(a)`
//! - labels, facts and features, with a subject where they need one: `queue_high(s)`
//! - `set.exists(x, …)`, `set.all(x, …)`, and `sum`, `min`, `max` or `average` of `set.map(x, …)`,
//!   where a set is a named set, `any` (all subjects) or a relation of a subject: `calls(s)`
//! - `delta(x, n)`: `x` now minus `x` n steps ago; `mean(x, n)`: mean of `x` over the newest n steps
//! - `goal(id)`: whether the goal was satisfied before this step
//!
//! A number that was not measured is NaN; every comparison with it is false.

pub(crate) mod bind;
pub(crate) mod graph;
pub(crate) mod lanes;
pub(crate) mod program;
pub(crate) mod satisfy;
pub(crate) mod syntax;
