//! What is wrong with an organization, and where.

use std::fmt;

/// One fault of an organization. The crate knows key paths; who reads the file adds lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SpecFault {
    /// Path of the offending key, e.g. `rules[3].when`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it; empty where nothing helps beyond the message.
    pub hint: String,
}

impl fmt::Display for SpecFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)?;
        if self.hint.is_empty() {
            Ok(())
        } else {
            write!(f, " (hint: {})", self.hint)
        }
    }
}

impl SpecFault {
    /// A fault at `path`.
    pub(crate) fn new(
        path: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            hint: hint.into(),
        }
    }
}

/// A hint naming what was perhaps meant, or listing what exists.
pub(crate) fn did_you_mean<'a>(
    wanted: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> String {
    let best = known
        .clone()
        .map(|name| (strsim::osa_distance(wanted, name), name))
        .min();
    match best {
        Some((distance, name)) if distance <= 2.max(wanted.chars().count() / 3) => {
            format!("did you mean `{name}`?")
        }
        Some(_) => format!("known are {}", known.collect::<Vec<_>>().join(", ")),
        None => "there are none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_the_nearest_word() {
        let known = ["queue_high", "idle"];
        assert_eq!(
            did_you_mean("queue_hi", known.into_iter()),
            "did you mean `queue_high`?"
        );
        assert!(did_you_mean("zzzzzzz", known.into_iter()).starts_with("known are"));
    }
}
