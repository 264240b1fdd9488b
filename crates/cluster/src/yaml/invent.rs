//! A value for where nobody wrote one that can be used.

use super::{
    Key, Node, Place, Value,
    schema::{Kind, Schema},
};

/// Any value that `schema` accepts.
pub(super) fn invent(schema: Schema<'_>, place: Place) -> Node {
    let above = schema.limit("exclusiveMinimum").map(|least| least + 1.0);
    let number = above.or(schema.limit("minimum")).unwrap_or(1.0).max(1.0);
    let number = number.min(schema.limit("maximum").unwrap_or(number));
    let map = |fields: Vec<(&str, Schema<'_>)>| {
        let entry = |(name, schema): (&str, Schema<'_>)| {
            let name = name.to_owned();
            (Key { name, place }, invent(schema, place))
        };
        Value::Map(fields.into_iter().map(entry).collect())
    };
    let value = match schema.kind() {
        Kind::Settings => {
            let fields = schema.fields().into_iter().filter(|field| field.required);
            map(fields.map(|field| (field.name, field.schema)).collect())
        }
        Kind::Choice { names, kinds } => match (names.first(), kinds.first()) {
            (Some(name), _) => Value::Text((*name).to_owned()),
            (None, Some(kind)) => {
                let settings = schema.settings_of(kind).into_iter();
                map(settings.map(|settings| (*kind, settings)).collect())
            }
            (None, None) => Value::Null,
        },
        Kind::List => {
            let least = schema.limit("minItems").unwrap_or(0.0) as usize;
            Value::List(vec![invent(schema.items(), place); least])
        }
        Kind::Text | Kind::Word => Value::Text("?".to_owned()),
        Kind::Integer => Value::Integer(number as i128),
        Kind::Number | Kind::Quantity(_) => Value::Float(number),
        Kind::Boolean => Value::Bool(false),
        Kind::Anything => Value::Null,
    };
    Node { value, place }
}
