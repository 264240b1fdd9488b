//! `extends`: one tree laid over another.

use super::{
    Node, Value,
    schema::{Kind, Schema},
};

/// Lays `over` over `base`: settings merge key by key, at every depth; everything else (lists,
/// plain values, a choice of one kind) is replaced as a whole. `schema` says which mapping holds
/// settings and which is a choice.
pub(crate) fn merge(base: Node, over: Node, schema: Schema<'_>) -> Node {
    let settings = matches!(schema.kind(), Kind::Settings);
    let (mut entries, above) = match (base.value, over.value) {
        (Value::Map(below), Value::Map(above)) if settings => (below, above),
        (_, value) => return Node { value, ..over },
    };
    for (key, node) in above {
        match entries.iter_mut().find(|(k, _)| k.name == key.name) {
            Some(entry) => {
                let below = std::mem::replace(&mut entry.1, node.clone());
                entry.1 = match schema.key(&key.name) {
                    Some(schema) => merge(below, node, schema),
                    None => node,
                };
                entry.0 = key;
            }
            None => entries.push((key, node)),
        }
    }
    Node {
        value: Value::Map(entries),
        place: over.place,
    }
}
