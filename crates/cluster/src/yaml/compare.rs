//! The first thing in which two documents differ.

use super::{Document, Node, Value, child};

/// One value that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its key path.
    pub path: String,
    /// What it was, in words; absent where there was none.
    pub before: Option<String>,
    /// What it is.
    pub now: Option<String>,
}

impl Document {
    /// The first difference from `self` to `now`, in the order of `now`; `None` where all values
    /// are equal.
    #[must_use]
    pub fn first_difference(&self, now: &Self) -> Option<Difference> {
        between(Some(&self.root), Some(&now.root), "")
    }
}

fn between(before: Option<&Node>, now: Option<&Node>, path: &str) -> Option<Difference> {
    let differ = || {
        Some(Difference {
            path: path.to_owned(),
            before: before.map(shown),
            now: now.map(shown),
        })
    };
    let (Some(old), Some(new)) = (before, now) else {
        return differ();
    };
    match (&old.value, &new.value) {
        (Value::Map(then), Value::Map(entries)) => {
            let gone = then.iter().filter(|(key, _)| new.get(&key.name).is_none());
            let keys = entries.iter().chain(gone).map(|(key, _)| &key.name);
            keys.into_iter()
                .find_map(|key| between(old.get(key), new.get(key), &child(path, key)))
        }
        (Value::List(then), Value::List(items)) => (0..then.len().max(items.len()))
            .find_map(|i| between(then.get(i), items.get(i), &format!("{path}[{i}]"))),
        (then, value) if then == value => None,
        _ => differ(),
    }
}

/// A plain value as it is written, anything else in words.
fn shown(node: &Node) -> String {
    match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(text) => text.clone(),
        Value::List(items) => format!("a list of {}", items.len()),
        Value::Map(entries) => match entries.as_slice() {
            [] => "{}".to_owned(),
            [(key, _), ..] => format!("{{{}: …}}", key.name),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_found_at_every_depth() {
        let cases = [
            ("a: 1\nb: [x, y]", "a: 1\nb: [x, y]", None),
            (
                "a: 1\nb: {c: 2}",
                "a: 1\nb: {c: 3}",
                Some(("b.c", Some("2"), Some("3"))),
            ),
            ("a: [x, y]", "a: [x]", Some(("a[1]", Some("y"), None))),
            (
                "a: [{n: x}]",
                "a: [{n: x}, {n: y}]",
                Some(("a[1]", None, Some("{n: …}"))),
            ),
            ("a: 1", "a: 1\nb: 2", Some(("b", None, Some("2")))),
            ("a: 1\nb: 2", "a: 1", Some(("b", Some("2"), None))),
            ("a: 1", "a: x", Some(("a", Some("1"), Some("x")))),
        ];
        for (before, now, expected) in cases {
            let parse = |text| Document::parse(text).unwrap();
            let expected =
                expected.map(|(path, before, now): (&str, Option<&str>, Option<&str>)| {
                    Difference {
                        path: path.to_owned(),
                        before: before.map(str::to_owned),
                        now: now.map(str::to_owned),
                    }
                });
            assert_eq!(
                parse(before).first_difference(&parse(now)),
                expected,
                "{now}"
            );
        }
    }
}
