//! Where networks are computed.

/// Where networks are computed, in the rollout and in the update. Environments are played on the
/// processor whatever it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The fused kernels of this processor.
    #[default]
    Cpu,
    /// candle's tensors on this processor: slow, and what the kernels are held against.
    CandleCpu,
    /// candle's tensors on the first CUDA device.
    Cuda,
}

impl Device {
    /// `cpu`, `candle-cpu` or `cuda`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::CandleCpu => "candle-cpu",
            Self::Cuda => "cuda",
        }
    }

    /// The feature of Cargo that brings it; none where every build has it.
    #[must_use]
    pub fn feature(self) -> Option<&'static str> {
        match self {
            Self::Cpu => None,
            Self::CandleCpu => Some("candle"),
            Self::Cuda => Some("cuda"),
        }
    }
}

/// Why networks cannot be computed on a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The program was built without the feature.
    #[error("device {device} is not part of this build")]
    Absent {
        /// Its name.
        device: &'static str,
        /// The feature of Cargo that brings it.
        feature: &'static str,
    },
    /// The machine has none that answers.
    #[error("device {device} cannot be used: {reason}")]
    Unusable {
        /// Its name.
        device: &'static str,
        /// What its driver said.
        reason: String,
    },
    /// Networks that remember are computed by the fused kernels alone.
    #[error("device {device} cannot train networks that remember (train.recurrent)")]
    Recurrent {
        /// Its name.
        device: &'static str,
    },
    /// It gave up on the way.
    #[error("device {device} failed: {reason}")]
    Failed {
        /// Its name.
        device: &'static str,
        /// What its driver said.
        reason: String,
    },
}
