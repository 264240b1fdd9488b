//! What an evaluation came to: `summary.json`.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    claim::Claim,
    metric::{EpisodeMetrics, Metric},
};

/// Who plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contender {
    /// The guarded team, as deployed.
    Team,
    /// Kubernetes' autoscaling/v2 defaults: CPU utilization 80, no `behavior`.
    HpaShipped,
    /// HPA with the best settings of a grid, found on validation seeds.
    HpaCalibrated,
    /// The replicas that the scenario starts with, unchanged.
    Static,
    /// The constant replicas with the best objective, found on validation seeds for each context.
    BestConstant,
    /// The constant replicas with the most success among those that spend no more pod-hours than
    /// the team, found on validation seeds for each context.
    AffordableConstant,
    /// No policy: maximum replicas on unlimited nodes, without start-up time.
    Bound,
}

impl Contender {
    /// Everyone, in the order of tables.
    pub const ALL: [Self; 7] = [
        Self::Team,
        Self::HpaShipped,
        Self::HpaCalibrated,
        Self::Static,
        Self::BestConstant,
        Self::AffordableConstant,
        Self::Bound,
    ];

    /// Key in files, e.g. `hpa_shipped`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::HpaShipped => "hpa_shipped",
            Self::HpaCalibrated => "hpa_calibrated",
            Self::Static => "static",
            Self::BestConstant => "best_constant",
            Self::AffordableConstant => "affordable_constant",
            Self::Bound => "bound",
        }
    }

    /// Name in tables.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Team => "KARMA team (guarded)",
            Self::HpaShipped => "HPA as shipped",
            Self::HpaCalibrated => "HPA calibrated",
            Self::Static => "static",
            Self::BestConstant => "best constant",
            Self::AffordableConstant => "best constant, no more pods",
            Self::Bound => "bound (no policy)",
        }
    }
}

/// Everything an evaluation says. Same scenario, team and seed give the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Version of this format; 1.
    pub format: u32,
    /// Name of the scenario.
    pub scenario: String,
    /// The run's seed.
    pub seed: u64,
    /// The unseen seeds that every controller met, in every context.
    pub seeds: Vec<u64>,
    /// Resamples behind every interval.
    pub resamples: u32,
    /// What users were promised: latency.
    pub slo_latency_ms: f64,
    /// When users give up.
    pub timeout_ms: f64,
    /// Length of one episode.
    pub duration_s: f64,
    /// Episodes played.
    pub episodes_played: EpisodeCounts,
    /// How the calibrated HPA was chosen.
    pub calibration: Calibration,
    /// Means over the contexts, resampled by seed: controllers that played in all of them, metrics
    /// that apply in all of them.
    pub overall: Vec<ControllerSummary>,
    /// One entry per context.
    pub contexts: Vec<ContextSummary>,
    /// One row per episode, for `episodes.parquet`.
    #[serde(skip)]
    pub episodes: Vec<EpisodeRow>,
}

/// Episodes played, by purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpisodeCounts {
    /// On the unseen seeds.
    pub evaluation: u32,
    /// To calibrate HPA.
    pub hpa_calibration: u32,
    /// To find constant policies.
    pub constant_search: u32,
}

/// How the calibrated HPA was chosen: one choice for all contexts of the scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What was maximized, in words.
    pub objective: String,
    /// Grid points tried.
    pub points: u32,
    /// CPU utilization target of the choice, percent.
    pub target_utilization_pct: u32,
    /// Scale-down stabilization of the choice.
    pub down_stabilization_s: u32,
    /// Least replicas of every service of the choice.
    pub floor: Vec<u32>,
    /// Objective of the choice on the validation seeds, mean over contexts.
    pub value: f64,
    /// Objective of the default settings (80 %, 300 s, the scenario's bounds) on the same seeds.
    pub default_value: f64,
}

/// Constant replicas and what they came to on the validation seeds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConstantPolicy {
    /// Replicas of every service.
    pub replicas: Vec<u32>,
    /// Success on the validation seeds.
    pub success_pct: f64,
    /// Mean pod-hours of an episode on the validation seeds.
    pub pod_hours: f64,
}

impl fmt::Display for ConstantPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, replicas) in self.replicas.iter().enumerate() {
            let separator = if index == 0 { "" } else { "-" };
            write!(f, "{separator}{replicas}")?;
        }
        Ok(())
    }
}

