//! MAPPO on a device of candle's: the reference that the fused kernels are held against, and the way
//! to a GPU.
//!
//! Environments are played on the processor. At every step, what all of them show goes to the device
//! in one batch, and logits come back; choices are drawn here, from the same random streams as
//! without a device. What was shown stays on the device for values and updates, which gather their
//! minibatches there. Networks go to the device at the start of an iteration and come back at its end.
//!
//! Sums are taken in the device's order: results differ from those of the kernels by rounding.

mod losses;
mod network;
mod uploaded;

#[cfg(test)]
mod tests;

use candle_core::{Device, Result};
use rayon::prelude::*;

use self::{
    network::{Network, Stepped},
    uploaded::Uploaded,
};
use super::{
    Mappo, Place, Tally,
    engine::{Engine, Weights},
    player::{Key, Player},
};
use crate::train::{
    self, DeviceError, Fault, Net,
    env::VecEnv,
    view::{Shown, View},
};

/// Why an iteration ended on the way.
#[derive(Debug)]
enum Broken {
    Fault(Fault),
    Device(candle_core::Error),
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<candle_core::Error> for Broken {
    fn from(error: candle_core::Error) -> Self {
        Self::Device(error)
    }
}

/// The device, and what lies on it during an iteration.
#[derive(Debug)]
struct Candle {
    kind: train::Device,
    device: Device,
    actors: Vec<Network>,
    critics: Vec<Network>,
    /// Every cell of the newest rollout, step after step.
    shown: Option<Shown>,
    /// What else updates read of it.
    uploaded: Option<Uploaded>,
    failure: Option<DeviceError>,
}

/// The device of candle's that `kind` is; none where it is not one of candle's.
fn open(kind: train::Device) -> std::result::Result<Option<Device>, DeviceError> {
    let device = kind.name();
    match kind {
        train::Device::Cpu => Ok(None),
        train::Device::CandleCpu => Ok(Some(Device::Cpu)),
        train::Device::Cuda if !cfg!(feature = "cuda") => {
            let feature = "cuda";
            Err(DeviceError::Absent { device, feature })
        }
        train::Device::Cuda => Device::new_cuda(0).map(Some).map_err(|e| {
            let reason = said(&e);
            DeviceError::Unusable { device, reason }
        }),
    }
}

/// What candle says of an error, without the backtrace that follows where one is asked for.
fn said(error: &candle_core::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

impl train::Device {
    /// Looks whether this build and this machine have it.
    ///
    /// # Errors
    /// [`DeviceError`] where one of them has not.
    pub fn check(self) -> std::result::Result<(), DeviceError> {
        open(self).map(|_| ())
    }
}

impl<E: VecEnv> Mappo<E> {
    /// Computes networks on `device` from now on.
    ///
    /// # Errors
    /// [`DeviceError`] where this build or this machine has no such device, or it cannot do what is
    /// asked.
    pub fn compute_on(&mut self, device: train::Device) -> std::result::Result<(), DeviceError> {
        self.engine = None;
        let Some(found) = open(device)? else {
            return Ok(());
        };
        if self.is_recurrent() {
            let device = device.name();
            return Err(DeviceError::Recurrent { device });
        }
        self.engine = Some(Box::new(Candle {
            kind: device,
            device: found,
            actors: Vec::new(),
            critics: Vec::new(),
            shown: None,
            uploaded: None,
            failure: None,
        }));
        Ok(())
    }
}

impl<E: VecEnv> Engine<E> for Candle {
    fn play(
        &mut self,
        players: &mut [Player<E>],
        nets: [&[Net]; 2],
        steps: usize,
        key: Key,
    ) -> std::result::Result<(), Fault> {
        let played = self.try_play(players, nets, steps, key);
        played.map_err(|broken| self.fault(broken))
    }

    fn minibatch(
        &mut self,
        players: &[Player<E>],
        nets: [&[Net]; 2],
        order: &[Place],
        weights: Weights,
        tally: &mut Tally,
    ) -> std::result::Result<(), &'static str> {
        let stepped = self.try_minibatch(players, nets, order, weights, tally);
        stepped.map_err(|broken| self.fault(broken).term)
    }

    fn finish(&mut self, [actors, critics]: [&mut [Net]; 2]) -> std::result::Result<(), Fault> {
        self.uploaded = None;
        let brought =
            download(&self.actors, actors).and_then(|()| download(&self.critics, critics));
        brought.map_err(|e| self.fault(e.into()))
    }

    fn failure(&self) -> Option<&DeviceError> {
        self.failure.as_ref()
    }
}

impl Candle {
    /// What is told of `broken`; what the device said is kept.
    fn fault(&mut self, broken: Broken) -> Fault {
        match broken {
            Broken::Fault(fault) => fault,
            Broken::Device(error) => {
                self.failure = Some(DeviceError::Failed {
                    device: self.kind.name(),
                    reason: said(&error),
                });
                Fault {
                    step: 0,
                    agent: None,
                    term: "what the device gave",
                }
            }
        }
    }

