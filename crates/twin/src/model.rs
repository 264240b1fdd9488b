//! The fitted twin and its two files.

use std::{fs, path::Path, sync::Arc};

use karma_cluster::{Scenario, ServiceMetrics};
use karma_nn::{Mlp, MlpShape, store};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    error::{Result, TwinError},
    features::{FEATURES, OUTPUT_METRICS, OUTPUTS},
    neural::{Model, Scalers},
    noise::Noise,
    physics::{Calibration, Physics},
    plan::Plan,
    trace::hex,
};

/// Version of the two files.
const VERSION: u32 = 1;

/// Names of the two files in their folder.
const TENSORS: &str = "twin.safetensors";
const CARD: &str = "twin.json";

/// Name of the tensor of residuals.
const NOISE: &str = "noise";

/// A fitted twin: transition model, scalers and where they came from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Twin {
    pub(crate) model: Arc<Model>,
    pub(crate) origin: Origin,
}

/// What a twin was fitted to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Name of the scenario.
    pub scenario: String,
    /// SHA-256 of the rows.
    pub trace_sha256: String,
    /// Rows of the trace.
    pub rows: usize,
    /// Runs that were fitted to.
    pub training_runs: Vec<String>,
    /// Services of which the trace does not show what a replica does. They are fitted without.
    pub unidentified: Vec<String>,
    /// Whether the weights may be passed on.
    pub may_ship: bool,
}

/// The content of `twin.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Card {
    version: u32,
    origin: Origin,
    metrics: Vec<String>,
    residuals: Vec<String>,
    features: usize,
    plan: Plan,
    calibration: Vec<Calibration>,
    scalers: Scalers,
    shape: MlpShape,
    members: usize,
    tensors_sha256: String,
}

