//! Fitting a twin to a trace.

use karma_cluster::{Scenario, Watch};
use serde::{Deserialize, Serialize};

use crate::{error::Result, fidelity::Fidelity, model::Twin, trace::Trace};

/// How a twin is fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitSettings {
    /// Members of the ensemble.
    pub members: usize,
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Number of hidden layers.
    pub layers: usize,
    /// Passes over the training runs.
    pub epochs: usize,
    /// Learning rate at the start; it falls to 0 along a cosine.
    pub learning_rate: f32,
    /// Rows per gradient step.
    pub batch: usize,
    /// Share of the runs that nothing is fitted to; fidelity is measured there.
    pub validation_share: f64,
}

impl FitSettings {
    /// The settings that the scenario asks for.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Self {
        Self {
            members: scenario.twin.members as usize,
            hidden: scenario.twin.hidden as usize,
            layers: scenario.twin.layers as usize,
            epochs: scenario.twin.epochs as usize,
            learning_rate: 2e-3,
            batch: 256,
            validation_share: 0.2,
        }
    }
}

impl Twin {
    /// Fits a twin of `scenario` to `trace` and measures it on runs that it has not seen.
    ///
    /// # Errors
    /// [`TwinError::Fit`](crate::TwinError::Fit) when the trace cannot carry a twin,
    /// [`TwinError::Interrupted`](crate::TwinError::Interrupted) when `watch` asks to stop.
    pub fn fit(
        _trace: &Trace,
        _scenario: &Scenario,
        _settings: &FitSettings,
        _seed: u64,
        _watch: &dyn Watch,
    ) -> Result<(Self, Fidelity)> {
        todo!("lands next")
    }
}
