//! What networks that remember went through a rollout with, and how an update goes through it again.

use karma_nn::Unrolled;

use super::{Place, Recurrent, memory::Memory};
use crate::train::{Net, states::States, view::View};

/// The states of the policies, or of the values, in one part of the environments.
#[derive(Clone, Debug, Default)]
pub(super) struct Recollection {
    /// Before the step that comes next.
    pub(super) now: States,
    /// Per network, where the chunks of the newest rollout began: chunk by chunk as `now`.
    starts: Vec<Vec<f32>>,
}

impl Recollection {
    /// Begins a rollout of `envs` environments; what is remembered of them is kept.
    pub(super) fn begin(&mut self, nets: &[Net], envs: usize) {
        self.now.fit(nets, envs);
        self.starts.resize(nets.len(), Vec::new());
        self.starts.iter_mut().for_each(Vec::clear);
    }

    /// D22. The state at the start of every chunk is kept: an update goes through the chunk again
    /// from there, with the state that the chunk was played from (on-policy).
    pub(super) fn mark(&mut self, index: usize) {
        self.starts[index].extend_from_slice(self.now.of(index));
    }

    /// The state that the `index`-th network had of the `row`-th row of one chunk's start, of `rows`.
    pub(super) fn start(&self, index: usize, row: usize, rows: usize) -> &[f32] {
        let starts = &self.starts[index];
        let width = starts.len() / rows;
        &starts[row * width..(row + 1) * width]
    }
}

/// The cells that a network with `view` goes through in a minibatch, in its order: those of `order`,
/// or where networks remember those of the chunks whose first cells `order` has, written to `cells`.
///
/// D23. Minibatches are of whole chunks, of which all agents stay together; gradients go back to
/// where a chunk, or an episode within it, began (on-policy's `data_chunk_length`).
pub(super) fn unroll<'a>(
    order: &'a [Place],
    memories: &[&Memory],
    view: &View,
    recurrent: Option<Recurrent>,
    cells: &'a mut Vec<Place>,
) -> (&'a [Place], Option<Unrolled>) {
    let Some(Recurrent { sequence: steps }) = recurrent else {
        return (order, None);
    };
    let batch = Unrolled::new(order.len(), view.rows(), steps);
    cells.clear();
    for chunks in order.chunks(batch.block / view.rows()) {
        for step in 0..steps {
            cells.extend(chunks.iter().map(|chunk| Place {
                cell: chunk.cell + (step * memories[chunk.player as usize].envs) as u32,
                ..*chunk
            }));
        }
    }
    (cells, Some(batch))
}