    fn try_play<E: VecEnv>(
        &mut self,
        players: &mut [Player<E>],
        [actors, critics]: [&[Net]; 2],
        steps: usize,
        key: Key,
    ) -> std::result::Result<(), Broken> {
        (self.shown, self.uploaded) = (None, None);
        let upload = |nets: &[Net]| -> Result<Vec<Network>> {
            nets.iter()
                .map(|net| Network::upload(net, &self.device))
                .collect()
        };
        (self.actors, self.critics) = (upload(actors)?, upload(critics)?);
        let mut shown = Vec::new();
        players.par_iter_mut().with_max_len(1).for_each(|player| {
            player.begin(steps, actors);
            player.look(0);
        });
        for step in 0..steps {
            shown.push(self.see(players, step)?);
            let logits = self.logits(actors, &shown[step])?;
            let acted = players
                .par_iter_mut()
                .with_max_len(1)
                .map_init(Vec::new, |own, player| {
                    deal(actors, &logits, player, own);
                    player.follow(step, own)?;
                    player.act(step, key)?;
                    player.look(step + 1);
                    Ok(())
                });
            Fault::first_of(acted.collect::<Vec<std::result::Result<(), Fault>>>())?;
        }
        shown.push(self.see(players, steps)?);
        let shown = Shown::join(&shown)?;
        self.value(players, critics, &shown)?;
        self.shown = Some(shown);
        Ok(())
    }

    /// Brings to the device what all environments showed before `step`.
    fn see<E>(&self, players: &[Player<E>], step: usize) -> Result<Shown> {
        let memories = players.iter().map(|player| &player.memory);
        let parts = memories.map(|m| (&m.seen, step * m.envs..(step + 1) * m.envs));
        Shown::upload(players[0].memory.shape, parts, &self.device)
    }

    /// What every policy makes of `shown`.
    fn logits(&self, actors: &[Net], shown: &Shown) -> Result<Vec<Vec<f32>>> {
        let pairs = self.actors.iter().zip(actors);
        pairs
            .map(|(network, net)| ask(network, &net.view, shown))
            .collect()
    }

    /// Values of every cell of the rollout, and of every one that an episode was cut off in.
    fn value<E>(
        &self,
        players: &mut [Player<E>],
        critics: &[Net],
        shown: &Shown,
    ) -> std::result::Result<(), Broken> {
        let shape = players[0].memory.shape;
        let last = players.iter().map(|player| &player.memory.last);
        let last = last.map(|last| (last, 0..last.cells(shape)));
        let any = last.clone().any(|(_, cells)| !cells.is_empty());
        let last = any.then(|| Shown::upload(shape, last, &self.device));
        let last = last.transpose()?;
        let width: usize = players.iter().map(|player| player.memory.envs).sum();
        for (network, net) in self.critics.iter().zip(critics) {
            let (view, outputs) = (&net.view, net.mlp.shape().outputs);
            let of_cell = view.rows() * outputs;
            let played = ask(network, view, shown)?;
            let ended = last.as_ref().map(|last| ask(network, view, last));
            let ended = ended.transpose()?.unwrap_or_default();
            let mut ended = &ended[..];
            for player in &mut *players {
                let memory = &mut player.memory;
                memory.make_room_for_values();
                let row = memory.row();
                for step in 0..=memory.steps() {
                    let first = (step * width + player.first) * of_cell;
                    let out = &played[first..first + memory.envs * of_cell];
                    view.deal(
                        out,
                        outputs,
                        &mut memory.values[step * row..(step + 1) * row],
                    );
                }
                let (own, others) = ended.split_at(memory.last.cells(shape) * of_cell);
                let seen = memory.seen.cells(shape) * shape.agents;
                view.deal(own, outputs, &mut memory.values[seen..]);
                ended = others;
            }
        }
        for player in players {
            player.memory.check_values()?;
        }
        Ok(())
    }

