//! Compares a tree with a schema: every fault of form at once, and a tree without them.

use std::path::PathBuf;

use super::{
    Fault, Key, Node, Place, Value, child,
    invent::invent,
    schema::{Kind, Schema},
    suggest::{listed, suggestion},
};
use crate::units::{Mebibytes, Millicores, QuantityError, Seconds};

/// A tree compared with a schema.
pub(crate) struct Conformed {
    /// The tree with every fault of form repaired, so that the faults of meaning can be looked for
    /// as well: unknown keys are dropped, optional keys at fault take their default, required ones
    /// any value that the schema accepts.
    pub(crate) root: Node,
    /// Paths of what was repaired by a value that nobody wrote: nothing can be said about them.
    pub(crate) invented: Vec<String>,
    /// The faults of form.
    pub(crate) faults: Vec<Fault>,
}

/// Compares `root` with `schema`; `files` are the files by number.
pub(crate) fn conform(root: &Node, schema: Schema<'_>, files: &[PathBuf]) -> Conformed {
    let mut walk = Walk {
        files,
        invented: Vec::new(),
        faults: Vec::new(),
    };
    let repaired = walk.value(root, schema, "");
    let root = repaired.unwrap_or_else(|| {
        walk.invented.push(String::new());
        invent(schema, root.place)
    });
    Conformed {
        root,
        invented: walk.invented,
        faults: walk.faults,
    }
}

struct Walk<'a> {
    files: &'a [PathBuf],
    invented: Vec<String>,
    faults: Vec<Fault>,
}

