//! Rows of networks, made on a device of candle's out of what environments showed.

use std::ops::Range;

use candle_core::{Device, Result, Tensor};

use super::{Seen, Shape, View};

/// States and observations of a number of cells.
#[derive(Clone, Debug)]
pub(in crate::train) struct Shown {
    /// Cells × numbers of the state.
    states: Tensor,
    /// Cells × agents × numbers of an observation; none where agents see the state.
    own: Option<Tensor>,
}

impl Shown {
    /// Brings `cells` of every one of `parts` to `device`, part after part.
    pub(in crate::train) fn upload<'a>(
        shape: Shape,
        parts: impl Iterator<Item = (&'a Seen, Range<usize>)> + Clone,
        device: &Device,
    ) -> Result<Self> {
        let gather = |width: usize, of: fn(&Seen) -> &[f32]| {
            let mut values = Vec::new();
            for (seen, cells) in parts.clone() {
                values.extend_from_slice(&of(seen)[cells.start * width..cells.end * width]);
            }
            values
        };
        let states = gather(shape.state, |seen| &seen.states);
        let cells = states.len() / shape.state;
        let own = (shape.own > 0).then(|| {
            let own = gather(shape.agents * shape.own, |seen| &seen.own);
            Tensor::from_vec(own, (cells, shape.agents, shape.own), device)
        });
        Ok(Self {
            states: Tensor::from_vec(states, (cells, shape.state), device)?,
            own: own.transpose()?,
        })
    }

    /// The cells of all of `parts`.
    pub(in crate::train) fn join(parts: &[Self]) -> Result<Self> {
        let states: Vec<&Tensor> = parts.iter().map(|part| &part.states).collect();
        let own: Option<Vec<&Tensor>> = parts.iter().map(|part| part.own.as_ref()).collect();
        Ok(Self {
            states: Tensor::cat(&states, 0)?,
            own: own.map(|own| Tensor::cat(&own, 0)).transpose()?,
        })
    }
}

impl View {
    /// The rows of `cells` of `shown`, or of all, cell after cell: rows × numbers of a row.
    pub(in crate::train) fn rows_of(
        &self,
        shown: &Shown,
        cells: Option<&Tensor>,
    ) -> Result<Tensor> {
        let select = |of: &Tensor| match cells {
            Some(cells) => of.index_select(cells, 0),
            None => Ok(of.clone()),
        };
        if let Some(own) = shown.own.as_ref().filter(|_| !self.state) {
            return self.of_agents(&select(own)?)?.flatten_to(1);
        }
        let states = select(&shown.states)?;
        if self.agents.is_empty() {
            return Ok(states);
        }
        let (count, width) = states.dims2()?;
        let rows = (count, self.rows(), width);
        let mut each = states.unsqueeze(1)?.broadcast_as(rows)?.contiguous()?;
        if self.flags {
            let flags = self.agent_flags(states.device())?;
            let flags = flags.broadcast_as((count, self.rows(), self.shape.agents))?;
            each = Tensor::cat(&[&each, &flags.contiguous()?], 2)?;
        }
        each.flatten_to(1)
    }

    /// What `of`, cells × agents × anything, holds of the agents that have a row.
    pub(in crate::train) fn of_agents(&self, of: &Tensor) -> Result<Tensor> {
        if self.is_whole() || self.agents.is_empty() {
            return Ok(of.clone());
        }
        let agents: Vec<u32> = self.agents.iter().map(|agent| *agent as u32).collect();
        let agents = Tensor::from_vec(agents, self.rows(), of.device())?;
        of.index_select(&agents, 1)
    }

    /// The flags at the end of the rows of one cell: rows × agents.
    fn agent_flags(&self, device: &Device) -> Result<Tensor> {
        let agents = self.shape.agents;
        let mut flags = vec![0.0_f32; self.rows() * agents];
        for (row, agent) in self.agents.iter().enumerate() {
            flags[row * agents + agent] = 1.0;
        }
        Tensor::from_vec(flags, (self.rows(), agents), device)
    }
}
