//! What the algorithm costs at the least, for comparison with what a machine could do.

use super::Mappo;

/// What one environment step costs at the least: padding and everything but matrix products left out
/// of the arithmetic, everything but observations left out of the memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Multiplications and additions of the rollout: all networks forward.
    pub rollout_flops: usize,
    /// Those of one epoch of the update: forward, by the weights, and by the inputs of every layer but
    /// the first.
    pub epoch_flops: usize,
    /// Bytes of observations that one epoch reads.
    pub epoch_bytes: usize,
}

impl<E> Mappo<E> {
    /// What one environment step costs at the least.
    #[must_use]
    pub fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        for net in self.actors.iter().chain(&self.critics) {
            let (shape, rows) = (net.mlp.shape(), net.view.rows());
            let forward = shape.multiply_adds();
            let first = shape.inputs * shape.hidden.first().unwrap_or(&shape.outputs);
            cost.rollout_flops += 2 * rows * forward;
            cost.epoch_flops += 2 * rows * (3 * forward - first);
            cost.epoch_bytes += size_of::<f32>() * net.view.distinct();
        }
        cost
    }
}
