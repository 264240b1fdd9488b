//! What updates read of a rollout, beside what was seen, on a device of candle's.

use candle_core::{Device, Result, Tensor};

use super::{
    super::{
        Place,
        player::{Player, each_in_order, in_order},
    },
    losses::Played,
};
use crate::train::view::View;

/// Cells step after step over all environments, agents in the second place.
#[derive(Debug)]
pub(super) struct Uploaded {
    /// Cells × agents × heads × choices.
    allowed: Tensor,
    /// Cells × agents × heads.
    choices: Tensor,
    /// Cells × agents, as the others.
    log_probs: Tensor,
    advantages: Tensor,
    values: Tensor,
    returns: Tensor,
}

impl Uploaded {
    /// Brings the rollouts of all of `players` to `device`.
    pub(super) fn new<E>(players: &[Player<E>], device: &Device) -> Result<Self> {
        let memory = &players[0].memory;
        let (steps, agents) = (memory.steps(), memory.shape.agents);
        let (heads, choices) = (memory.shape.heads.heads, memory.shape.heads.choices);
        let cells = steps * players.iter().map(|p| p.memory.envs).sum::<usize>();
        let masks = each_in_order(players, steps, heads, |m| &m.masks);
        let bits = |mask: &u8| {
            let mask = *mask;
            (0..choices).map(move |choice| f32::from((mask >> choice) & 1))
        };
        let allowed: Vec<f32> = masks.flat_map(bits).collect();
        let chosen = each_in_order(players, steps, heads, |m| &m.choices);
        let chosen: Vec<u32> = chosen.map(|choice| u32::from(*choice)).collect();
        let table = |of| {
            let numbers: Vec<f32> = in_order(players, steps, of).copied().collect();
            Tensor::from_vec(numbers, (cells, agents), device)
        };
        Ok(Self {
            allowed: Tensor::from_vec(allowed, (cells, agents, heads, choices), device)?,
            choices: Tensor::from_vec(chosen, (cells, agents, heads), device)?,
            log_probs: table(|m| &m.log_probs)?,
            advantages: table(|m| &m.advantages)?,
            values: table(|m| &m.values)?,
            returns: table(|m| &m.returns)?,
        })
    }

    /// What was played in the rows of `view`, which has one for every agent of its own, in `cells`.
    pub(super) fn played(&self, view: &View, cells: &Tensor) -> Result<Played> {
        let rows = |of: &Tensor| view.of_agents(&of.index_select(cells, 0)?)?.flatten(0, 1);
        Ok(Played {
            allowed: rows(&self.allowed)?,
            choices: rows(&self.choices)?,
            log_probs: rows(&self.log_probs)?,
            advantages: rows(&self.advantages)?,
        })
    }

    /// Old values and targets of the agents of `view` in `cells`.
    pub(super) fn values(&self, view: &View, cells: &Tensor) -> Result<[Tensor; 2]> {
        let of = |of: &Tensor| view.of_agents(&of.index_select(cells, 0)?);
        Ok([of(&self.values)?, of(&self.returns)?])
    }
}

/// Numbers of the cells in `order` among those of all `players`, step after step.
pub(super) fn cells<E>(players: &[Player<E>], order: &[Place], device: &Device) -> Result<Tensor> {
    let width: usize = players.iter().map(|player| player.memory.envs).sum();
    let number = |place: &Place| {
        let player = &players[place.player as usize];
        let (cell, envs) = (place.cell as usize, player.memory.envs);
        (cell / envs * width + player.first + cell % envs) as u32
    };
    Tensor::from_vec(order.iter().map(number).collect(), order.len(), device)
}