    fn try_minibatch<E>(
        &mut self,
        players: &[Player<E>],
        [actors, critics]: [&[Net]; 2],
        order: &[Place],
        weights: Weights,
        tally: &mut Tally,
    ) -> std::result::Result<(), Broken> {
        let Some(shown) = &self.shown else {
            return Err(candle_core::Error::Msg("nothing was played".to_owned()).into());
        };
        if self.uploaded.is_none() {
            self.uploaded = Some(Uploaded::new(players, &self.device)?);
        }
        let Some(uploaded) = &self.uploaded else {
            return Ok(());
        };
        let cells = uploaded::cells(players, order, &self.device)?;
        let of_policy = losses::Weights {
            clip: f64::from(weights.clip),
            entropy: f64::from(weights.entropy),
            mask_loss: f64::from(weights.mask_loss),
        };
        let not_finite = |term| Fault {
            step: 0,
            agent: None,
            term,
        };
        for (network, net) in self.actors.iter_mut().zip(actors) {
            let logits = network.forward(&net.view.rows_of(shown, Some(&cells))?)?;
            let played = uploaded.played(&net.view, &cells)?;
            let [loss, told] = losses::policy(&logits, &played, of_policy)?;
            match network.step(&loss, &told, weights.adam)? {
                Stepped::Told(told) => tally.add(&Tally {
                    rows: (order.len() * net.view.rows()) as f64,
                    kl: told[0],
                    clipped: told[1],
                    entropy: told[2],
                    forbidden: told[3],
                    largest: told[4],
                    value_loss: 0.0,
                }),
                Stepped::NonFinite => return Err(not_finite("gradient of the policy").into()),
            }
        }
        for (network, net) in self.critics.iter_mut().zip(critics) {
            let values = network.forward(&net.view.rows_of(shown, Some(&cells))?)?;
            let [old, targets] = uploaded.values(&net.view, &cells)?;
            let (old, targets) = (
                old.reshape(values.shape())?,
                targets.reshape(values.shape())?,
            );
            let [loss, told] = losses::value(&values, &old, &targets, of_policy.clip)?;
            match network.step(&loss, &told, weights.adam)? {
                Stepped::Told(told) => tally.value_loss += told[0],
                Stepped::NonFinite => return Err(not_finite("gradient of the value").into()),
            }
        }
        Ok(())
    }
}

fn download(from: &[Network], to: &mut [Net]) -> Result<()> {
    let mut pairs = from.iter().zip(to);
    pairs.try_for_each(|(network, net)| network.download(net))
}

/// What a network makes of all of `shown`, row after row.
fn ask(network: &Network, view: &View, shown: &Shown) -> Result<Vec<f32>> {
    let out = network.forward(&view.rows_of(shown, None)?)?;
    out.flatten_all()?.to_vec1()
}

/// Hands `player` its part of what all policies said of all environments: its environments × agents
/// × choices of all heads.
fn deal<E>(actors: &[Net], logits: &[Vec<f32>], player: &Player<E>, own: &mut Vec<f32>) {
    let (shape, envs) = (player.memory.shape, player.memory.envs);
    let width = shape.heads.width();
    own.resize(envs * shape.agents * width, 0.0);
    for (net, logits) in actors.iter().zip(logits) {
        let of_cell = net.view.rows() * width;
        let part = &logits[player.first * of_cell..(player.first + envs) * of_cell];
        net.view.deal(part, width, own);
    }
}
