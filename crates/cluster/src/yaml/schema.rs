//! A JSON schema as schemars writes it, seen as what a file may hold.
//!
//! Only the part of the standard that schemars uses for our types is known: structs, externally
//! tagged enums, options, lists, plain values with limits, and the quantities of
//! [`crate::units`].

use serde_json::Value as Json;

/// One place of a schema.
#[derive(Clone, Copy)]
pub(crate) struct Schema<'a> {
    root: &'a Json,
    /// The place as its owner describes it.
    outer: &'a Json,
    /// What that refers to.
    json: &'a Json,
    /// Whether nothing is accepted, too.
    pub(crate) optional: bool,
}

/// What a place of a schema accepts.
pub(crate) enum Kind<'a> {
    /// A mapping with known keys.
    Settings,
    /// One of several kinds: plain names, or a mapping with the kind as its one key.
    Choice {
        /// Kinds without settings.
        names: Vec<&'a str>,
        /// Kinds with settings.
        kinds: Vec<&'a str>,
    },
    /// A list.
    List,
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Text or number with a unit; the name says which.
    Quantity(&'a str),
    /// Text or a whole number, read as text.
    Word,
    /// Anything.
    Anything,
}

/// One key of a [`Kind::Settings`].
pub(crate) struct Field<'a> {
    pub(crate) name: &'a str,
    pub(crate) required: bool,
    pub(crate) schema: Schema<'a>,
}

impl<'a> Schema<'a> {
    /// The whole of `root`.
    pub(crate) fn new(root: &'a Json) -> Self {
        Self::at(root, root)
    }

    fn at(root: &'a Json, outer: &'a Json) -> Self {
        let mut json = outer;
        let mut optional = false;
        loop {
            if let Some(name) = json["$ref"].as_str() {
                json = root
                    .pointer(name.trim_start_matches('#'))
                    .unwrap_or(&Json::Null);
            } else if let Some([one, other]) = json["anyOf"].as_array().map(Vec::as_slice)
                && other["type"] == "null"
            {
                (json, optional) = (one, true);
            } else {
                break;
            }
        }
        optional |= json["type"]
            .as_array()
            .is_some_and(|t| t.contains(&"null".into()));
        Self {
            root,
            outer,
            json,
            optional,
        }
    }

    /// What is accepted here.
    pub(crate) fn kind(&self) -> Kind<'a> {
        if let Some(unit) = self.json["x-quantity"].as_str() {
            return Kind::Quantity(unit);
        }
        if self.json["x-word"] == true {
            return Kind::Word;
        }
        if let Some(choices) = self.json["oneOf"].as_array() {
            let (mut names, mut kinds) = (Vec::new(), Vec::new());
            for choice in choices {
                names.extend(choice["const"].as_str());
                names.extend(
                    choice["enum"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(Json::as_str),
                );
                kinds.extend(
                    choice["properties"]
                        .as_object()
                        .into_iter()
                        .flat_map(|p| p.keys()),
                );
            }
            let kinds = kinds.into_iter().map(String::as_str).collect();
            return Kind::Choice { names, kinds };
        }
        if let Some(names) = self.json["enum"].as_array() {
            return Kind::Choice {
                names: names.iter().filter_map(Json::as_str).collect(),
                kinds: Vec::new(),
            };
        }
        let kind = &self.json["type"];
        match kind.as_str().or(kind[0].as_str()) {
            Some("object") => Kind::Settings,
            Some("array") => Kind::List,
            Some("string") => Kind::Text,
            Some("integer") => Kind::Integer,
            Some("number") => Kind::Number,
            Some("boolean") => Kind::Boolean,
            _ => Kind::Anything,
        }
    }

    /// The place of a key of settings.
    pub(crate) fn key(&self, name: &str) -> Option<Self> {
        let key = self.json["properties"].get(name)?;
        Some(Self::at(self.root, key))
    }

    /// The settings of one kind of a choice.
    pub(crate) fn settings_of(&self, kind: &str) -> Option<Self> {
        let choices = self.json["oneOf"].as_array()?;
        let settings = choices.iter().find_map(|c| c["properties"].get(kind))?;
        Some(Self::at(self.root, settings))
    }

    /// The place of every item of a list.
    pub(crate) fn items(&self) -> Self {
        Self::at(self.root, &self.json["items"])
    }

    /// All keys of settings.
    pub(crate) fn fields(&self) -> Vec<Field<'a>> {
        let required = |name: &str| {
            let required = self.json["required"].as_array();
            required.is_some_and(|r| r.iter().any(|r| r == name))
        };
        let properties = self.json["properties"].as_object().into_iter().flatten();
        properties
            .map(|(name, json)| Field {
                name,
                required: required(name),
                schema: Self::at(self.root, json),
            })
            .collect()
    }

    /// A limit such as `minimum`, of this place or of what it refers to.
    pub(crate) fn limit(&self, name: &str) -> Option<f64> {
        let limit = self.outer[name].as_f64().or(self.json[name].as_f64());
        let counts = name == "maximum" && self.json["format"] == "uint32";
        limit.or(counts.then_some(f64::from(u32::MAX)))
    }

    /// What this place is for, in the words of its documentation.
    pub(crate) fn description(&self) -> &'a str {
        let words = self.outer["description"]
            .as_str()
            .or(self.json["description"].as_str());
        words.unwrap_or_default()
    }

    /// What the type that this place refers to is for.
    pub(crate) fn own_description(&self) -> &'a str {
        self.json["description"].as_str().unwrap_or_default()
    }

    /// The documentation of one kind of a choice.
    pub(crate) fn description_of(&self, kind: &str) -> &'a str {
        let choices = self.json["oneOf"].as_array().map_or(&[][..], Vec::as_slice);
        let choice = choices
            .iter()
            .find(|c| c["const"] == kind || c["properties"].get(kind).is_some());
        choice
            .and_then(|c| c["description"].as_str())
            .unwrap_or_default()
    }

    /// What holds where the key is absent.
    pub(crate) fn default(&self) -> Option<&'a Json> {
        self.outer.get("default")
    }

    /// Name of the type that is referred to, if any.
    pub(crate) fn type_name(&self) -> Option<&'a str> {
        let direct = self.outer["$ref"].as_str();
        let optional = self.outer["anyOf"][0]["$ref"].as_str();
        direct.or(optional)?.rsplit('/').next()
    }
}
