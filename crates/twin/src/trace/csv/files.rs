//! Which files a mapping means, and what their paths say.

use std::{collections::BTreeMap, path::Path};

use crate::{
    error::{Result, TwinError},
    trace::mapping::{FilePattern, Mapping},
};

/// A file and what its path says.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) run: String,
    pub(super) service: String,
    pub(super) policy: Option<String>,
    pub(super) validate: bool,
}

/// The files below `dir` that `mapping` describes, sorted by name.
pub(super) fn find_files(dir: &Path, mapping: &Mapping) -> Result<Vec<Found>> {
    // As `glob` gives paths back, and with nothing in the folder's own name taken for a pattern.
    let root = dir.canonicalize().map_err(|source| TwinError::File {
        path: dir.to_owned(),
        source,
    })?;
    let escaped = glob::Pattern::escape(&root.to_string_lossy());
    let mut all: Vec<Found> = Vec::new();
    for pattern in &mapping.files {
        let shell = format!("{escaped}/{}", stars(&pattern.path));
        let paths = glob::glob(&shell)
            .map_err(|e| TwinError::Trace(format!("pattern {:?}: {e}", pattern.path)))?;
        let before = all.len();
        for path in paths.filter_map(std::result::Result::ok) {
            let Ok(relative) = path.strip_prefix(&root) else {
                continue;
            };
            let name = relative.to_string_lossy().replace('\\', "/");
            if all.iter().any(|found| found.name == name) {
                continue;
            }
            all.extend(describe(pattern, &name)?);
        }
        if all.len() == before {
            let reason = format!("no file below {} matches {}", dir.display(), pattern.path);
            return Err(TwinError::Trace(reason));
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// The pattern with every `{capture}` replaced by `*`.
fn stars(pattern: &str) -> String {
    let mut text = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        text.push('*');
        rest = after.split_once('}').map_or("", |(_, rest)| rest);
    }
    text + rest
}

fn describe(pattern: &FilePattern, name: &str) -> Result<Option<Found>> {
    let Some(captures) = captures(&pattern.path, name) else {
        return Ok(None);
    };
    let fill = |template: &str| fill(template, &captures);
    Ok(Some(Found {
        name: name.to_owned(),
        run: fill(&pattern.run)?,
        service: fill(&pattern.service)?,
        policy: pattern.policy.as_deref().map(fill).transpose()?,
        validate: pattern.validate,
    }))
}

/// What the captures of `pattern` stand for in `name`, one part of the path each.
fn captures(pattern: &str, name: &str) -> Option<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut parts = name.split('/');
    for piece in pattern.split('/') {
        let part = parts.next()?;
        if let Some((prefix, rest)) = piece.split_once('{') {
            let (key, suffix) = rest.split_once('}')?;
            let value = part.strip_prefix(prefix)?.strip_suffix(suffix)?;
            found.insert(key.to_owned(), value.to_owned());
        }
    }
    parts.next().is_none().then_some(found)
}

fn fill(template: &str, captures: &BTreeMap<String, String>) -> Result<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((key, after)) = after.split_once('}') else {
            return Err(TwinError::Trace(format!("unclosed {{ in {template:?}")));
        };
        let Some(value) = captures.get(key) else {
            let reason = format!("{template:?} needs {{{key}}}, which the path does not capture");
            return Err(TwinError::Trace(reason));
        };
        text.push_str(before);
        text.push_str(value);
        rest = after;
    }
    Ok(text + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_take_one_part_of_a_path_each() {
        let found = captures(
            "results/{service}/ml{step}m/x.csv",
            "results/cart/ml3m/x.csv",
        );
        let found = found.unwrap_or_default();
        assert_eq!(found.get("service").map(String::as_str), Some("cart"));
        assert_eq!(found.get("step").map(String::as_str), Some("3"));
        assert_eq!(
            stars("results/{service}/ml{step}m/x.csv"),
            "results/*/ml*m/x.csv"
        );
        assert!(captures("a/{b}", "a/b/c").is_none());
        assert!(fill("{missing}", &found).is_err());
    }
}
