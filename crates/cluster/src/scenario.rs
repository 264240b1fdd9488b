//! The scenario: what a cluster is, what happens to it, and who is to manage it.
//!
//! [`Scenario`] is both what the file says and, with every default written out, what a run records
//! as its resolved input. Reading and checking live in `scenario::read` and `scenario::check`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Seconds;

mod check;
mod defaults;
mod fault;
mod load;
mod read;
mod reference;
mod service;
mod settings;
mod template;

pub use fault::{Effect, Fault};
pub use load::{Point, Shape, TraceScale, TraceUnit, TraceWorkload, Workload};
pub use read::{Loaded, Places, load, parse, to_yaml};
pub use reference::{key_reference, schema};
pub use service::{
    Call, CallMode, Discipline, FailureRates, NodePool, ReplicaRange, Service, Startup,
    WorkDistribution,
};
pub use settings::{
    AdversarySettings, Agent, Algorithm, AnalyzeSettings, Control, EarlyStop, EvaluateSettings,
    RecurrentSettings, RewardWeights, Sharing, Team, TrainSettings, TwinSettings,
};
pub use template::template;

/// A cluster, its load, its faults, its team and the settings of every phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Version of this format, 1.
    #[schemars(range(min = 1, max = 1))]
    pub format: u32,
    /// Name of the scenario and of its run directory.
    pub name: String,
    /// Another scenario file, relative to this one, whose keys hold where this file is silent.
    /// Absent once resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// The services, callers before callees.
    #[schemars(length(min = 1))]
    pub services: Vec<Service>,
    /// Machines that pods are scheduled onto.
    #[schemars(length(min = 1))]
    pub nodes: Vec<NodePool>,
    /// Legitimate load.
    pub workload: Workload,
    /// Attacks and faults of every context.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// Named overlays of workload, faults, nodes and disturbance window. Training uses all of them,
    /// evaluation reports each.
    #[serde(default)]
    pub contexts: Vec<Context>,
    /// Names of the contexts to keep; all where absent. For files that extend another. Absent once
    /// resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_contexts: Option<Vec<String>>,
    /// When the scenario's disturbance lasts; what availability and recovery are measured over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disturbance: Option<Window>,
    /// What users were promised.
    pub slo: Slo,
    /// How the cluster is watched and steered.
    #[serde(default)]
    pub control: Control,
    /// Length of one episode.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub duration: Seconds,
    /// The team of agents.
    #[serde(default)]
    pub team: Team,
    /// Weights of the reward.
    #[serde(default)]
    pub reward: RewardWeights,
    /// The digital twin (phase 1).
    #[serde(default)]
    pub twin: TwinSettings,
    /// Training (phase 2).
    #[serde(default)]
    pub train: TrainSettings,
    /// Analysis (phase 3).
    #[serde(default)]
    pub analyze: AnalyzeSettings,
    /// Evaluation.
    #[serde(default)]
    pub evaluate: EvaluateSettings,
    /// Seed of everything random in fitting, training and analysis.
    #[serde(default = "defaults::seed")]
    pub seed: u64,
}

/// A named overlay of the scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Name, e.g. `ddos`.
    pub name: String,
    /// Replaces the scenario's workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Workload>,
    /// Added to the scenario's faults.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// Replaces the scenario's nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Vec<NodePool>>,
    /// Replaces the scenario's disturbance window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disturbance: Option<Window>,
}

/// A span of the episode.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Onset.
    pub at: Seconds,
    /// Length.
    pub duration: Seconds,
}

/// What users were promised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slo {
    /// Latency within which an answer counts as compliant.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub latency: Seconds,
    /// Time after which a client gives up.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub timeout: Seconds,
}

impl Scenario {
    /// Indices of the services that receive outside traffic.
    #[must_use]
    pub fn entries(&self) -> Vec<usize> {
        (0..self.services.len())
            .filter(|&i| self.services[i].entry)
            .collect()
    }

    /// Index of the service called `name`.
    #[must_use]
    pub fn service_index(&self, name: &str) -> Option<usize> {
        self.services
            .iter()
            .position(|service| service.name == name)
    }

    /// Replicas that an episode starts with, of every service.
    #[must_use]
    pub fn initial_replicas(&self) -> Vec<u32> {
        self.services
            .iter()
            .map(|service| service.replicas.at_start())
            .collect()
    }

    /// Control windows in one episode.
    #[must_use]
    pub fn windows(&self) -> u32 {
        (self.duration.seconds() / self.control.window.seconds())
            .round()
            .max(1.0) as u32
    }

    /// The scenario with the overlay of `context` applied and no contexts left.
    #[must_use]
    pub fn in_context(&self, context: &Context) -> Self {
        let mut scenario = self.clone();
        scenario.contexts = Vec::new();
        scenario.faults.extend(context.faults.iter().cloned());
        if let Some(workload) = &context.workload {
            scenario.workload = workload.clone();
        }
        if let Some(nodes) = &context.nodes {
            scenario.nodes.clone_from(nodes);
        }
        if context.disturbance.is_some() {
            scenario.disturbance = context.disturbance;
        }
        scenario
    }

    /// Every context with its name; the scenario itself, called `nominal`, where it has none.
    #[must_use]
    pub fn in_every_context(&self) -> Vec<(String, Self)> {
        if self.contexts.is_empty() {
            return vec![("nominal".to_owned(), self.clone())];
        }
        self.contexts
            .iter()
            .map(|c| (c.name.clone(), self.in_context(c)))
            .collect()
    }
}
