//! A long run of MAPPO: metrics, checkpoints, resume, validation, early stop.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    path::Path,
    sync::Arc,
};

use karma_cluster::{Interrupted, Watch, files, scenario::EarlyStop};
use karma_nn::Mlp;
use sha2::{Digest, Sha256};

use super::{
    Fault, IterationMetrics, Net,
    adversary::{Met, Rivals},
    checkpoint::{self, Beside, Progress},
    env::VecEnv,
    greedy::play_greedily,
    mappo::Mappo,
    tensorboard,
};
use crate::{
    bundle::{hex, sha256},
    error::{MarlError, Result},
};

/// How a run is cut up and when it ends.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Iterations in all.
    pub iterations: u32,
    /// Iterations between checkpoints and validations.
    pub checkpoint_every: u32,
    /// When to stop before the end.
    pub stop: Option<EarlyStop>,
    /// Steps of one validation.
    pub validation_steps: usize,
    /// What the run depends on; checkpoints of another are refused.
    pub fingerprint: String,
    /// Names of the agents, for faults.
    pub agents: Vec<String>,
}

impl Plan {
    /// Whether a checkpoint and a validation belong after `done` iterations.
    fn is_due(&self, done: u32) -> bool {
        let is_regular = done.is_multiple_of(self.checkpoint_every.max(1));
        done > 0 && (is_regular || done == self.iterations)
    }
}

/// A run: the algorithm, games for validation, and the best policy so far.
#[derive(Debug)]
pub struct Run<E> {
    /// The algorithm.
    pub mappo: Mappo<E>,
    plan: Plan,
    validation: Vec<E>,
    /// Where every validation starts.
    start: Vec<Vec<u8>>,
    beside: Beside,
    /// Who trains opponents, where there are any.
    rivals: Option<Box<dyn Rivals>>,
    /// What the metrics come to so far.
    told: Sha256,
}

impl<E: VecEnv> Run<E> {
    /// A run at its start. `validation` is played from where it stands now, each time the same.
    #[must_use]
    pub fn new(mappo: Mappo<E>, validation: Vec<E>, plan: Plan) -> Self {
        Self {
            beside: Beside {
                best: networks(&mappo.actors),
                rivals: Vec::new(),
                past: Vec::new(),
                rival_shape: None,
                progress: Progress::default(),
            },
            rivals: None,
            start: validation.iter().map(VecEnv::snapshot).collect(),
            told: Sha256::new(),
            mappo,
            plan,
            validation,
        }
    }

    /// Lets `rivals` raise opponents on the way.
    pub fn raise_with(&mut self, rivals: Box<dyn Rivals>) {
        self.beside.rival_shape = Some(rivals.shape());
        self.rivals = Some(rivals);
    }

    /// The networks of the best policies so far.
    #[must_use]
    pub fn best(&self) -> Vec<Net> {
        nets(&self.mappo, &self.beside.best)
    }

    /// How the team stood when each opponent joined, and the opponents.
    #[must_use]
    pub fn rivals(&self) -> (&[Met], &[Arc<Mlp>]) {
        (&self.beside.progress.met, &self.beside.rivals)
    }