impl Walk<'_> {
    fn fault(&mut self, place: Place, path: &str, message: String, hint: &str) {
        let fault = Fault::at(&self.files[place.file], place, path, message);
        self.faults.push(fault.hint(hint));
    }

    /// The value without faults, or `None` if it is at fault itself.
    fn value(&mut self, node: &Node, schema: Schema<'_>, path: &str) -> Option<Node> {
        if node.value == Value::Null && schema.optional {
            return Some(node.clone());
        }
        match (schema.kind(), &node.value) {
            (Kind::Settings, Value::Map(entries)) => Some(Node {
                value: Value::Map(self.settings(entries, schema, path, node.place)),
                place: node.place,
            }),
            (Kind::List, Value::List(items)) => self.list(items, schema, path, node.place),
            (Kind::Choice { names, kinds }, value) => {
                self.choice(node, value, schema, (&names, &kinds), path)
            }
            (Kind::Text, Value::Text(_))
            | (Kind::Boolean, Value::Bool(_))
            | (Kind::Word, Value::Text(_))
            | (Kind::Anything, _) => Some(node.clone()),
            (Kind::Word, Value::Integer(number)) => Some(Node {
                value: Value::Text(number.to_string()),
                place: node.place,
            }),
            (Kind::Integer, Value::Integer(number)) => {
                self.number(node, *number as f64, schema, path)
            }
            (Kind::Number, Value::Integer(number)) => {
                self.number(node, *number as f64, schema, path)
            }
            (Kind::Number, Value::Float(number)) => self.number(node, *number, schema, path),
            (Kind::Quantity(unit), value) => self.quantity(node, value, unit, schema, path),
            (kind, _) => {
                let (expected, hint) = (expected(&kind), advice(&kind, node, schema));
                let message = format!("expected {expected}, found {}", node.described());
                self.fault(node.place, path, message, &hint);
                None
            }
        }
    }

    fn settings(
        &mut self,
        entries: &[(Key, Node)],
        schema: Schema<'_>,
        path: &str,
        place: Place,
    ) -> Vec<(Key, Node)> {
        let fields = schema.fields();
        let mut kept = Vec::new();
        for (key, node) in entries {
            let path = child(path, &key.name);
            let Some(field) = fields.iter().find(|field| field.name == key.name) else {
                let hint = suggestion(&key.name, fields.iter().map(|field| field.name));
                self.fault(key.place, &path, "unknown key".to_owned(), &hint);
                continue;
            };
            if let Some(value) = self.value(node, field.schema, &path) {
                kept.push((key.clone(), value));
            } else {
                self.invented.push(path);
                if field.required {
                    kept.push((key.clone(), invent(field.schema, key.place)));
                }
            }
        }
        for field in fields.iter().filter(|field| field.required) {
            if entries.iter().any(|(key, _)| key.name == field.name) {
                continue;
            }
            let path = child(path, field.name);
            let hint = format!("add {}: {}", field.name, field.schema.description());
            self.fault(place, &path, "this key is missing".to_owned(), &hint);
            self.invented.push(path);
            let key = Key {
                name: field.name.to_owned(),
                place,
            };
            kept.push((key, invent(field.schema, place)));
        }
        kept
    }

    fn list(
        &mut self,
        items: &[Node],
        schema: Schema<'_>,
        path: &str,
        place: Place,
    ) -> Option<Node> {
        let least = schema.limit("minItems").unwrap_or(0.0) as usize;
        if items.len() < least {
            let message = format!("{} items, at least {least} needed", items.len());
            self.fault(place, path, message, schema.description());
            return None;
        }
        let mut kept = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let path = format!("{path}[{i}]");
            kept.push(self.value(item, schema.items(), &path).unwrap_or_else(|| {
                self.invented.push(path);
                invent(schema.items(), item.place)
            }));
        }
        Some(Node {
            value: Value::List(kept),
            place,
        })
    }

    fn choice(
        &mut self,
        node: &Node,
        value: &Value,
        schema: Schema<'_>,
        (names, kinds): (&[&str], &[&str]),
        path: &str,
    ) -> Option<Node> {
        let known = || names.iter().chain(kinds).copied();
        match value {
            Value::Text(name) if names.contains(&name.as_str()) => Some(node.clone()),
            Value::Text(name) if kinds.contains(&name.as_str()) => {
                let message = format!("{name} needs settings");
                self.fault(
                    node.place,
                    path,
                    message,
                    &format!("write {{{name}: {{…}}}}"),
                );
                None
            }
            Value::Text(name) => {
                let message = format!("{name:?} is not one of the kinds known here");
                self.fault(node.place, path, message, &suggestion(name, known()));
                None
            }
            Value::Map(entries) if !kinds.is_empty() => match entries.as_slice() {
                [(key, settings)] => {
                    let path = child(path, &key.name);
                    let Some(schema) = schema.settings_of(&key.name) else {
                        let hint = suggestion(&key.name, known());
                        self.fault(key.place, &path, "unknown kind".to_owned(), &hint);
                        return None;
                    };
                    let settings = self.value(settings, schema, &path).unwrap_or_else(|| {
                        self.invented.push(path);
                        invent(schema, settings.place)
                    });
                    Some(Node {
                        value: Value::Map(vec![(key.clone(), settings)]),
                        place: node.place,
                    })
                }
                _ => {
                    let message = format!("expected one kind, found {}", entries.len());
                    let hint = format!("choose one of: {}", listed(known()));
                    self.fault(node.place, path, message, &hint);
                    None
                }
            },
            _ => {
                let message = format!("expected one of several kinds, found {}", node.described());
                let hint = format!("choose one of: {}", listed(known()));
                self.fault(node.place, path, message, &hint);
                None
            }
        }
    }

    fn number(&mut self, node: &Node, number: f64, schema: Schema<'_>, path: &str) -> Option<Node> {
        let wrong = if number.is_finite() {
            outside(number, schema)
        } else {
            Some(format!("{number} is not a finite number"))
        };
        match wrong {
            None => Some(node.clone()),
            Some(message) => {
                self.fault(node.place, path, message, schema.description());
                None
            }
        }
    }

    fn quantity(
        &mut self,
        node: &Node,
        value: &Value,
        unit: &str,
        schema: Schema<'_>,
        path: &str,
    ) -> Option<Node> {
        let text = match value {
            Value::Text(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            _ => {
                let message = format!("expected a quantity, found {}", node.described());
                self.fault(node.place, path, message, schema.description());
                return None;
            }
        };
        let wrong = match parse_quantity(unit, &text) {
            Err(error) => Some(error.to_string()),
            Ok(value) => outside(value, schema).map(|limit| {
                // As written rather than in the unit kept.
                let limit = limit.split_once(' ').map_or("", |(_, limit)| limit);
                format!("{text} {limit}")
            }),
        };
        match wrong {
            None => Some(node.clone()),
            Some(message) => {
                self.fault(node.place, path, message, schema.description());
                None
            }
        }
    }
}

