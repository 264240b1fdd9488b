//! The scenario: what a cluster is, what happens to it, and who is to manage it.
//!
//! [`Scenario`] is both what the file says and, with every default written out, what a run records
//! as its resolved input. Reading and checking live in `scenario::read` and `scenario::check`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Mebibytes, Millicores, Seconds};

mod read;

pub use read::{Loaded, key_reference, load, parse, schema, template, to_yaml};

/// A cluster, its load, its faults, its team and the settings of every phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Version of this format; 1.
    pub format: u32,
    /// Name of the scenario and of its run directory.
    pub name: String,
    /// Another scenario file, relative to this one, whose keys hold where this file is silent.
    /// `None` once resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// The services, callers before callees.
    pub services: Vec<Service>,
    /// Machines that pods are scheduled onto.
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
    /// When the scenario's disturbance lasts; what availability and recovery are measured over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disturbance: Option<Window>,
    /// What users were promised.
    pub slo: Slo,
    /// How the cluster is watched and steered.
    #[serde(default)]
    pub control: Control,
    /// Length of one episode.
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
    pub cpu_request: Millicores,
    /// CPU limit of one pod; the request where absent. A limit above the request lets a busy pod
    /// use more than it asked for, which is what makes nodes contend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_limit: Option<Millicores>,
    /// Memory request of one pod.
    pub memory_request: Mebibytes,
    /// Memory limit of one pod, above which it is killed (OOM); twice the request where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<Mebibytes>,
    /// Requests per second that one pod can serve.
    pub rate_per_replica: f64,
    /// Requests that one pod serves at the same time (servers of the queue).
    #[serde(default = "defaults::concurrency")]
    pub concurrency: u32,
    /// Requests that may wait in one pod; more are refused.
    #[serde(default = "defaults::queue")]
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
    pub min: u32,
    /// Most replicas.
    pub max: u32,
    /// Replicas at the start of an episode, ready from the first second; `min` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<u32>,
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
#[serde(rename_all = "snake_case")]
pub enum WorkDistribution {
    /// Always the mean.
    Deterministic,
    /// Exponential.
    #[default]
    Exponential,
    /// Lognormal with this coefficient of variation.
    Lognormal {
        /// Standard deviation over mean.
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
    pub sigma: f64,
}

/// How often a service breaks by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FailureRates {
    /// Crashes per pod and hour.
    pub crashes_per_hour: f64,
    /// Share of requests that fail after their work is done.
    pub error_ratio: f64,
    /// Share of requests that take ten times their work.
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
    pub retries: u32,
    /// Share of requests that make this call.
    #[serde(default = "defaults::one")]
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
    pub count: u32,
    /// Allocatable CPU of each.
    pub cpu: Millicores,
    /// Allocatable memory of each.
    pub memory: Mebibytes,
}

/// Legitimate load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Request rate over time.
    pub shape: Shape,
    /// Standard deviation of the slow random factor on the rate (it has memory), over the rate.
    #[serde(default)]
    pub noise: f64,
    /// Correlation time of that factor.
    #[serde(default = "defaults::noise_memory")]
    pub noise_memory: Seconds,
}

/// Request rate over time, all entries together (split evenly).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Shape {
    /// The same rate throughout.
    Constant {
        /// Requests per second.
        rate: f64,
    },
    /// Linear between points; constant before the first and after the last.
    Points {
        /// Base rate, multiplied by each point's factor.
        rate: f64,
        /// Instants and factors, in order of time.
        points: Vec<Point>,
    },
    /// A sinusoid.
    Sine {
        /// Mean requests per second.
        rate: f64,
        /// Amplitude over mean.
        amplitude: f64,
        /// Period.
        period: Seconds,
    },
    /// Clients that think, ask, and wait for the answer.
    Closed {
        /// Number of clients.
        clients: u32,
        /// Mean think time (exponential); 0 for none.
        think_time: Seconds,
    },
    /// A recorded request-rate trace.
    Trace(TraceWorkload),
}

/// A point of [`Shape::Points`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Instant.
    pub at: Seconds,
    /// Factor on the base rate.
    pub factor: f64,
}