    /// Trains to the end, or continues from the newest checkpoint in `dir`, and gives the policies with
    /// the best validation. `each` hears every iteration, those already done included.
    ///
    /// # Errors
    /// [`MarlError::Interrupted`] when `watch` asks to stop (a checkpoint is left),
    /// [`MarlError::NotFinite`] when numbers explode (the last good checkpoint is left).
    pub fn train(
        &mut self,
        watch: &dyn Watch,
        each: &mut dyn FnMut(&IterationMetrics),
        dir: &Path,
    ) -> Result<Vec<Mlp>> {
        let path = dir.join("metrics.jsonl");
        self.resume(dir, &path, each)?;
        let total = u64::from(self.plan.iterations);
        while self.mappo.iteration < self.plan.iterations && !self.beside.progress.stopped {
            if watch.stopped() {
                self.save(dir)?;
                return Err(Interrupted.into());
            }
            if let Err(fault) = self.raise_rival(watch) {
                self.save(dir)?;
                return Err(fault);
            }
            let iteration = self.mappo.iteration;
            let mut metrics = self
                .mappo
                .iterate()
                .map_err(|fault| self.fault(iteration, fault))?;
            self.look_back(metrics.reward);
            let done = self.mappo.iteration;
            let due = self.plan.is_due(done) || self.beside.progress.stopped;
            if due {
                metrics.validation = Some(self.validate(iteration)?);
            }
            let line = append(&path, &metrics)?;
            tensorboard::append(dir, &line)?;
            self.told.update(line);
            if due {
                self.save(dir)?;
            }
            each(&metrics);
            let note = format!("reward {:.4}", metrics.reward);
            watch.progress("train", u64::from(done), total, &note);
        }
        Ok(self.beside.best.clone())
    }

    fn save(&mut self, dir: &Path) -> Result<()> {
        self.beside.progress.metrics_sha256 = hex(&self.told.clone().finalize());
        checkpoint::save(dir, &self.plan.fingerprint, &self.mappo, &self.beside)?;
        self.prune(dir)
    }

    /// Leaves the checkpoints that a run which stands here keeps.
    fn prune(&self, dir: &Path) -> Result<()> {
        let (now, stopped) = (self.mappo.iteration, self.beside.progress.stopped);
        let is_due = |done| self.plan.is_due(done) || (stopped && done == now);
        checkpoint::prune(dir, now, is_due)
    }

    /// Goes to the newest whole checkpoint and cuts metrics and events to what was known then.
    fn resume(
        &mut self,
        dir: &Path,
        path: &Path,
        each: &mut dyn FnMut(&IterationMetrics),
    ) -> Result<()> {
        let mut damaged = None;
        for (_, checkpoint) in checkpoint::all(dir)? {
            let print = &self.plan.fingerprint;
            match checkpoint::load(&checkpoint, print, &mut self.mappo, &mut self.beside) {
                Ok(()) => {
                    damaged = None;
                    break;
                }
                Err(fault @ MarlError::Mismatch { .. }) => return Err(fault),
                Err(fault) => damaged = Some(fault),
            }
        }
        if let Some(fault) = damaged {
            return Err(fault);
        }
        self.face_in_validation();
        let text = self.metrics_so_far(path)?;
        for line in text.lines() {
            each(&serde_json::from_str(line).map_err(|e| MarlError::broken(path, e))?);
        }
        self.told = Sha256::new_with_prefix(&text);
        files::replace(path, |file| file.write_all(text.as_bytes()))
            .map_err(|e| MarlError::file(path, e))?;
        tensorboard::begin(dir, &text)?;
        self.prune(dir)
    }

    /// The lines of the metrics that the checkpoint knows of, which may not be of another run.
    fn metrics_so_far(&self, path: &Path) -> Result<String> {
        let iteration = self.mappo.iteration;
        if iteration == 0 {
            return Ok(String::new());
        }
        let text = fs::read_to_string(path).map_err(|e| match e.kind() {
            ErrorKind::NotFound => {
                let reason =
                    format!("it is missing, and the checkpoint of iteration {iteration} needs it");
                MarlError::broken(path, reason)
            }
            _ => MarlError::file(path, e),
        })?;
        let known: String = text
            .split_inclusive('\n')
            .take(iteration as usize)
            .collect();
        if sha256(known.as_bytes()) != self.beside.progress.metrics_sha256 {
            let reason = format!(
                "its first {iteration} lines are not those that the checkpoint of iteration \
                 {iteration} was saved with"
            );
            return Err(MarlError::broken(path, reason));
        }
        Ok(known)
    }

