//! What networks that remember keep between steps.

use serde::{Deserialize, Serialize};

use super::Net;

/// The states of some networks in a number of cells, nothing of those that remember nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct States {
    cells: usize,
    /// Per network, cells × rows of a cell × state.
    of: Vec<Vec<f32>>,
}

impl States {
    /// Nothing seen yet in any of `cells` cells.
    pub(super) fn new(nets: &[Net], cells: usize) -> Self {
        let of = nets.iter().map(|net| vec![0.0; cells * net.remembered()]);
        Self {
            cells,
            of: of.collect(),
        }
    }

    /// Becomes [`Self::new`], unless it is already of such networks and cells.
    pub(super) fn fit(&mut self, nets: &[Net], cells: usize) {
        let fits = self.cells == cells
            && self.of.len() == nets.len()
            && (self.of.iter().zip(nets)).all(|(of, net)| of.len() == cells * net.remembered());
        if !fits {
            *self = Self::new(nets, cells);
        }
    }

    /// Those of the `index`-th network.
    pub(super) fn of(&mut self, index: usize) -> &mut [f32] {
        self.of.get_mut(index).map_or(&mut [], Vec::as_mut_slice)
    }

    /// Those of the `index`-th network in one cell.
    pub(super) fn in_cell(&self, index: usize, cell: usize) -> &[f32] {
        let width = self.of[index].len() / self.cells;
        &self.of[index][cell * width..(cell + 1) * width]
    }

    /// Remembers nothing of a cell any more.
    pub(super) fn forget(&mut self, cell: usize) {
        for index in 0..self.of.len() {
            self.forget_of(index, cell);
        }
    }

    /// The same, of the `index`-th network alone.
    pub(super) fn forget_of(&mut self, index: usize, cell: usize) {
        let of = &mut self.of[index];
        let width = of.len() / self.cells;
        of[cell * width..(cell + 1) * width].fill(0.0);
    }

    /// Whether it has a state for as many cells of as many networks, of the same sizes.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let sizes = |states: &Self| states.of.iter().map(Vec::len).collect::<Vec<_>>();
        self.cells == other.cells && sizes(self) == sizes(other)
    }
}
