//! The located tree.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{
    Options, Spanned,
    options::{DuplicateKeyPolicy, NonFiniteFloatPolicy},
};

use super::Fault;

/// Where something stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Number of the file, for trees merged from several.
    pub file: usize,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it starts.
    pub place: Place,
}

/// A value as YAML's core schema resolves it; `no` and `off` are text.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// Another number, `.nan` and `.inf` included.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the text; a repeated key is kept.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub name: String,
    /// Where it stands.
    pub place: Place,
}

impl Node {
    /// The value of `key`, if this is a mapping that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(k, _)| k.name == key).map(|e| &e.1),
            _ => None,
        }
    }

    /// What this is, in words.
    pub(super) fn described(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("the boolean {value}"),
            Value::Integer(value) => format!("the number {value}"),
            Value::Float(value) => format!("the number {value}"),
            Value::Text(text) => format!("the text {text:?}"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    fn set_file(&mut self, file: usize) {
        self.place.file = file;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.set_file(file)),
            Value::Map(entries) => {
                for (key, node) in entries {
                    key.place.file = file;
                    node.set_file(file);
                }
            }
            _ => {}
        }
    }
}

/// A YAML text as a located tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The whole.
    pub root: Node,
}

impl Document {
    /// Reads `text`.
    ///
    /// # Errors
    /// The first error of syntax, with an empty file name.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let mut options = Options::default();
        options.strict_booleans = true;
        // Both are told as faults among the others, with their lines.
        options.duplicate_keys = DuplicateKeyPolicy::PassThrough;
        options.non_finite_float_policy = NonFiniteFloatPolicy::PassThrough;
        let read = serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options);
        match read {
            Ok(spanned) => Ok(Self {
                root: node(spanned),
            }),
            Err(error) => {
                let at = error.location();
                let place = Place {
                    file: 0,
                    line: at.map_or(1, |at| at.line()),
                    column: at.map_or(1, |at| at.column()),
                };
                let message = error.without_snippet().to_string();
                if message.starts_with("multiple YAML documents") {
                    let fault =
                        Fault::at(Path::new(""), place, "", "a second document starts here");
                    return Err(fault.hint("one document per file: remove the line ---"));
                }
                // The place is told by the fault itself.
                let message = message.split(" at line ").next().unwrap_or(&message);
                Err(Fault::at(Path::new(""), place, "", message))
            }
        }
    }

    /// Says that the document is file number `file`.
    pub(crate) fn set_file(&mut self, file: usize) {
        self.root.set_file(file);
    }

    /// The place of `path` (`services[1].replicas.max`): of its key, of its item, or, where the path
    /// does not exist, of the part of it that does.
    #[must_use]
    pub fn place(&self, path: &str) -> Place {
        let mut node = &self.root;
        let mut place = node.place;
        for step in steps(path) {
            match (&step, &node.value) {
                (Step::Key(name), Value::Map(entries)) => {
                    // The last of a repeated key, which is the one that would hold.
                    let Some((key, value)) = entries.iter().rfind(|(k, _)| k.name == *name) else {
                        return place;
                    };
                    (place, node) = (key.place, value);
                }
                (Step::Item(index), Value::List(items)) => {
                    let Some(item) = items.get(*index) else {
                        return place;
                    };
                    (place, node) = (item.place, item);
                }
                _ => return place,
            }
        }
        place
    }

    /// A fault for every key that stands twice in one mapping, which is then reduced to the first.
    /// `files` are the files by number.
    pub(crate) fn duplicate_keys(&mut self, files: &[PathBuf]) -> Vec<Fault> {
        let mut faults = Vec::new();
        drop_duplicates(&mut self.root, files, "", &mut faults);
        faults
    }
}

/// One step of a key path.
enum Step {
    Key(String),
    Item(usize),
}

fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let (key, items) = part.split_once('[').unwrap_or((part, ""));
        if !key.is_empty() {
            steps.push(Step::Key(key.to_owned()));
        }
        let indices = items.split(['[', ']']).filter_map(|i| i.parse().ok());
        steps.extend(indices.map(Step::Item));
    }
    steps
}

/// The path of what `path` is an item or key of; `None` for the whole document.
pub(super) fn parent(path: &str) -> Option<&str> {
    if path.is_empty() {
        return None;
    }
    Some(path.rfind(['.', '[']).map_or("", |at| &path[..at]))
}

/// `path` followed by `key`.
pub(crate) fn child(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn drop_duplicates(node: &mut Node, files: &[PathBuf], path: &str, faults: &mut Vec<Fault>) {
    match &mut node.value {
        Value::List(items) => {
            for (i, item) in items.iter_mut().enumerate() {
                drop_duplicates(item, files, &format!("{path}[{i}]"), faults);
            }
        }
        Value::Map(entries) => {
            let mut seen: Vec<Key> = Vec::new();
            entries.retain(|(key, _)| {
                let Some(first) = seen.iter().find(|k| k.name == key.name) else {
                    seen.push(key.clone());
                    return true;
                };
                let message = format!("the key stands here and in line {}", first.place.line);
                let path = child(path, &key.name);
                let file = &files[key.place.file];
                faults.push(Fault::at(file, key.place, &path, message).hint("keep one of them"));
                false
            });
            for (key, node) in entries {
                drop_duplicates(node, files, &child(path, &key.name), faults);
            }
        }
        _ => {}
    }
}

fn node(spanned: Spanned<Value>) -> Node {
    Node {
        value: spanned.value,
        place: place(&spanned.referenced),
    }
}

fn place(at: &serde_saphyr::Location) -> Place {
    Place {
        file: 0,
        line: at.line(),
        column: at.column(),
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(node(item));
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(name) = map.next_key::<Spanned<String>>()? {
            let key = Key {
                place: place(&name.referenced),
                name: name.value,
            };
            entries.push((key, node(map.next_value()?)));
        }
        Ok(Value::Map(entries))
    }
}