    /// Trains the next opponent where one is due, and lets it join all games. Policies are compared
    /// anew from then on: the validation has become harder.
    fn raise_rival(&mut self, watch: &dyn Watch) -> Result<()> {
        let (iteration, number) = (self.mappo.iteration, self.beside.rivals.len());
        let Some(rivals) = &mut self.rivals else {
            return Ok(());
        };
        if rivals.due().get(number) != Some(&iteration) {
            return Ok(());
        }
        let past = self.beside.past.iter().map(|past| nets(&self.mappo, past));
        let past: Vec<Vec<Net>> = past.collect();
        let team = &self.mappo.actors;
        let (rival, met) = rivals.raise(team, &past, (number, iteration), watch)?;
        self.beside.rivals.push(Arc::new(rival));
        self.beside.past.push(networks(&self.mappo.actors));
        self.beside.progress.met.push(met);
        self.beside.progress.best = None;
        for env in self.mappo.envs_mut() {
            env.face(&self.beside.rivals);
        }
        self.face_in_validation();
        Ok(())
    }

    /// Lets the opponents so far join the validation games.
    fn face_in_validation(&mut self) {
        for (games, start) in self.validation.iter_mut().zip(&mut self.start) {
            let restored = games.restore(start);
            assert!(restored.is_ok(), "the validation games' own snapshot");
            games.face(&self.beside.rivals);
            *start = games.snapshot();
        }
    }

    /// Plays the greedy policy in the validation games and keeps it if it is the best so far.
    fn validate(&mut self, iteration: u32) -> Result<f64> {
        for (games, start) in self.validation.iter_mut().zip(&self.start) {
            let restored = games.restore(start);
            assert!(restored.is_ok(), "the validation games' own snapshot");
        }
        let steps = self.plan.validation_steps;
        let reward = play_greedily(&mut self.validation, &self.mappo.actors, steps)
            .map_err(|fault| self.fault(iteration, fault))?;
        if self.beside.progress.best.is_none_or(|best| reward > best) {
            self.beside.progress.best = Some(reward);
            self.beside.best = networks(&self.mappo.actors);
        }
        Ok(reward)
    }

    /// The paper's criterion: mean above one threshold, deviation below another.
    fn look_back(&mut self, reward: f64) {
        let Some(stop) = self.plan.stop else { return };
        let (recent, over) = (&mut self.beside.progress.recent, stop.over.max(1) as usize);
        recent.push(reward);
        recent.drain(..recent.len().saturating_sub(over));
        let count = recent.len() as f64;
        let mean = recent.iter().sum::<f64>() / count;
        let square = recent.iter().map(|r| (r - mean).powi(2)).sum::<f64>();
        self.beside.progress.stopped = recent.len() == over
            && mean > stop.reward_above
            && (square / count).sqrt() < stop.deviation_below;
    }

    fn fault(&self, iteration: u32, fault: Fault) -> MarlError {
        if let Some(failure) = self.mappo.device_failure() {
            return failure.clone().into();
        }
        let agent = fault.agent.map_or("all", |agent| {
            self.plan
                .agents
                .get(agent)
                .map_or("unknown", String::as_str)
        });
        MarlError::NotFinite {
            iteration,
            step: fault.step,
            agent: agent.to_owned(),
            term: fault.term,
        }
    }
}

/// `networks` in the places of the policies of `mappo`.
fn nets<E>(mappo: &Mappo<E>, networks: &[Mlp]) -> Vec<Net> {
    let of = |(net, mlp): (&Net, &Mlp)| Net {
        mlp: mlp.clone(),
        ..net.clone()
    };
    mappo.actors.iter().zip(networks).map(of).collect()
}

fn networks(nets: &[Net]) -> Vec<Mlp> {
    nets.iter().map(|net| net.mlp.clone()).collect()
}

/// Appends one line, in one write, so that a killed run leaves whole lines and at most one part.
/// Gives the line.
fn append(path: &Path, metrics: &IterationMetrics) -> Result<String> {
    let line = serde_json::to_string(metrics).map_err(|e| MarlError::broken(path, e))? + "\n";
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .map_err(|e| MarlError::file(path, e))?;
    Ok(line)
}
