//! One window of many games, and the trait of everything that can predict it.

use karma_cluster::ServiceMetrics;
use karma_nn::kernel::Line;

use crate::{dice::Dice, given::Given, plan::Nodes, pods::Pods};

/// One window of `n` games of the same cluster, game-major arrays of `n × services`.
pub(crate) struct Frame<'a> {
    /// Metrics at the start of the window; at its end after `advance`.
    pub(crate) now: &'a mut [ServiceMetrics],
    /// Metrics one window earlier.
    pub(crate) before: &'a mut [ServiceMetrics],
    /// Pods, in step with `now`.
    pub(crate) pods: &'a mut [Pods],
    /// Desired replicas during the window.
    pub(crate) desired: &'a [u32],
    /// What is done to the services during the window.
    pub(crate) given: &'a [Given],
    /// Measured arrivals at the entries; NaN where traffic follows from callers.
    pub(crate) inflow: &'a [f32],
    /// Nodes of every game.
    pub(crate) nodes: &'a [Nodes],
    /// Randomness of every game; `None` predicts the mean.
    pub(crate) dice: Option<&'a mut [Dice]>,
    /// Member of the ensemble that every game plays; `None` predicts the mean of all.
    pub(crate) members: Option<&'a [u8]>,
}

/// A transition model.
pub(crate) trait Dynamics: Sync {
    /// Lets one window pass.
    fn advance(&self, frame: &mut Frame<'_>, scratch: &mut Scratch);
}

/// Buffers of [`Dynamics::advance`], reused between calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) changes: Vec<crate::pods::Change>,
    pub(crate) blocks: Vec<crate::block::Block>,
    /// What the network reads of every block and what it answers, in panels of sixteen games.
    pub(crate) x: Vec<Line>,
    pub(crate) y: Vec<Line>,
    pub(crate) y_member: Vec<Line>,
    pub(crate) nn: karma_nn::Scratch,
}

/// The value now is the value then; replicas become what is desired only when they are seen to.
pub(crate) struct Persistence;

impl Dynamics for Persistence {
    fn advance(&self, frame: &mut Frame<'_>, _: &mut Scratch) {
        frame.before.copy_from_slice(frame.now);
    }
}
