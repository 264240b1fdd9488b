//! The only reader of YAML: a text becomes a tree whose every value knows its file, line and
//! column, so that all of its faults can be told at once, each at its place.
//!
//! [`Document`] is the tree; a syntax error is told alone, since nothing after it can be trusted.
//! `conform` compares a tree with a JSON schema, [`read`] turns one into any type that serde reads.

mod compare;
mod conform;
mod deserialize;
mod document;
mod fault;
mod invent;
mod merge;
mod schema;
mod suggest;

use std::{collections::BTreeSet, path::Path};

use serde::{Serialize, de::DeserializeOwned};

pub use compare::Difference;
pub(crate) use conform::conform;
pub(crate) use document::child;
use document::parent;
pub use document::{Document, Key, Node, Place, Value};
pub(crate) use fault::shortened;
pub use fault::{Fault, Refusals};
pub(crate) use merge::merge;
pub(crate) use schema::{Kind, Schema};
pub(crate) use suggest::{listed, suggestion};

/// Reads a `T`, which is a mapping, from `text`; `origin` is the file it came from.
///
/// Of a type without a schema serde names only one fault at a time. To tell more than that, what
/// is at fault is left out (an unknown key, an item of a list, the mapping that lacks a key) and
/// the rest is read again, until it reads or nothing is left to leave out.
///
/// # Errors
/// [`Refusals`] with the faults found, in the order of their lines.
pub fn read<T: DeserializeOwned>(text: &str, origin: &Path) -> Result<T, Refusals> {
    let mut document =
        Document::parse(text).map_err(|fault| Refusals(vec![fault.in_file(origin)]))?;
    match &document.root.value {
        Value::Map(_) => {}
        Value::Null => return Err(Refusals(vec![Fault::of_file(origin, "the file is empty")])),
        _ => {
            let message = "expected keys and values";
            let fault = Fault::at(origin, document.root.place, "", message);
            return Err(Refusals(vec![fault]));
        }
    }
    let mut faults = document.duplicate_keys(&[origin.to_owned()]);
    let mut dropped = BTreeSet::new();
    loop {
        let error = match deserialize::from_node::<T>(&document.root, &dropped) {
            Ok(value) if faults.is_empty() => return Ok(value),
            Ok(_) => break,
            Err(error) => error,
        };
        // That a key which was left out is now missing is no fault of its own.
        let missing = error.message.strip_prefix("missing field `");
        let missing = missing.map(|rest| child(&error.path, rest.trim_end_matches('`')));
        if !missing.is_some_and(|key| dropped.contains(&key)) {
            let place = document.place(&error.path);
            faults.push(Fault::at(origin, place, &error.path, &error.message));
        }
        let mut path = error.path.as_str();
        while dropped.contains(path) {
            path = parent(path).unwrap_or_default();
        }
        if path.is_empty() {
            break;
        }
        dropped.insert(path.to_owned());
    }
    Err(Refusals::in_order(faults, &[]))
}

/// Reads a `T` from a document that has been compared with its schema.
///
/// # Errors
/// Path and words of what serde refuses nevertheless.
pub(crate) fn from_document<T: DeserializeOwned>(
    document: &Document,
) -> Result<T, (String, String)> {
    deserialize::from_node(&document.root, &BTreeSet::new())
        .map_err(|error| (error.path, error.message))
}

/// Writes `value`.
///
/// # Panics
/// If `value` has a map whose keys are not plain values, which no type of ours has.
#[must_use]
pub fn write<T: Serialize>(value: &T) -> String {
    serde_saphyr::to_string(value).expect("our types hold nothing that YAML cannot express")
}
