//! What networks read: rows made of what environments showed.

#[cfg(any(test, feature = "candle"))]
mod rows;

use karma_nn::Heads;

#[cfg(any(test, feature = "candle"))]
pub(super) use self::rows::Shown;
use super::env::VecEnv;

/// Sizes of an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) agents: usize,
    pub(super) heads: Heads,
    /// Numbers of the global state.
    pub(super) state: usize,
    /// Numbers of what an agent sees by itself; 0 where that is the state.
    pub(super) own: usize,
}

impl Shape {
    pub(super) fn of(env: &impl VecEnv) -> Self {
        Self {
            agents: env.agents(),
            heads: env.heads(),
            state: env.width(),
            own: env.sight().own(),
        }
    }

    /// Choices of all agents.
    pub(super) fn joint(self) -> usize {
        self.agents * self.heads.heads
    }
}

/// States and observations of a number of cells; a cell is one environment at one step.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    states: Vec<f32>,
    own: Vec<f32>,
}

impl Seen {
    pub(super) fn resize(&mut self, shape: Shape, cells: usize) {
        self.states.resize(cells * shape.state, 0.0);
        self.own.resize(cells * shape.agents * shape.own, 0.0);
    }

    /// Number of cells.
    pub(super) fn cells(&self, shape: Shape) -> usize {
        self.states.len() / shape.state
    }

    pub(super) fn clear(&mut self) {
        self.states.clear();
        self.own.clear();
    }

    /// Takes in what `env` shows now, from cell `first` on.
    pub(super) fn look(&mut self, shape: Shape, env: &impl VecEnv, first: usize) {
        let (own, end) = (shape.agents * shape.own, first + env.envs());
        env.observe(
            &mut self.states[first * shape.state..end * shape.state],
            &mut self.own[first * own..end * own],
        );
    }

    /// Takes over one cell of `from`.
    pub(super) fn copy(&mut self, shape: Shape, cell: usize, from: &Self, of: usize) {
        for (to, from, width) in [
            (&mut self.states, &from.states, shape.state),
            (&mut self.own, &from.own, shape.agents * shape.own),
        ] {
            to[cell * width..(cell + 1) * width]
                .copy_from_slice(&from[of * width..(of + 1) * width]);
        }
    }

    /// Appends one cell of `from`.
    pub(super) fn push(&mut self, shape: Shape, from: &Self, cell: usize) {
        for (to, from, width) in [
            (&mut self.states, &from.states, shape.state),
            (&mut self.own, &from.own, shape.agents * shape.own),
        ] {
            to.extend_from_slice(&from[cell * width..(cell + 1) * width]);
        }
    }
}

/// What a row of a network's batch is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    shape: Shape,
    /// Agents that each have a row per cell; none where the team has one row.
    agents: Vec<usize>,
    /// Whether a row is the global state, whatever agents see.
    state: bool,
    /// Whether a row ends in one flag per agent, that of its own set.
    flags: bool,
}

impl View {
    /// One row per cell, the global state, for the team.
    pub(super) fn team(shape: Shape) -> Self {
        Self {
            shape,
            agents: Vec::new(),
            state: true,
            flags: false,
        }
    }

    /// A row per cell for each of `agents`: the global state.
    pub(super) fn state_for(shape: Shape, agents: Vec<usize>) -> Self {
        Self {
            shape,
            agents,
            state: true,
            flags: false,
        }
    }

    /// A row per cell for each of `agents`: what it sees. Where agents that share a network all see
    /// the same, flags tell it who asks.
    pub(super) fn sight_of(shape: Shape, agents: Vec<usize>) -> Self {
        Self {
            shape,
            agents,
            state: shape.own == 0,
            flags: shape.own == 0,
        }
    }

    /// Numbers of a row.
    pub(super) fn width(&self) -> usize {
        let seen = if self.state {
            self.shape.state
        } else {
            self.shape.own
        };
        seen + if self.flags { self.shape.agents } else { 0 }
    }

    /// Numbers of a cell that its rows are made of.
    pub(super) fn distinct(&self) -> usize {
        if self.state {
            self.shape.state
        } else {
            self.rows() * self.shape.own
        }
    }

    /// Rows per cell.
    pub(super) fn rows(&self) -> usize {
        self.agents.len().max(1)
    }

    /// Agents that the outputs of the `row`-th row of a cell are of.
    pub(super) fn agents_of(&self, row: usize) -> std::ops::Range<usize> {
        match self.agents.get(row) {
            Some(agent) => *agent..agent + 1,
            None => 0..self.shape.agents,
        }
    }

    /// Whether rows are those of all agents, in their order.
    pub(super) fn is_whole(&self) -> bool {
        self.agents.len() == self.shape.agents && self.agents.is_sorted()
    }

    /// What the `row`-th row of `cell` holds before its flags.
    pub(super) fn seen<'a>(&self, seen: &'a Seen, cell: usize, row: usize) -> &'a [f32] {
        let Shape {
            agents, state, own, ..
        } = self.shape;
        let (of, width, at) = if self.state {
            (&seen.states, state, cell)
        } else {
            (&seen.own, own, cell * agents + self.agents[row])
        };
        &of[at * width..(at + 1) * width]
    }

    /// Writes the `row`-th row of `cell`.
    pub(super) fn write(&self, seen: &Seen, cell: usize, row: usize, out: &mut [f32]) {
        let seen = self.seen(seen, cell, row);
        let (start, flags) = out.split_at_mut(seen.len());
        start.copy_from_slice(seen);
        if self.flags {
            flags.fill(0.0);
            flags[self.agents[row]] = 1.0;
        }
    }

    /// Hands what a network with `outputs` outputs made of the rows of some cells to the agents that it
    /// is of; `to` holds cells × agents × numbers of an agent.
    pub(super) fn deal(&self, out: &[f32], outputs: usize, to: &mut [f32]) {
        let numbers = outputs / self.agents_of(0).len();
        for (row, out) in out.chunks_exact(outputs).enumerate() {
            let cell = row / self.rows() * self.shape.agents;
            let first = cell + self.agents_of(row % self.rows()).start;
            to[first * numbers..][..outputs].copy_from_slice(out);
        }
    }

    /// The `row`-th row of `cell`: where it lies, or written into `buffer` where nothing lies so.
    pub(super) fn row<'a>(
        &self,
        seen: &'a Seen,
        cell: usize,
        row: usize,
        buffer: &'a mut [f32],
    ) -> &'a [f32] {
        if !self.flags {
            return self.seen(seen, cell, row);
        }
        self.write(seen, cell, row, buffer);
        buffer
    }
}
