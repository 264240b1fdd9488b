//! Quantities as Kubernetes users write them: `15s`, `500m`, `256Mi`.
//!
//! Each newtype reads the written form or a plain number, keeps one unit inside, and writes the
//! shortest form that reads back to the same value.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a written quantity was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct QuantityError {
    /// The text as written.
    pub text: String,
    /// What is accepted, in words.
    pub expected: &'static str,
}

/// Finds the longest known suffix of `text` and multiplies the number before it.
fn scaled(
    text: &str,
    suffixes: &[(&str, f64)],
    expected: &'static str,
) -> Result<f64, QuantityError> {
    let refuse = || QuantityError {
        text: text.to_owned(),
        expected,
    };
    let text = text.trim();
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let factor = suffixes
        .iter()
        .find(|(known, _)| *known == suffix.trim())
        .map(|(_, f)| *f)
        .ok_or_else(refuse)?;
    let value: f64 = number.trim().parse().map_err(|_| refuse())?;
    let scaled = value * factor;
    if scaled.is_finite() {
        Ok(scaled)
    } else {
        Err(refuse())
    }
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $field:ident, $expected:literal, $suffixes:expr, written $written:expr, $kind:literal, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
        pub struct $name(pub f64);

        impl $name {
            /// The value in the unit of the type.
            #[must_use]
            pub fn $field(self) -> f64 {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = QuantityError;
            fn from_str(text: &str) -> Result<Self, QuantityError> {
                scaled(text, $suffixes, $expected).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // The largest unit that shows the value as a whole number, else the unit kept.
                let (mut unit, mut size) = $suffixes[0];
                for &(suffix, factor) in $written {
                    let value = self.0 / factor;
                    if factor > size && value.abs() >= 1.0 && value.fract() == 0.0 {
                        (unit, size) = (suffix, factor);
                    }
                }
                write!(f, "{}{unit}", self.0 / size)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_f64<E: de::Error>(self, value: f64) -> Result<$name, E> {
                        self.visit_str(&value.to_string())
                    }
                    fn visit_i64<E: de::Error>(self, value: i64) -> Result<$name, E> {
                        self.visit_str(&value.to_string())
                    }
                    fn visit_u64<E: de::Error>(self, value: u64) -> Result<$name, E> {
                        self.visit_str(&value.to_string())
                    }
                }
                deserializer.deserialize_any(Visitor)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "description": $expected,
                    "type": ["string", "number"],
                    "pattern": $pattern,
                    "minimum": 0,
                    "x-quantity": $kind
                })
            }
        }
    };
}

quantity!(
    /// A span of time, kept in seconds.
    Seconds, seconds, "a duration such as 500ms, 15s, 10m or 1h (a plain number is seconds)",
    &[("s", 1.0), ("", 1.0), ("ms", 1e-3), ("m", 60.0), ("min", 60.0), ("h", 3600.0)],
    written &[("m", 60.0), ("h", 3600.0)],
    "duration", r"^[0-9.]+ *(ms|s|m|min|h)?$"
);

quantity!(
    /// Processor share, kept in millicores.
    Millicores, millicores, "a CPU quantity such as 500m or 2 (a plain number is cores)",
    &[("m", 1.0), ("", 1000.0)], written &[("", 1000.0)],
    "cpu", r"^[0-9.]+ *m?$"
);

quantity!(
    /// Memory, kept in MiB.
    Mebibytes, mebibytes, "a memory quantity such as 256Mi or 1Gi (a plain number is bytes)",
    &[("Mi", 1.0), ("", 1.0 / 1_048_576.0), ("Ki", 1.0 / 1024.0), ("Gi", 1024.0), ("Ti", 1_048_576.0),
      ("k", 1e3 / 1_048_576.0), ("M", 1e6 / 1_048_576.0), ("G", 1e9 / 1_048_576.0)],
    written &[("Gi", 1024.0), ("Ti", 1_048_576.0)],
    "memory", r"^[0-9.]+ *(Ki|Mi|Gi|Ti|k|M|G)?$"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_as_kubernetes_users_write_them() {
        assert_eq!("500m".parse(), Ok(Millicores(500.0)));
        assert_eq!("2".parse(), Ok(Millicores(2000.0)));
        assert_eq!("256Mi".parse(), Ok(Mebibytes(256.0)));
        assert_eq!("1Gi".parse(), Ok(Mebibytes(1024.0)));
        assert_eq!("15s".parse(), Ok(Seconds(15.0)));
        assert_eq!("500ms".parse(), Ok(Seconds(0.5)));
        assert_eq!("10m".parse(), Ok(Seconds(600.0)));
        assert!("ten".parse::<Seconds>().is_err());
        assert!("256Mb".parse::<Mebibytes>().is_err());
        assert!("NaNs".parse::<Seconds>().is_err());
    }

    #[test]
    fn quantities_write_what_they_read() {
        for text in ["15s", "1m", "1h", "0.5s", "90s"] {
            assert_eq!(
                text.parse::<Seconds>().map(|q| q.to_string()),
                Ok(text.to_owned())
            );
        }
        assert_eq!(Seconds(900.0).to_string(), "15m");
        assert_eq!(Seconds(15.0).to_string(), "15s");
        assert_eq!(Millicores(500.0).to_string(), "500m");
        assert_eq!(Millicores(16_000.0).to_string(), "16");
        assert_eq!(Mebibytes(1024.0).to_string(), "1Gi");
        assert_eq!(Mebibytes(256.0).to_string(), "256Mi");
    }
}