/// One context: every controller's numbers and one timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContextSummary {
    /// Name.
    pub name: String,
    /// The disturbance that availability and recovery are measured over.
    pub disturbance: Option<Span>,
    /// One entry per controller, in the order of [`Contender::ALL`].
    pub controllers: Vec<ControllerSummary>,
    /// The best constant policy.
    pub best_constant: ConstantPolicy,
    /// The best constant policy that spends no more pod-hours than the team.
    pub affordable_constant: Option<ConstantPolicy>,
    /// Constant policies tried that none beats in both success and pod-hours, cheapest first.
    pub constant_frontier: Vec<ConstantPolicy>,
    /// Whether the team is worth deploying here.
    pub claim: Option<Claim>,
    /// What happened in the first episode.
    pub timeline: Timeline,
}

impl ContextSummary {
    /// The entry of `contender`.
    #[must_use]
    pub fn controller(&self, contender: Contender) -> Option<&ControllerSummary> {
        self.controllers.iter().find(|c| c.contender == contender)
    }
}

/// One controller in one context.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ControllerSummary {
    /// Who.
    pub contender: Contender,
    /// Name in tables.
    pub title: String,
    /// What it is set to, in words; empty where there is nothing to say.
    pub settings: String,
    /// Means over the seeds. A metric that does not apply is absent.
    pub metrics: BTreeMap<Metric, Estimate>,
    /// Episodes that never recovered, so that their recovery counts as the rest of the episode.
    pub recovery_censored: u32,
    /// Paired differences to HPA as shipped.
    pub minus_hpa: BTreeMap<Metric, Estimate>,
    /// Paired differences to the team.
    pub minus_team: BTreeMap<Metric, Estimate>,
}

impl ControllerSummary {
    /// Whether the mean of `metric` is only a lower bound: a recovery that never came counts as the
    /// rest of its episode.
    #[must_use]
    pub fn is_lower_bound(&self, metric: Metric) -> bool {
        metric == Metric::RecoveryS && self.recovery_censored > 0
    }
}

/// A mean over seeds with its 95 % bootstrap interval; no interval from a single seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Mean.
    pub mean: f64,
    /// Lower end of the interval.
    pub low: Option<f64>,
    /// Upper end of the interval.
    pub high: Option<f64>,
}

impl Estimate {
    /// The estimate of the opposite difference.
    #[must_use]
    pub fn negated(self) -> Self {
        Self {
            mean: -self.mean,
            low: self.high.map(|high| -high),
            high: self.low.map(|low| -low),
        }
    }

    /// Whether the interval lies on one side of 0.
    #[must_use]
    pub fn excludes_zero(self) -> bool {
        self.low.is_some_and(|low| low > 0.0) || self.high.is_some_and(|high| high < 0.0)
    }
}

/// One episode of one controller.
#[derive(Clone, Debug, PartialEq)]
pub struct EpisodeRow {
    /// Context.
    pub context: String,
    /// Controller.
    pub contender: Contender,
    /// Number of the seed.
    pub index: u32,
    /// The seed.
    pub seed: u64,
    /// What it came to.
    pub metrics: EpisodeMetrics,
}

/// A span of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// First second.
    pub from_s: f64,
    /// Second after the last.
    pub to_s: f64,
}

/// What happened in one episode, window by window, for charts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// The seed of the episode.
    pub seed: u64,
    /// End of every window.
    pub time_s: Vec<f64>,
    /// Legitimate requests per second.
    pub legit_rps: Vec<f64>,
    /// Attack requests per second on top.
    pub attack_rps: Vec<f64>,
    /// When attack requests arrive.
    pub attacks: Vec<Span>,
    /// What users got, per controller.
    pub users: Vec<UserTrack>,
    /// One entry per service, in the order of the scenario.
    pub services: Vec<ServiceTimeline>,
}

/// What users got under one controller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserTrack {
    /// Who.
    pub contender: Contender,
    /// Success of the requests that arrived in the window.
    pub success_pct: Vec<Option<f64>>,
    /// End-to-end p95 of the window.
    pub p95_ms: Vec<Option<f64>>,
}

/// One service in one episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceTimeline {
    /// Name.
    pub name: String,
    /// One entry per controller.
    pub tracks: Vec<Track>,
}

/// One service under one controller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// Who.
    pub contender: Contender,
    /// Desired replicas.
    pub desired: Vec<Option<f64>>,
    /// Ready replicas.
    pub ready: Vec<Option<f64>>,
    /// Queued requests.
    pub queued: Vec<Option<f64>>,
    /// 95th percentile of the service's own latency, its calls included.
    pub p95_ms: Vec<Option<f64>>,
}

impl Summary {
    /// The comparison as text for a terminal.
    #[must_use]
    pub fn table(&self) -> String {
        crate::table::render(self)
    }
}