impl Twin {
    /// Where the twin came from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Names of the services, in the order of the scenario.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.model
            .physics
            .plan
            .services
            .iter()
            .map(|s| s.name.as_str())
    }

    /// Members of the ensemble.
    #[must_use]
    pub fn members(&self) -> usize {
        self.model.members.len()
    }

    /// Refuses a scenario with other services than the twin's.
    ///
    /// # Errors
    /// [`TwinError::Mismatch`] names the first difference.
    pub fn fits(&self, scenario: &Scenario) -> Result<()> {
        let theirs: Vec<&str> = scenario.services.iter().map(|s| s.name.as_str()).collect();
        let ours: Vec<&str> = self.services().collect();
        if ours == theirs {
            return Ok(());
        }
        Err(TwinError::Mismatch(format!(
            "the twin has services {}, the scenario {}",
            ours.join(", "),
            theirs.join(", ")
        )))
    }

    /// Writes `twin.safetensors` and `twin.json` into `dir`: temporary names, sync, rename.
    ///
    /// # Errors
    /// [`TwinError::File`] when a file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let mut archive = store::Archive::default();
        for (number, member) in self.model.members.iter().enumerate() {
            member.export(&format!("member.{number}"), &mut archive);
        }
        let draws = &self.model.noise.draws;
        archive.insert(
            NOISE,
            vec![draws.len(), OUTPUTS],
            draws.iter().flatten().copied().collect(),
        );
        archive.metadata = format!("{{\"kind\":\"karma-twin\",\"version\":{VERSION}}}");
        let tensors = dir.join(TENSORS);
        let bytes = store::to_bytes(&archive).map_err(|e| broken(&tensors, e))?;
        let card = Card {
            version: VERSION,
            origin: self.origin.clone(),
            metrics: ServiceMetrics::NAMES.map(str::to_owned).to_vec(),
            residuals: OUTPUT_METRICS
                .iter()
                .map(|&m| ServiceMetrics::NAMES[m].to_owned())
                .collect(),
            features: FEATURES,
            plan: self.model.physics.plan.clone(),
            calibration: self.model.physics.services.clone(),
            scalers: self.model.scalers.clone(),
            shape: self.model.members.first().map_or_else(
                || MlpShape {
                    inputs: self.model.inputs(),
                    hidden: Vec::new(),
                    outputs: 0,
                    activation: karma_nn::Activation::Relu,
                    recurrent: false,
                },
                |m| m.shape().clone(),
            ),
            members: self.model.members.len(),
            tensors_sha256: hex(&Sha256::digest(&bytes)),
        };
        let path = dir.join(CARD);
        let text = serde_json::to_string_pretty(&card).map_err(|e| broken(&path, e))?;
        write(&tensors, &bytes)?;
        write(&path, text.as_bytes())
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// [`TwinError::File`] when a file is missing, [`TwinError::Broken`] when one is damaged, of
    /// another version, or does not belong to the other.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join(CARD);
        let value: serde_json::Value =
            serde_json::from_slice(&read(&path)?).map_err(|e| broken(&path, e))?;
        let version = value.get("version").and_then(serde_json::Value::as_u64);
        if version != Some(u64::from(VERSION)) {
            let found = version.map_or("none".to_owned(), |v| v.to_string());
            return Err(broken(
                &path,
                format!("version {found}, this program reads {VERSION}"),
            ));
        }
        let card: Card = serde_json::from_value(value).map_err(|e| broken(&path, e))?;
        let tensors = dir.join(TENSORS);
        let bytes = read(&tensors)?;
        if hex(&Sha256::digest(&bytes)) != card.tensors_sha256 {
            return Err(broken(
                &tensors,
                format!("its hash is not the one in {CARD}: damaged, or of another twin"),
            ));
        }
        check(&path, &card)?;
        let archive = store::from_bytes(&bytes).map_err(|e| broken(&tensors, e))?;
        let members = (0..card.members)
            .map(|number| {
                Mlp::import(card.shape.clone(), &format!("member.{number}"), &archive)
                    .map_err(|e| broken(&tensors, e))
            })
            .collect::<Result<_>>()?;
        let draws = if card.members > 0 {
            Noise::len_of(card.plan.len())
        } else {
            0
        };
        let noise = archive
            .get(NOISE, &[draws, OUTPUTS])
            .map_err(|e| broken(&tensors, e))?;
        let noise = Noise {
            draws: noise
                .chunks_exact(OUTPUTS)
                .map(|z| std::array::from_fn(|k| z[k]))
                .collect(),
        };
        Ok(Self {
            model: Arc::new(Model {
                physics: Physics {
                    plan: card.plan,
                    services: card.calibration,
                },
                scalers: card.scalers,
                members,
                noise,
            }),
            origin: card.origin,
        })
    }
}

/// Sizes that have to agree before anything is indexed by them.
fn check(path: &Path, card: &Card) -> Result<()> {
    let services = card.plan.services.len();
    let links = card
        .plan
        .services
        .iter()
        .flat_map(|s| s.calls.iter().chain(&s.callers));
    let sound = services > 0
        && card.features == FEATURES
        && card.metrics.iter().eq(ServiceMetrics::NAMES.iter())
        && card.calibration.len() == services
        && card.scalers.mean.len() == FEATURES
        && card.scalers.inverse.len() == FEATURES
        && card.scalers.residual.len() == services
        && card.plan.order.len() == services
        && card.plan.order.iter().all(|s| *s < services)
        && links.map(|link| link.service).all(|s| s < services)
        && (card.members == 0
            || (card.shape.inputs == FEATURES + services
                && card.shape.outputs == 2 * OUTPUT_METRICS.len()));
    if sound {
        return Ok(());
    }
    Err(broken(path, "its parts do not fit each other"))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|source| TwinError::File {
        path: path.to_owned(),
        source,
    })
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    karma_cluster::files::replace(path, |file| file.write_all(bytes)).map_err(|source| {
        TwinError::File {
            path: path.to_owned(),
            source,
        }
    })
}

fn broken(path: &Path, reason: impl ToString) -> TwinError {
    TwinError::Broken {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
