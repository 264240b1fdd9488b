//! Attacks and faults.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults;
use crate::units::{Mebibytes, Seconds};

/// An attack or a fault: when, and what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Onset.
    pub at: Seconds,
    /// How long it lasts; 0 for an instant.
    #[serde(default)]
    pub duration: Seconds,
    /// What it does.
    pub effect: Effect,
}

/// What an attack or fault does. Kinds that Chaos Mesh has carry its names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Effect {
    /// Attack requests at `entry`: the total rate is `factor` times the legitimate one.
    DdosFlood {
        /// Entry service; the first entry where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entry: Option<String>,
        /// Total over legitimate rate.
        #[schemars(range(min = 1.0))]
        factor: f64,
        /// Work of an attack request over that of a legitimate one (payload level).
        #[serde(default = "defaults::one")]
        #[schemars(extend("exclusiveMinimum" = 0))]
        payload: f64,
    },
    /// A flood that switches on and off to make an autoscaler oscillate.
    YoYo {
        /// Entry service; the first entry where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entry: Option<String>,
        /// Total over legitimate rate while on.
        #[schemars(range(min = 1.0))]
        factor: f64,
        /// Length of one on-off cycle.
        #[schemars(extend("exclusiveMinimum" = 0))]
        period: Seconds,
        /// Share of the cycle that is on.
        #[serde(default = "defaults::half")]
        #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0))]
        duty: f64,
    },
    /// Connections that hold a server of a pod and send nothing (slowloris).
    SlowConnections {
        /// Entry service; the first entry where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entry: Option<String>,
        /// Connections opened per second.
        #[schemars(range(min = 0.0))]
        rate: f64,
        /// How long each is held.
        hold: Seconds,
    },
    /// Pods deleted at once, replaced by their Deployment.
    PodKill {
        /// Service.
        service: String,
        /// Pods per kill.
        #[serde(default = "defaults::count")]
        #[schemars(range(min = 1))]
        count: u32,
        /// Killed again after this long, at least 1 s, within the duration; once where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(extend("minimum" = 1))]
        every: Option<Seconds>,
    },
    /// Pods that stay but do not serve while it lasts.
    PodFailure {
        /// Service.
        service: String,
        /// Pods.
        #[serde(default = "defaults::count")]
        #[schemars(range(min = 1))]
        count: u32,
    },
    /// Processor taken from every pod of a service.
    StressCpu {
        /// Service.
        service: String,
        /// Share of the pod's rate that is lost, in [0, 1).
        #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1))]
        load: f64,
    },
    /// Memory taken in every pod of a service; above the limit the pod is killed.
    StressMemory {
        /// Service.
        service: String,
        /// Memory per pod.
        size: Mebibytes,
    },
    /// Delay on every request to a service.
    NetworkDelay {
        /// Service.
        service: String,
        /// Mean delay.
        latency: Seconds,
        /// Uniform spread around it.
        #[serde(default)]
        jitter: Seconds,
    },
    /// Requests to a service that are lost.
    NetworkLoss {
        /// Service.
        service: String,
        /// Share lost.
        #[schemars(range(min = 0.0, max = 1.0))]
        loss: f64,
    },
    /// Scrapes that bring nothing.
    MetricOutage {
        /// Service; all where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<String>,
    },
    /// Calls to the API server that fail.
    ApiErrors {
        /// Share that fails.
        #[schemars(range(min = 0.0, max = 1.0))]
        probability: f64,
    },
}

impl Effect {
    /// Work of a request that this adds over that of a legitimate one; `None` where it adds none.
    pub(crate) fn payload(&self) -> Option<f64> {
        match self {
            Self::DdosFlood { payload, .. } => Some(*payload),
            Self::YoYo { .. } => Some(1.0),
            _ => None,
        }
    }
}
