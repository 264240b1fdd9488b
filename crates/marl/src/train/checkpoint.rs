//! Checkpoints: everything that a run needs to go on with the same bits.
//!
//! A checkpoint is a folder `checkpoint/ITERATION/` made under another name and renamed when whole;
//! the newest two that were due are kept, and the older is used where the newer turns out damaged.
//! What an interruption leaves between them is kept beside them until the next is due, so that an
//! interrupted run ends with the same two as another.

mod seal;

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use karma_cluster::files;
use karma_nn::{
    Learner, Mlp, MlpShape,
    store::{self, Archive},
};
use serde::{Deserialize, Serialize};

use super::{Net, ValueNorm, adversary::Met, env::VecEnv, mappo::Mappo, states::States};
use crate::{
    bundle::sha256,
    error::{MarlError, Result},
};

/// Version of the format.
const FORMAT: u32 = 4;
/// Checkpoints kept of those that were due.
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
    /// Of the optimisers of policies and of values.
    steps: [Vec<u64>; 2],
    environments: Vec<Vec<u8>>,
    /// What networks remember of them; absent where they remember nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    states: Vec<[States; 2]>,
    pub(super) progress: Progress,
}

/// What a run remembers beside the algorithm.
#[derive(Clone, Debug)]
pub(super) struct Beside {
    /// The best policies so far.
    pub(super) best: Vec<Mlp>,
    /// Opponents that were trained, in the order in which they joined.
    pub(super) rivals: Vec<Arc<Mlp>>,
    /// The policies that the team had as each of them joined.
    pub(super) past: Vec<Vec<Mlp>>,
    /// The opponents' shape.
    pub(super) rival_shape: Option<MlpShape>,
    pub(super) progress: Progress,
}

/// The numbers of it.
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
    /// How the team stood when each rival joined.
    #[serde(default)]
    pub(super) met: Vec<Met>,
}

/// Folder of all checkpoints of a run.
fn root(dir: &Path) -> PathBuf {
    dir.join("checkpoint")
}

/// Name of the checkpoint after `iteration` iterations.
fn name(iteration: u32) -> String {
    format!("{iteration:08}")
}

/// Checkpoints of a run with their iterations, newest first.
pub(super) fn all(dir: &Path) -> Result<Vec<(u32, PathBuf)>> {
    let mut found: Vec<(u32, PathBuf)> = folders(dir)?
        .into_iter()
        .filter_map(|path| {
            let iteration = path.file_name()?.to_str()?.parse().ok()?;
            Some((iteration, path))
        })
        .collect();
    found.sort();
    found.reverse();
    Ok(found)
}

/// Everything that lies where the checkpoints of a run do.
fn folders(dir: &Path) -> Result<Vec<PathBuf>> {
    let root = root(dir);
    let entries = match fs::read_dir(&root) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(MarlError::file(&root, e)),
    };
    let paths = entries.map(|entry| Ok(entry.map_err(|e| MarlError::file(&root, e))?.path()));
    paths.collect()
}

/// Removes every folder beside the checkpoint after `newest` iterations and the newest of those up
/// to there that `is_due` says are to be kept: older ones, what an interruption left, and what a
/// killed run left half written or half removed.
pub(super) fn prune(dir: &Path, newest: u32, is_due: impl Fn(u32) -> bool) -> Result<()> {
    let due = all(dir)?.into_iter().map(|(iteration, _)| iteration);
    let due = due.filter(|iteration| *iteration <= newest && is_due(*iteration));
    let kept: BTreeSet<String> = due.take(KEPT).chain([newest]).map(name).collect();
    for path in folders(dir)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !kept.contains(name.as_ref()) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Removes a folder; an absent one is no error.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(MarlError::file(path, e)),
        _ => Ok(()),
    }
}

