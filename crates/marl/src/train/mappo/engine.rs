//! What computes networks in place of the kernels of this processor.

use karma_nn::AdamStep;

use super::{
    Mappo, Place, Tally,
    player::{Key, Player},
};
use crate::train::{DeviceError, Fault, Net};

/// Takes over everything of an iteration that is done with networks. Between iterations it keeps
/// nothing: networks and optimisers are those of [`super::Mappo`], so that checkpoints, validation
/// and export know nothing of it.
pub(super) trait Engine<E>: std::fmt::Debug + Send {
    /// Plays `steps` steps in the environments of all of `players`, and values what was seen.
    fn play(
        &mut self,
        players: &mut [Player<E>],
        nets: [&[Net]; 2],
        steps: usize,
        key: Key,
    ) -> Result<(), Fault>;

    /// One step of all networks on the cells in `order`, of what was played last.
    fn minibatch(
        &mut self,
        players: &[Player<E>],
        nets: [&[Net]; 2],
        order: &[Place],
        weights: Weights,
        tally: &mut Tally,
    ) -> Result<(), &'static str>;

    /// Brings networks and optimisers back after the last minibatch.
    fn finish(&mut self, nets: [&mut [Net]; 2]) -> Result<(), Fault>;

    /// Why the device gave up, where a fault came of that.
    fn failure(&self) -> Option<&DeviceError>;
}

/// How an update weighs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights {
    pub(super) adam: AdamStep,
    pub(super) clip: f32,
    pub(super) entropy: f32,
    pub(super) mask_loss: f32,
}

impl<E> Mappo<E> {
    /// Why the device gave up, where a fault came of that.
    #[must_use]
    pub fn device_failure(&self) -> Option<&DeviceError> {
        self.engine.as_ref().and_then(|engine| engine.failure())
    }
}
