//! The services and the machines under them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults;
use crate::units::{Mebibytes, Millicores, Seconds};

/// One service: a Deployment and the pods behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Name, unique in the scenario.
    pub name: String,
    /// Whether outside traffic enters here.
    #[serde(default)]
    pub entry: bool,
    /// Replica bounds.
    pub replicas: ReplicaRange,
    /// CPU request of one pod; one pod working at full rate uses this much.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub cpu_request: Millicores,
    /// CPU limit of one pod; the request where absent. A limit above the request lets a busy pod
    /// use more than it asked for, which is what makes nodes contend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub cpu_limit: Option<Millicores>,
    /// Memory request of one pod.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub memory_request: Mebibytes,
    /// Memory limit of one pod, above which it is killed (OOM); twice the request where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub memory_limit: Option<Mebibytes>,
    /// Requests per second that one pod can serve.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub rate_per_replica: f64,
    /// Requests that one pod serves at the same time (servers of the queue).
    #[serde(default = "defaults::concurrency")]
    #[schemars(range(min = 1, max = 10000))]
    pub concurrency: u32,
    /// Requests that may wait in one pod; more are refused.
    #[serde(default = "defaults::queue")]
    #[schemars(range(max = 100000))]
    pub queue: u32,
    /// How a pod shares itself among requests.
    #[serde(default)]
    pub discipline: Discipline,
    /// How long the work of one request varies.
    #[serde(default)]
    pub work: WorkDistribution,
    /// How long a pod takes from being scheduled to being ready.
    #[serde(default)]
    pub startup: Startup,
    /// How often things break by themselves.
    #[serde(default)]
    pub failure: FailureRates,
    /// Services called for every request, one after another in this order.
    #[serde(default)]
    pub calls: Vec<Call>,
}

/// Replica bounds of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplicaRange {
    /// Fewest replicas, at least 1.
    #[schemars(range(min = 1))]
    pub min: u32,
    /// Most replicas.
    #[schemars(range(min = 1))]
    pub max: u32,
    /// Replicas at the start of an episode, ready from the first second; `min` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub initial: Option<u32>,
}

impl ReplicaRange {
    /// Replicas at the start of an episode.
    #[must_use]
    pub fn at_start(&self) -> u32 {
        self.initial.unwrap_or(self.min)
    }
}

/// How a pod shares itself among its requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Discipline {
    /// `concurrency` servers behind one queue, first in first out.
    #[default]
    Fifo,
    /// All requests in the pod share its rate equally (processor sharing).
    Ps,
}

/// Distribution of the work of one request; its mean follows from rate and concurrency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WorkDistribution {
    /// Always the mean.
    Deterministic,
    /// Exponential.
    #[default]
    Exponential,
    /// Lognormal with this coefficient of variation.
    Lognormal {
        /// Standard deviation over mean.
        #[schemars(range(min = 0.0, max = 100.0))]
        cv: f64,
    },
}

/// Lognormal start-up time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Startup {
    /// Median.
    pub median: Seconds,
    /// Standard deviation of the logarithm.
    #[serde(default = "defaults::sigma")]
    #[schemars(range(min = 0.0, max = 5.0))]
    pub sigma: f64,
}

/// How often a service breaks by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FailureRates {
    /// Crashes per pod and hour.
    #[schemars(range(min = 0.0, max = 3600.0))]
    pub crashes_per_hour: f64,
    /// Share of requests that fail after their work is done.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub error_ratio: f64,
    /// Share of requests that take ten times their work.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub degraded_ratio: f64,
}

/// One call to another service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Name of the called service.
    pub to: String,
    /// Whether the caller's server waits.
    #[serde(default)]
    pub mode: CallMode,
    /// Tries after the first that failed.
    #[serde(default)]
    #[schemars(range(max = 10))]
    pub retries: u32,
    /// Share of requests that make this call.
    #[serde(default = "defaults::one")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability: f64,
}

/// Whether a caller's server is held during a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallMode {
    /// The server waits for the answer and serves nobody else meanwhile.
    Sync,
    /// The server is free once its own work is done; the request is answered when its calls are.
    #[default]
    Async,
}

/// Equal machines.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodePool {
    /// Number of machines.
    #[serde(default = "defaults::one_node")]
    #[schemars(range(min = 1, max = 10000))]
    pub count: u32,
    /// Allocatable CPU of each.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub cpu: Millicores,
    /// Allocatable memory of each.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub memory: Mebibytes,
}

impl Default for Startup {
    fn default() -> Self {
        Self {
            median: Seconds(20.0),
            sigma: defaults::sigma(),
        }
    }
}