/// Writes a checkpoint of the current iteration.
pub(super) fn save<E: VecEnv>(
    dir: &Path,
    fingerprint: &str,
    mappo: &Mappo<E>,
    beside: &Beside,
) -> Result<()> {
    let root = root(dir);
    let (partial, whole) = (root.join(files::PARTIAL), root.join(name(mappo.iteration)));
    let mut archive = Archive::default();
    for (kind, nets) in [("actor", &mappo.actors), ("critic", &mappo.critics)] {
        for (index, net) in nets.iter().enumerate() {
            net.mlp.export(&format!("{kind}.{index}"), &mut archive);
            let adam = format!("{kind}.{index}.adam");
            net.learner.export(&adam, &mut archive);
        }
    }
    for (index, best) in beside.best.iter().enumerate() {
        best.export(&format!("best.{index}"), &mut archive);
    }
    for (index, rival) in beside.rivals.iter().enumerate() {
        rival.export(&format!("rival.{index}"), &mut archive);
    }
    for (index, team) in beside.past.iter().enumerate() {
        for (number, actor) in team.iter().enumerate() {
            actor.export(&format!("past.{index}.{number}"), &mut archive);
        }
    }
    let broken = |e: &dyn std::fmt::Display| MarlError::broken(&whole, e);
    let networks = store::to_bytes(&archive).map_err(|e| broken(&e))?;
    let state = State {
        format: FORMAT,
        fingerprint: fingerprint.to_owned(),
        iteration: mappo.iteration,
        networks_sha256: sha256(&networks),
        norm: mappo.norm.clone(),
        steps: [&mappo.actors, &mappo.critics]
            .map(|nets| nets.iter().map(|net| net.learner.steps()).collect()),
        environments: mappo.envs().map(VecEnv::snapshot).collect(),
        states: if mappo.is_recurrent() {
            mappo.states()
        } else {
            Vec::new()
        },
        progress: beside.progress.clone(),
    };
    let state = seal::seal(rmp_serde::to_vec_named(&state).map_err(|e| broken(&e))?);
    remove(&partial)?;
    for (name, bytes) in [(NETWORKS, &networks), (STATE, &state)] {
        let path = partial.join(name);
        files::replace(&path, |file| file.write_all(bytes))
            .map_err(|e| MarlError::file(&path, e))?;
    }
    // A resumed run may pass an iteration again; what it writes is the same.
    remove(&whole)?;
    fs::rename(&partial, &whole).map_err(|e| MarlError::file(&whole, e))
}

/// Brings `mappo` and what a run remembers `beside` it to the checkpoint at `path`.
pub(super) fn load<E: VecEnv>(
    path: &Path,
    fingerprint: &str,
    mappo: &mut Mappo<E>,
    beside: &mut Beside,
) -> Result<()> {
    let read = |name: &str| {
        let path = path.join(name);
        fs::read(&path).map_err(|e| MarlError::file(&path, e))
    };
    let bytes = read(STATE)?;
    let text = seal::unseal(&bytes);
    // What has no seal is damaged, or of an older format, which its number tells.
    let state: State = rmp_serde::from_slice(text.unwrap_or(&bytes))
        .map_err(|e| MarlError::broken(&path.join(STATE), e))?;
    if text.is_none() && state.format >= FORMAT {
        let reason = "is not what was written: its end does not fit the rest";
        return Err(MarlError::broken(&path.join(STATE), reason));
    }
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
    let mut actors = mappo.actors.clone();
    let mut critics = mappo.critics.clone();
    let mut chosen = beside.best.clone();
    let nets = [("actor", &mut actors), ("critic", &mut critics)];
    for ((name, nets), steps) in nets.into_iter().zip(&state.steps) {
        restore(nets, name, steps, &archive).map_err(broken)?;
    }
    for (index, best) in chosen.iter_mut().enumerate() {
        let name = format!("best.{index}");
        *best = Mlp::import(best.shape().clone(), &name, &archive).map_err(broken)?;
    }
    let (mut rivals, mut past) = (Vec::new(), Vec::new());
    if let Some(shape) = &beside.rival_shape {
        for index in 0..state.progress.met.len() {
            let rival = Mlp::import(shape.clone(), &format!("rival.{index}"), &archive);
            rivals.push(Arc::new(rival.map_err(broken)?));
            let team = actors.iter().enumerate().map(|(number, net)| {
                let name = format!("past.{index}.{number}");
                Mlp::import(net.mlp.shape().clone(), &name, &archive)
            });
            past.push(team.collect::<Result<_, _>>().map_err(broken)?);
        }
    }
    let envs = mappo.envs().count();
    if state.environments.len() != envs {
        let reason = format!("holds {} parts of {envs}", state.environments.len());
        return Err(MarlError::broken(&path.join(STATE), reason));
    }
    if mappo.is_recurrent() && !mappo.remember(state.states) {
        let reason = "holds states of other networks";
        return Err(MarlError::broken(&path.join(STATE), reason));
    }
    for (env, snapshot) in mappo.envs_mut().zip(&state.environments) {
        env.face(&rivals);
        env.restore(snapshot)
            .map_err(|e| MarlError::broken(&path.join(STATE), e))?;
    }
    (beside.best, beside.rivals, beside.past) = (chosen, rivals, past);
    beside.progress = state.progress;
    (mappo.actors, mappo.critics) = (actors, critics);
    (mappo.norm, mappo.iteration) = (state.norm, state.iteration);
    Ok(())
}

/// Brings networks and optimisers to what `archive` holds of them.
fn restore(
    nets: &mut [Net],
    name: &str,
    steps: &[u64],
    archive: &Archive,
) -> std::result::Result<(), karma_nn::NnError> {
    for (index, net) in nets.iter_mut().enumerate() {
        let name = format!("{name}.{index}");
        net.mlp = Mlp::import(net.mlp.shape().clone(), &name, archive)?;
        let steps = steps.get(index).copied().unwrap_or_default();
        net.learner = Learner::import(&net.mlp, &format!("{name}.adam"), steps, archive)?;
    }
    Ok(())
}