/// A recorded request-rate trace and how to read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceWorkload {
    /// File, relative to the scenario file.
    pub file: String,
    /// Column name, or index from 0; the last column where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Time between rows.
    #[serde(default = "defaults::one_second")]
    pub interval: Seconds,
    /// What a value is.
    #[serde(default)]
    pub unit: TraceUnit,
    /// Where the evaluation's slice starts, from the start of the file.
    #[serde(default)]
    pub start: Seconds,
    /// Length of one slice; the episode's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Seconds>,
    /// Factor on the values; `auto` makes the peak the scenario's capacity.
    #[serde(default)]
    pub scale: TraceScale,
    /// The values as requests per second, one per interval, unscaled; NaN is a hole. Not in the
    /// file: whoever loads the scenario fills it.
    #[serde(skip)]
    pub rates: Arc<[f64]>,
}

/// What a value of a trace is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TraceUnit {
    /// Requests per interval.
    #[default]
    Count,
    /// Requests per second.
    Rps,
}

/// Factor on the values of a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TraceScale {
    /// The peak of the trace becomes the capacity of the scenario at its replica bounds.
    #[default]
    Auto,
    /// This factor.
    Factor(f64),
}

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
        #[serde(default)]
        entry: Option<String>,
        /// Total over legitimate rate.
        factor: f64,
        /// Work of an attack request over that of a legitimate one (payload level).
        #[serde(default = "defaults::one")]
        payload: f64,
    },
    /// A flood that switches on and off to make an autoscaler oscillate.
    YoYo {
        /// Entry service; the first entry where absent.
        #[serde(default)]
        entry: Option<String>,
        /// Total over legitimate rate while on.
        factor: f64,
        /// Length of one on-off cycle.
        period: Seconds,
        /// Share of the cycle that is on.
        #[serde(default = "defaults::half")]
        duty: f64,
    },
    /// Connections that hold a server of a pod and send nothing (slowloris).
    SlowConnections {
        /// Entry service; the first entry where absent.
        #[serde(default)]
        entry: Option<String>,
        /// Connections opened per second.
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
        count: u32,
        /// Killed again after this long within the duration; once where absent.
        #[serde(default)]
        every: Option<Seconds>,
    },
    /// Pods that stay but do not serve while it lasts.
    PodFailure {
        /// Service.
        service: String,
        /// Pods.
        #[serde(default = "defaults::count")]
        count: u32,
    },
    /// Processor taken from every pod of a service.
    StressCpu {
        /// Service.
        service: String,
        /// Share of the pod's rate that is lost, in [0, 1).
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
        loss: f64,
    },
    /// Scrapes that bring nothing.
    MetricOutage {
        /// Service; all where absent.
        #[serde(default)]
        service: Option<String>,
    },
    /// Calls to the API server that fail.
    ApiErrors {
        /// Share that fails.
        probability: f64,
    },
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
    pub latency: Seconds,
    /// Time after which a client gives up.
    pub timeout: Seconds,
}

/// How the cluster is watched and steered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// One decision per this long.
    pub window: Seconds,
    /// Time between scrapes of a service.
    pub scrape_interval: Seconds,
    /// Age that a scrape has before a query shows it.
    pub scrape_lag: Seconds,
    /// Share of scrapes that are lost.
    pub scrape_loss: f64,
    /// Time a terminating pod may finish its requests in.
    pub drain: Seconds,
}

/// The team of agents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Team {
    /// Organisation file, relative to the scenario file; no organisation where absent.
    pub organization: Option<String>,
    /// Agents, one line each: name and role.
    pub agents: Vec<Agent>,
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Name.
    pub name: String,
    /// Role, as the organisation names it.
    pub role: String,
}

/// Weights of the five terms of operational resilience, and of the cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RewardWeights {
    /// Weight of success.
    pub success: f64,
    /// Weight of healthy pods.
    pub healthy: f64,
    /// Weight of latency.
    pub latency: f64,
    /// Weight of available entries.
    pub entries: f64,
    /// Weight of delivered traffic.
    pub throughput: f64,
    /// Weight of pods in use; 0 is the paper's reward.
    pub cost: f64,
}

/// The digital twin (phase 1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TwinSettings {
    /// Episodes recorded on the emulator.
    pub episodes: u32,
    /// Members of the ensemble.
    pub members: u32,
    /// Width of the hidden layers.
    pub hidden: u32,
    /// Number of hidden layers.
    pub layers: u32,
    /// Passes over the data.
    pub epochs: u32,
}

