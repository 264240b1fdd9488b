//! Policies in files: `policy.safetensors` and `policy.json`.
//!
//! The manifest says what the policy's numbers mean: its layout, and every part of the scenario that
//! the encoder, the decoder and the guides depend on. A policy loads only where all of that is the
//! same.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use karma_cluster::{Encoder, Scenario, action::CHOICES, files};
use karma_nn::{
    Mlp,
    store::{self, Archive},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    Policy,
    error::{MarlError, Result},
    policy::Layout,
};

/// Version of the two files.
const FORMAT: u32 = 2;
/// The version before, of one actor that all agents share; it is still read.
const ONE_ACTOR: u32 = 1;
/// Weights.
pub const WEIGHTS: &str = "policy.safetensors";
/// Manifest.
pub const MANIFEST: &str = "policy.json";

/// What `policy.json` says about the weights beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: u32,
    /// Named by difference; see [`meaning`].
    meaning: Value,
    layout: Layout,
    organization_sha256: String,
    /// The whole scenario that the policy was trained for; told, not compared.
    scenario_sha256: String,
    weights_sha256: String,
}

/// Hexadecimal SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A digest as text.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a policy's inputs and outputs mean: names, and the numbers behind the encoder's scales.
fn meaning(scenario: &Scenario) -> Value {
    let services: Vec<Value> = scenario
        .services
        .iter()
        .map(|service| {
            json!({
                "name": service.name,
                "min_replicas": service.replicas.min,
                "max_replicas": service.replicas.max,
                "cpu_request_millicores": service.cpu_request.millicores(),
                "memory_request_mib": service.memory_request.mebibytes(),
                "rate_per_replica": service.rate_per_replica,
            })
        })
        .collect();
    json!({
        "services": services,
        "agents": scenario.team.agents,
        "window_s": scenario.control.window.seconds(),
        "slo_latency_s": scenario.slo.latency.seconds(),
    })
}

/// The first difference between two values: its key path, what is found, what is expected.
fn first_difference(path: &str, found: &Value, expected: &Value) -> Option<[String; 3]> {
    let below = |key: &str| format!("{path}{}{key}", if path.is_empty() { "" } else { "." });
    match (found, expected) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            keys.into_iter().find_map(|key| {
                let of = |map: &serde_json::Map<String, Value>| {
                    map.get(key).cloned().unwrap_or(Value::Null)
                };
                first_difference(&below(key), &of(a), &of(b))
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(i, (a, b))| first_difference(&below(&i.to_string()), a, b)),
        (Value::Array(a), Value::Array(b)) => {
            Some([below("length"), a.len().to_string(), b.len().to_string()])
        }
        (Value::Number(a), Value::Number(b)) => {
            // Numbers went through decimal text: the last bit may differ.
            let (x, y) = (a.as_f64()?, b.as_f64()?);
            ((x - y).abs() > 1e-12 * y.abs())
                .then(|| [path.to_owned(), a.to_string(), b.to_string()])
        }
        _ => {
            (found != expected).then(|| [path.to_owned(), found.to_string(), expected.to_string()])
        }
    }
}

/// What the tensors of an actor are called: `actor`, with its number where there are several.
fn prefix(layout: &Layout, index: usize) -> String {
    if layout.actors() == 1 {
        return "actor".to_owned();
    }
    format!("actor.{index}")
}

/// Brings the manifest of one shared actor to the form of today.
fn upgrade(raw: &mut Value) {
    if raw["format"] != json!(ONE_ACTOR) {
        return;
    }
    let agents = raw["layout"]["agents"].as_array().map_or(0, Vec::len);
    if let Some(layout) = raw["layout"].as_object_mut() {
        layout.insert("sharing".to_owned(), json!(vec![0; agents]));
        layout.insert("joint".to_owned(), json!(false));
        raw["format"] = json!(FORMAT);
    }
}

/// Writes `policy.safetensors` and `policy.json` into `dir`. `organization` is the text of the
/// organisation file, empty without one; only its hash is kept.
///
/// # Errors
/// [`MarlError::File`].
pub fn save(policy: &Policy, scenario: &Scenario, organization: &str, dir: &Path) -> Result<()> {
    let (weights, manifest) = (dir.join(WEIGHTS), dir.join(MANIFEST));
    let mut archive = Archive::default();
    for (index, actor) in policy.actors.iter().enumerate() {
        actor.export(&prefix(&policy.layout, index), &mut archive);
    }
    let bytes = store::to_bytes(&archive).map_err(|e| MarlError::broken(&weights, e))?;
    let contents = Manifest {
        format: FORMAT,
        meaning: meaning(scenario),
        layout: policy.layout.clone(),
        organization_sha256: sha256(organization.as_bytes()),
        scenario_sha256: sha256(json!(scenario).to_string().as_bytes()),
        weights_sha256: sha256(&bytes),
    };
    let text = serde_json::to_string_pretty(&contents)
        .map_err(|e| MarlError::broken(&manifest, e))?
        + "\n";
    for (path, bytes) in [(&weights, bytes.as_slice()), (&manifest, text.as_bytes())] {
        files::replace(path, |file| file.write_all(bytes)).map_err(|e| MarlError::file(path, e))?;
    }
    Ok(())
}

/// A policy as its two files have it, whatever it was trained for.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// The policy.
    pub policy: Policy,
    /// What the files say about it.
    pub manifest: Manifest,
    /// Where the manifest was read, for faults.
    path: PathBuf,
}

