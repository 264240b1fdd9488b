//! The schema of a scenario file, and its keys for people to read.

use std::fmt::Write;

use serde_json::{Value as Json, json};

use super::Scenario;
use crate::yaml::{Kind, Schema};

/// The schema of [`Scenario`] as its types say it.
pub(super) fn struct_schema() -> Json {
    schemars::schema_for!(Scenario).to_value()
}

/// The JSON schema of a scenario file, for editors.
///
/// That of the types, but for files that extend another one: there every key but `format` and
/// `name` may be left to that one.
#[must_use]
pub fn schema() -> Json {
    let mut schema = struct_schema();
    let (always, else_required): (Vec<Json>, Vec<Json>) = schema["required"]
        .as_array()
        .cloned()
        .unwrap_or_default()
        .into_iter()
        .partition(|key| key == "format" || key == "name");
    schema["required"] = Json::Array(always);
    schema["anyOf"] = json!([{ "required": ["extends"] }, { "required": else_required }]);
    schema
}

/// The keys of a scenario file, as Markdown.
#[must_use]
pub fn key_reference() -> String {
    let schema = struct_schema();
    let root = Schema::new(&schema);
    let mut text = String::from(
        "# Keys of a scenario file\n\n\
         Written from the scenario types by `key_reference()`; a test keeps it current. Keys marked\n\
         **required** must stand in the file or in one that it extends. Everything unknown is\n\
         refused, and `karma check FILE` tells every fault at once.\n\n\
         `extends: other.yaml` lays this file over another: settings merge key by key, at every\n\
         depth; lists and choices are replaced as a whole. `use_contexts: [ddos]` keeps only those\n\
         contexts. Paths are relative to the file that names them.\n",
    );
    let mut types: Vec<(String, Schema<'_>)> = vec![("Scenario".to_owned(), root)];
    let mut next = 0;
    while next < types.len() {
        let (name, schema) = types[next].clone();
        next += 1;
        section(&mut text, &name, schema, &mut types);
    }
    text
}

/// Appends the section of one type, and the types it mentions to `types`.
fn section<'a>(
    text: &mut String,
    name: &str,
    schema: Schema<'a>,
    types: &mut Vec<(String, Schema<'a>)>,
) {
    let intro = schema.own_description().replace('\n', " ");
    let _ = write!(text, "\n## {name}\n\n{intro}\n\n");
    match schema.kind() {
        Kind::Choice { names, kinds } => {
            for kind in names {
                let _ = writeln!(
                    text,
                    "- `{kind}`: {}",
                    one_line(schema.description_of(kind))
                );
            }
            for kind in kinds {
                let words = one_line(schema.description_of(kind));
                let _ = writeln!(text, "- `{{{kind}: …}}`: {words}");
                let Some(settings) = schema.settings_of(kind) else {
                    continue;
                };
                if settings.type_name().is_some() || !matches!(settings.kind(), Kind::Settings) {
                    let _ = writeln!(text, "  - {}", described(settings, types));
                }
                for field in settings.fields() {
                    if settings.type_name().is_none() {
                        let _ = write!(text, "  ");
                        key(text, &field.schema, field.name, field.required, types);
                    }
                }
            }
        }
        _ => {
            for field in schema.fields() {
                key(text, &field.schema, field.name, field.required, types);
            }
        }
    }
}

fn key<'a>(
    text: &mut String,
    schema: &Schema<'a>,
    name: &str,
    required: bool,
    types: &mut Vec<(String, Schema<'a>)>,
) {
    let kind = described(*schema, types);
    let need = match schema.default() {
        _ if required => " **Required.**".to_owned(),
        Some(Json::Null) | None => String::new(),
        Some(default)
            if default.is_object() || default.as_array().is_some_and(|a| !a.is_empty()) =>
        {
            String::new()
        }
        Some(Json::String(default)) => format!(" Default `{default}`."),
        Some(default) => format!(" Default `{default}`."),
    };
    let words = one_line(schema.description());
    let _ = writeln!(text, "- `{name}` ({kind}): {words}{need}");
}

/// The type of a value in words, with its limits.
fn described<'a>(schema: Schema<'a>, types: &mut Vec<(String, Schema<'a>)>) -> String {
    let kind = match schema.kind() {
        Kind::Quantity(kind) => kind.to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Word => "text or index".to_owned(),
        Kind::Boolean => "true or false".to_owned(),
        Kind::Integer => "whole number".to_owned(),
        Kind::Number => "number".to_owned(),
        Kind::List => format!("list of {}", described(schema.items(), types)),
        Kind::Anything => "anything".to_owned(),
        Kind::Settings | Kind::Choice { .. } => {
            let Some(name) = schema.type_name() else {
                return "settings".to_owned();
            };
            if !types.iter().any(|(known, _)| known == name) {
                types.push((name.to_owned(), schema));
            }
            format!("[{name}](#{})", name.to_lowercase())
        }
    };
    let limit = |name| schema.limit(name);
    let mut limits = Vec::new();
    // That a quantity or a count is not negative goes without saying.
    limits.extend(
        limit("minimum")
            .filter(|least| *least != 0.0)
            .map(|l| format!("≥ {l}")),
    );
    limits.extend(limit("exclusiveMinimum").map(|l| format!("> {l}")));
    limits.extend(
        limit("maximum")
            .filter(|most| *most < f64::from(u32::MAX))
            .map(|l| format!("≤ {l}")),
    );
    limits.extend(limit("exclusiveMaximum").map(|l| format!("< {l}")));
    if limits.is_empty() {
        kind
    } else {
        format!("{kind} {}", limits.join(" and "))
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