/// Training (phase 2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSettings {
    /// Iterations of rollout and update.
    pub iterations: u32,
    /// Games played side by side.
    pub games: u32,
    /// Windows per rollout and game.
    pub steps: u32,
    /// Width of the two hidden layers.
    pub hidden: u32,
    /// Learning rate at the start; it falls linearly to 0.
    pub learning_rate: f64,
    /// Discount per window.
    pub gamma: f64,
    /// GAE λ.
    pub gae_lambda: f64,
    /// Ratio clip.
    pub clip: f64,
    /// Entropy coefficient at the start; it falls linearly to a tenth.
    pub entropy: f64,
    /// Passes over a rollout.
    pub epochs: u32,
    /// Minibatches per pass.
    pub minibatches: u32,
    /// Iterations between checkpoints.
    pub checkpoint_every: u32,
    /// Early stop of the paper; absent for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<EarlyStop>,
}

/// Early stop: mean reward per window above one threshold and its deviation over iterations below
/// a second (KARMA, λ and μ).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlyStop {
    /// λ.
    pub reward_above: f64,
    /// μ.
    pub deviation_below: f64,
    /// Iterations over which both are taken.
    pub over: u32,
}

/// Analysis (phase 3).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnalyzeSettings {
    /// Episodes played per context.
    pub episodes: u32,
}

/// Evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluateSettings {
    /// Paired, unseen seeds per context.
    pub seeds: u32,
    /// Most grid points of the calibrated HPA.
    pub grid: u32,
    /// Seeds that baselines are calibrated on.
    pub validation_seeds: u32,
    /// Most episodes of the search for the best constant policy, per context.
    pub constant_episodes: u32,
}

impl Default for Startup {
    fn default() -> Self {
        Self {
            median: Seconds(20.0),
            sigma: defaults::sigma(),
        }
    }
}

impl Default for Control {
    fn default() -> Self {
        Self {
            window: Seconds(15.0),
            scrape_interval: Seconds(5.0),
            scrape_lag: Seconds(1.0),
            scrape_loss: 0.01,
            drain: Seconds(30.0),
        }
    }
}

impl Default for Team {
    fn default() -> Self {
        let agent = |role: &str| Agent {
            name: role.to_owned(),
            role: format!("{role}_manager"),
        };
        Self {
            organization: None,
            agents: ["bottleneck", "ddos", "failure", "resource"]
                .map(agent)
                .to_vec(),
        }
    }
}

impl Default for RewardWeights {
    fn default() -> Self {
        Self {
            success: 0.2,
            healthy: 0.2,
            latency: 0.2,
            entries: 0.2,
            throughput: 0.2,
            cost: 0.0,
        }
    }
}

impl Default for TwinSettings {
    fn default() -> Self {
        Self {
            episodes: 48,
            members: 4,
            hidden: 64,
            layers: 2,
            epochs: 30,
        }
    }
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            iterations: 200,
            games: 128,
            steps: 60,
            hidden: 64,
            learning_rate: 1e-3,
            gamma: 0.97,
            gae_lambda: 0.95,
            clip: 0.2,
            entropy: 0.01,
            epochs: 4,
            minibatches: 4,
            checkpoint_every: 20,
            stop: None,
        }
    }
}

impl Default for AnalyzeSettings {
    fn default() -> Self {
        Self { episodes: 4 }
    }
}

impl Default for EvaluateSettings {
    fn default() -> Self {
        Self {
            seeds: 5,
            grid: 24,
            validation_seeds: 2,
            constant_episodes: 60,
        }
    }
}

/// Defaults that serde asks for by path.
mod defaults {
    use crate::units::Seconds;

    pub(super) fn seed() -> u64 {
        1
    }
    pub(super) fn one() -> f64 {
        1.0
    }
    pub(super) fn half() -> f64 {
        0.5
    }
    pub(super) fn count() -> u32 {
        1
    }
    pub(super) fn one_node() -> u32 {
        1
    }
    pub(super) fn concurrency() -> u32 {
        4
    }
    pub(super) fn queue() -> u32 {
        100
    }
    pub(super) fn sigma() -> f64 {
        0.3
    }
    pub(super) fn one_second() -> Seconds {
        Seconds(1.0)
    }
    pub(super) fn noise_memory() -> Seconds {
        Seconds(60.0)
    }
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