/// Reads a policy for `scenario` and the organisation whose text is `organization`.
///
/// # Errors
/// [`MarlError::Mismatch`] with the first difference where the policy
/// was trained for something else; [`MarlError::Broken`] where a file is
/// damaged.
pub fn load(dir: &Path, scenario: &Scenario, organization: &str) -> Result<Policy> {
    let bundle = Bundle::read(dir)?;
    bundle.check(scenario, organization)?;
    Ok(bundle.policy)
}

impl Bundle {
    /// Reads the files in `dir` and checks that they belong together.
    ///
    /// # Errors
    /// [`MarlError::File`] where one is absent, [`MarlError::Mismatch`] where they are of another
    /// version, [`MarlError::Broken`] where one is damaged.
    pub fn read(dir: &Path) -> Result<Self> {
        let (weights, path) = (dir.join(WEIGHTS), dir.join(MANIFEST));
        let text = fs::read_to_string(&path).map_err(|e| MarlError::file(&path, e))?;
        let bytes = fs::read(&weights).map_err(|e| MarlError::file(&weights, e))?;
        let mut raw: Value =
            serde_json::from_str(&text).map_err(|e| MarlError::broken(&path, e))?;
        upgrade(&mut raw);
        // The version first: another one may have other keys. Then what this build encodes.
        for (what, found, expected) in [
            ("format", &raw["format"], json!(FORMAT)),
            (
                "layout.per_service",
                &raw["layout"]["per_service"],
                json!(Encoder::PER_SERVICE),
            ),
            ("layout.choices", &raw["layout"]["choices"], json!(CHOICES)),
        ] {
            if *found != expected {
                return Err(MarlError::Mismatch {
                    path,
                    what: what.to_owned(),
                    found: found.to_string(),
                    expected: expected.to_string(),
                });
            }
        }
        let manifest: Manifest =
            serde_json::from_value(raw).map_err(|e| MarlError::broken(&path, e))?;
        if sha256(&bytes) != manifest.weights_sha256 {
            return Err(MarlError::broken(
                &weights,
                "not the file that policy.json was written with",
            ));
        }
        if !fits(&manifest.layout, bytes.len()) {
            let reason = "the layout is not one of a network whose weights are beside it";
            return Err(MarlError::broken(&path, reason));
        }
        let archive = store::from_bytes(&bytes).map_err(|e| MarlError::broken(&weights, e))?;
        let layout = manifest.layout.clone();
        let actors = (0..layout.actors())
            .map(|index| Mlp::import(layout.shape.clone(), &prefix(&layout, index), &archive))
            .collect::<std::result::Result<_, _>>()
            .map_err(|e| MarlError::broken(&weights, e))?;
        Ok(Self {
            policy: Policy { layout, actors },
            manifest,
            path,
        })
    }

    /// Checks that the policy's numbers mean the same in `scenario` and under the organisation whose
    /// text is `organization`, empty without one. How many actors it has, who shares them, how
    /// wide they are and whether they remember is the policy's own affair.
    ///
    /// # Errors
    /// [`MarlError::Mismatch`] with the first difference.
    pub fn check(&self, scenario: &Scenario, organization: &str) -> Result<()> {
        let manifest = &self.manifest;
        let own = &manifest.layout;
        let body = (own.shape.hidden.clone(), own.shape.recurrent);
        let expected = Layout::shaped(scenario, own.sharing.clone(), own.joint, body);
        let asked = sha256(organization.as_bytes());
        let difference = first_difference("", &manifest.meaning, &meaning(scenario))
            .or_else(|| first_difference("layout", &json!(manifest.layout), &json!(expected)))
            .or_else(|| {
                let found = &manifest.organization_sha256;
                (*found != asked).then(|| {
                    let what = "sha256 of the organization".to_owned();
                    [what, found.clone(), asked.clone()]
                })
            });
        match difference {
            None => Ok(()),
            Some([what, found, expected]) => Err(MarlError::Mismatch {
                path: self.path.clone(),
                what,
                found,
                expected,
            }),
        }
    }
}

/// Whether the networks of `layout` read and write what its names say, and can lie in a file of
/// `bytes`: asked before memory is taken for them.
fn fits(layout: &Layout, bytes: usize) -> bool {
    let (services, agents) = (layout.services.len(), layout.agents.len());
    // Every agent has an actor, numbered as agents first use them.
    let mut actors = 0;
    let is_shared = layout.sharing.len() == agents
        && layout.sharing.iter().all(|actor| {
            actors += usize::from(*actor == actors);
            *actor < actors
        });
    if services == 0 || agents == 0 || !is_shared || (layout.joint && actors != 1) {
        return false;
    }
    let together = if layout.joint { agents } else { 1 };
    let shape = &layout.shape;
    let widths: Vec<u128> = std::iter::once(shape.inputs)
        .chain(shape.hidden.iter().copied())
        .chain([shape.outputs])
        .map(|width| width as u128)
        .collect();
    let size = |pair: &[u128]| (pair[0] + 1).saturating_mul(pair[1]).saturating_mul(4);
    let mut needed = widths
        .windows(2)
        .fold(0_u128, |sum, pair| sum.saturating_add(size(pair)));
    if shape.recurrent {
        // Three gates in place of one layer, and as many of the state.
        let Some(at) = shape.hidden.len().checked_sub(1).filter(|at| *at > 0) else {
            return false;
        };
        let of_input = size(&widths[at..at + 2]).saturating_mul(2);
        let of_state = size(&[widths[at + 1]; 2]).saturating_mul(3);
        needed = needed.saturating_add(of_input).saturating_add(of_state);
    }
    shape.inputs == services * layout.per_service + layout.askers()
        && shape.outputs == together * services * layout.choices
        && !widths.contains(&0)
        && needed.saturating_mul(actors as u128) <= bytes as u128
}