fn parse_quantity(unit: &str, text: &str) -> Result<f64, QuantityError> {
    match unit {
        "cpu" => text.parse::<Millicores>().map(|q| q.0),
        "memory" => text.parse::<Mebibytes>().map(|q| q.0),
        _ => text.parse::<Seconds>().map(|q| q.0),
    }
}

/// How `number` breaks the limits of `schema`, if it does.
fn outside(number: f64, schema: Schema<'_>) -> Option<String> {
    let limit = |name| schema.limit(name);
    let shown = shown(number);
    if let Some(least) = limit("minimum").filter(|least| number < *least) {
        return Some(format!("{shown} is below {least}"));
    }
    if let Some(least) = limit("exclusiveMinimum").filter(|least| number <= *least) {
        return Some(format!("{shown} is not above {least}"));
    }
    if let Some(most) = limit("maximum").filter(|most| number > *most) {
        return Some(format!("{shown} is above {most}"));
    }
    if let Some(most) = limit("exclusiveMaximum").filter(|most| number >= *most) {
        return Some(format!("{shown} is not below {most}"));
    }
    // Whole numbers are kept as they are.
    if matches!(schema.kind(), Kind::Integer) || number == 0.0 {
        return None;
    }
    if number.abs() > LARGEST && limit("maximum").is_none() {
        return Some(format!("{shown} is larger than {LARGEST:e}"));
    }
    (number.abs() < SMALLEST).then(|| format!("{shown} is closer to 0 than {SMALLEST:e}"))
}

/// Bounds of every number and quantity, in the unit that it is kept in, where the schema has none
/// above. In single precision squares and quotients of numbers beyond are infinite or 0.
const LARGEST: f64 = 1e12;
const SMALLEST: f64 = 1e-12;

/// `number` without hundreds of digits.
fn shown(number: f64) -> String {
    if number == 0.0 || (1e-6..1e15).contains(&number.abs()) {
        number.to_string()
    } else {
        format!("{number:e}")
    }
}

fn expected(kind: &Kind<'_>) -> &'static str {
    match kind {
        Kind::Settings => "a mapping",
        Kind::List => "a list",
        Kind::Text | Kind::Word => "text",
        Kind::Integer => "a whole number",
        Kind::Number => "a number",
        Kind::Boolean => "true or false",
        Kind::Choice { .. } => "one of several kinds",
        Kind::Quantity(_) => "a quantity",
        Kind::Anything => "anything",
    }
}

/// What to do about a value of the wrong type.
fn advice(kind: &Kind<'_>, node: &Node, schema: Schema<'_>) -> String {
    match (kind, &node.value) {
        (Kind::Text, Value::Integer(_) | Value::Float(_) | Value::Bool(_)) => {
            "put it in quotes".to_owned()
        }
        (Kind::Number | Kind::Integer, Value::Text(text)) if text.parse::<f64>().is_ok() => {
            "write it without quotes".to_owned()
        }
        (Kind::Boolean, Value::Text(text)) if ["yes", "on"].contains(&text.as_str()) => {
            "write true".to_owned()
        }
        (Kind::Boolean, Value::Text(text)) if ["no", "off"].contains(&text.as_str()) => {
            "write false".to_owned()
        }
        (_, Value::Null) => "give it a value or remove the key".to_owned(),
        (Kind::List, _) => "write a list: [first, second], or lines that start with -".to_owned(),
        _ => schema.description().to_owned(),
    }
}
