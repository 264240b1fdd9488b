//! From a tree to any type that serde reads. An error knows the path of the value at fault.

use serde::{
    de::{
        DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer,
        MapAccess, SeqAccess, VariantAccess, Visitor, value::StringDeserializer,
    },
    forward_to_deserialize_any,
};
use std::{collections::BTreeSet, fmt};

use super::{Node, Value, document::child};

/// Why a tree is not what a type asks for.
#[derive(Debug)]
pub(super) struct ReadError {
    /// Key path of the value at fault.
    pub(super) path: String,
    /// serde's words.
    pub(super) message: String,
    /// Whether `path` is known.
    placed: bool,
}

impl ReadError {
    /// The innermost path that is told stays.
    fn within(mut self, path: &str) -> Self {
        if !self.placed {
            // serde names the key of an unknown field only in its words.
            let unknown = self.message.strip_prefix("unknown field `");
            self.path = match unknown.and_then(|rest| rest.split('`').next()) {
                Some(key) => child(path, key),
                None => path.to_owned(),
            };
            self.placed = true;
        }
        self
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

impl serde::de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            path: String::new(),
            message: message.to_string(),
            placed: false,
        }
    }
}

/// Reads a `T` from a tree, passing over what stands at the paths in `dropped`.
pub(super) fn from_node<T: DeserializeOwned>(
    node: &Node,
    dropped: &BTreeSet<String>,
) -> Result<T, ReadError> {
    T::deserialize(Reader {
        node,
        path: String::new(),
        dropped,
    })
}

/// A node under its path.
struct Reader<'a> {
    node: &'a Node,
    path: String,
    dropped: &'a BTreeSet<String>,
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let read = match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(value) => match (u64::try_from(*value), i64::try_from(*value)) {
                (Ok(value), _) => visitor.visit_u64(value),
                (_, Ok(value)) => visitor.visit_i64(value),
                _ => visitor.visit_i128(*value),
            },
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(items) => visitor.visit_seq(Items {
                path: &self.path,
                rest: items.iter().enumerate(),
                dropped: self.dropped,
            }),
            Value::Map(entries) => visitor.visit_map(Entries {
                path: &self.path,
                rest: entries.iter(),
                value: None,
                dropped: self.dropped,
            }),
        };
        read.map_err(|error| error.within(&self.path))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let (name, node) = match &self.node.value {
            Value::Text(name) => (name, None),
            Value::Map(entries) if entries.len() == 1 => (&entries[0].0.name, Some(&entries[0].1)),
            _ => {
                let message = "expected one of the kinds, as a text or as a mapping with one key";
                return Err(ReadError::custom(message).within(&self.path));
            }
        };
        let variant = Variant {
            path: child(&self.path, name),
            name: name.clone(),
            node,
            dropped: self.dropped,
        };
        visitor
            .visit_enum(variant)
            .map_err(|error| error.within(&self.path))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'a> {
    path: &'a str,
    rest: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    dropped: &'a BTreeSet<String>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        for (i, node) in self.rest.by_ref() {
            let path = format!("{}[{i}]", self.path);
            if !self.dropped.contains(&path) {
                let dropped = self.dropped;
                return seed
                    .deserialize(Reader {
                        node,
                        path,
                        dropped,
                    })
                    .map(Some);
            }
        }
        Ok(None)
    }
}

struct Entries<'a> {
    path: &'a str,
    rest: std::slice::Iter<'a, (super::Key, Node)>,
    value: Option<(String, &'a Node)>,
    dropped: &'a BTreeSet<String>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        for (key, node) in self.rest.by_ref() {
            let path = child(self.path, &key.name);
            if !self.dropped.contains(&path) {
                self.value = Some((path, node));
                let name: StringDeserializer<ReadError> = key.name.clone().into_deserializer();
                return seed.deserialize(name).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, ReadError> {
        let (path, node) = self
            .value
            .take()
            .expect("serde asks for a value after its key");
        let reader = Reader {
            node,
            path: path.clone(),
            dropped: self.dropped,
        };
        seed.deserialize(reader)
            .map_err(|error| error.within(&path))
    }
}

struct Variant<'a> {
    path: String,
    name: String,
    node: Option<&'a Node>,
    dropped: &'a BTreeSet<String>,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), ReadError> {
        let name: StringDeserializer<ReadError> = self.name.clone().into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'a> Variant<'a> {
    fn content(self) -> Result<Reader<'a>, ReadError> {
        match self.node {
            Some(node) => Ok(Reader {
                node,
                path: self.path,
                dropped: self.dropped,
            }),
            None => Err(ReadError::custom(format!(
                "`{0}` needs settings: write `{0}: {{…}}`",
                self.name
            ))),
        }
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        match self.node.map(|node| &node.value) {
            None | Some(Value::Null) => Ok(()),
            Some(_) => {
                let message = format!("`{}` has no settings", self.name);
                Err(ReadError::custom(message).within(&self.path))
            }
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.content()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.content()?.deserialize_any(visitor)
    }
}
