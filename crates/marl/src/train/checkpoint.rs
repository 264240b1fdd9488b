//! Checkpoints: everything that a run needs to go on with the same bits.
//!
//! A checkpoint is a folder `checkpoint/ITERATION/` made under another name and renamed when whole;
//! the newest two are kept, and the older is used where the newer turns out damaged.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use karma_cluster::files;
use karma_nn::{
    Learner, Mlp,
    store::{self, Archive},
};
use serde::{Deserialize, Serialize};

use super::{ValueNorm, env::VecEnv, mappo::Mappo};
use crate::{
    bundle::sha256,
    error::{MarlError, Result},
};

/// Version of the format.
const FORMAT: u32 = 2;
/// Checkpoints kept.
const KEPT: usize = 2;
const NETWORKS: &str = "networks.safetensors";
const STATE: &str = "state.msgpack";

/// What is not a tensor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    format: u32,
    /// Of scenario, settings and seed.
    fingerprint: String,
    iteration: u32,
    /// Of the networks that belong to it.
    networks_sha256: String,
    norm: ValueNorm,
    actor_steps: u64,
    critic_steps: u64,
    environments: Vec<u8>,
    pub(super) progress: Progress,
}

/// What a run remembers beside the networks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Best validation so far.
    pub(super) best: Option<f64>,
    /// Rewards of the newest iterations, as many as the early stop looks at.
    pub(super) recent: Vec<f64>,
    /// Whether the early stop has been reached.
    pub(super) stopped: bool,
    /// Of the lines of the metrics up to here; absent in format 1, which is told by its number.
    #[serde(default)]
    pub(super) metrics_sha256: String,
}

/// Folder of all checkpoints of a run.
fn root(dir: &Path) -> PathBuf {
    dir.join("checkpoint")
}

/// Checkpoints of a run, newest first.
pub(super) fn all(dir: &Path) -> Result<Vec<PathBuf>> {
    let root = root(dir);
    let entries = match fs::read_dir(&root) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(MarlError::file(&root, e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| MarlError::file(&root, e))?.path();
        let name = path.file_name().and_then(|n| n.to_str());
        if let Some(iteration) = name.and_then(|n| n.parse::<u32>().ok()) {
            found.push((iteration, path));
        }
    }
    found.sort();
    Ok(found.into_iter().rev().map(|(_, path)| path).collect())
}

/// Writes a checkpoint of the current iteration and removes old ones.
pub(super) fn save<E: VecEnv>(
    dir: &Path,
    fingerprint: &str,
    mappo: &Mappo<E>,
    best: &Mlp,
    progress: &Progress,
) -> Result<()> {
    let root = root(dir);
    let (partial, whole) = (
        root.join(files::PARTIAL),
        root.join(format!("{:08}", mappo.iteration)),
    );
    let mut archive = Archive::default();
    mappo.actor.export("actor", &mut archive);
    mappo.critic.export("critic", &mut archive);
    mappo.actor_learner.export("actor.adam", &mut archive);
    mappo.critic_learner.export("critic.adam", &mut archive);
    best.export("best", &mut archive);
    let broken = |e: &dyn std::fmt::Display| MarlError::broken(&whole, e);
    let networks = store::to_bytes(&archive).map_err(|e| broken(&e))?;
    let state = State {
        format: FORMAT,
        fingerprint: fingerprint.to_owned(),
        iteration: mappo.iteration,
        networks_sha256: sha256(&networks),
        norm: mappo.norm.clone(),
        actor_steps: mappo.actor_learner.steps(),
        critic_steps: mappo.critic_learner.steps(),
        environments: mappo.env.snapshot(),
        progress: progress.clone(),
    };
    let state = rmp_serde::to_vec_named(&state).map_err(|e| broken(&e))?;
    let remove = |path: &Path| match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(MarlError::file(path, e)),
        _ => Ok(()),
    };
    remove(&partial)?;
    for (name, bytes) in [(NETWORKS, &networks), (STATE, &state)] {
        let path = partial.join(name);
        files::replace(&path, |file| file.write_all(bytes))
            .map_err(|e| MarlError::file(&path, e))?;
    }
    // A resumed run may pass an iteration again; what it writes is the same.
    remove(&whole)?;
    fs::rename(&partial, &whole).map_err(|e| MarlError::file(&whole, e))?;
    for old in all(dir)?.into_iter().skip(KEPT) {
        remove(&old)?;
    }
    Ok(())
}

/// Brings `mappo` and `best` to the checkpoint at `path`.
pub(super) fn load<E: VecEnv>(
    path: &Path,
    fingerprint: &str,
    mappo: &mut Mappo<E>,
    best: &mut Mlp,
) -> Result<Progress> {
    let read = |name: &str| {
        let path = path.join(name);
        fs::read(&path).map_err(|e| MarlError::file(&path, e))
    };
    let state: State = rmp_serde::from_slice(&read(STATE)?)
        .map_err(|e| MarlError::broken(&path.join(STATE), e))?;
    for (what, found, expected) in [
        ("format", state.format.to_string(), FORMAT.to_string()),
        (
            "fingerprint of scenario and seed",
            state.fingerprint,
            fingerprint.to_owned(),
        ),
    ] {
        if found != expected {
            return Err(MarlError::Mismatch {
                path: path.to_owned(),
                what: what.to_owned(),
                found,
                expected,
            });
        }
    }
    let broken = |e: karma_nn::NnError| MarlError::broken(&path.join(NETWORKS), e);
    let networks = read(NETWORKS)?;
    if sha256(&networks) != state.networks_sha256 {
        let reason = "is not the one that this checkpoint was saved with";
        return Err(MarlError::broken(&path.join(NETWORKS), reason));
    }
    let archive = store::from_bytes(&networks).map_err(broken)?;
    let network =
        |like: &Mlp, prefix| Mlp::import(like.shape().clone(), prefix, &archive).map_err(broken);
    let actor = network(&mappo.actor, "actor")?;
    let critic = network(&mappo.critic, "critic")?;
    let (steps, archive) = ((state.actor_steps, state.critic_steps), &archive);
    let actor_learner = Learner::import(&actor, "actor.adam", steps.0, archive).map_err(broken)?;
    let critic_learner =
        Learner::import(&critic, "critic.adam", steps.1, archive).map_err(broken)?;
    let chosen = network(best, "best")?;
    mappo
        .env
        .restore(&state.environments)
        .map_err(|e| MarlError::broken(&path.join(STATE), e))?;
    (mappo.actor, mappo.critic, *best) = (actor, critic, chosen);
    (mappo.actor_learner, mappo.critic_learner) = (actor_learner, critic_learner);
    (mappo.norm, mappo.iteration) = (state.norm, state.iteration);
    Ok(state.progress)
}
