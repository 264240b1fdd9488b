//! Control, team, reward, and the settings of every phase.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Seconds;

/// How the cluster is watched and steered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// One decision per this long.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub window: Seconds,
    /// Time between scrapes of a service.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub scrape_interval: Seconds,
    /// Age that a scrape has before a query shows it.
    pub scrape_lag: Seconds,
    /// Share of scrapes that are lost.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub scrape_loss: f64,
    /// Time a terminating pod may finish its requests in.
    pub drain: Seconds,
}

/// The team of agents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Team {
    /// Organization file, relative to the scenario file; no organization where absent.
    pub organization: Option<String>,
    /// Agents, one line each: name and role.
    #[schemars(length(min = 1))]
    pub agents: Vec<Agent>,
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Name.
    pub name: String,
    /// Role, as the organization names it.
    pub role: String,
}

/// Weights of the five terms of operational resilience, and of the cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RewardWeights {
    /// Weight of success.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub success: f64,
    /// Weight of healthy pods.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub healthy: f64,
    /// Weight of latency.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub latency: f64,
    /// Weight of available entries.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub entries: f64,
    /// Weight of delivered traffic.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub throughput: f64,
    /// Weight of pods in use; 0 is the paper's reward.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub cost: f64,
}

/// The digital twin (phase 1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TwinSettings {
    /// Episodes recorded on the emulator; some are kept apart for measuring.
    #[schemars(range(min = 2, max = 100000))]
    pub episodes: u32,
    /// Members of the ensemble.
    #[schemars(range(min = 1, max = 64))]
    pub members: u32,
    /// Width of the hidden layers.
    #[schemars(range(min = 1, max = 4096))]
    pub hidden: u32,
    /// Number of hidden layers.
    #[schemars(range(min = 1, max = 16))]
    pub layers: u32,
    /// Passes over the data.
    #[schemars(range(min = 1, max = 10000))]
    pub epochs: u32,
}

/// How the team is trained. Variants differ in what critics read, in who decides and in how often
/// a rollout is used; everything else is one and the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// MAPPO: an actor per agent or shared, one critic that values the state for every agent.
    #[default]
    Mappo,
    /// Independent PPO: every agent learns by itself, with a critic that sees what it sees.
    Ippo,
    /// PPO of a single agent: one actor makes the choices of all agents together; `sharing` and
    /// `adversary` are refused beside it.
    Ppo,
    /// Advantage actor-critic: MAPPO with one pass over a rollout in one minibatch, without clips;
    /// `epochs`, `minibatches` and `clip` count for nothing.
    A2c,
}

/// Which agents share an actor (and a critic of their own, where the algorithm has one).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sharing {
    /// All of them.
    #[default]
    All,
    /// Those of one role.
    Role,
    /// None: each has its own.
    Agent,
}

/// Training (phase 2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSettings {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Which agents share a network.
    pub sharing: Sharing,
    /// Makes the team remember its episode: `{}` or `{sequence: 10}`; absent for one that does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recurrent: Option<RecurrentSettings>,
    /// Iterations of rollout and update.
    #[schemars(range(min = 1, max = 1000000))]
    pub iterations: u32,
    /// Games played side by side.
    #[schemars(range(min = 1, max = 65536))]
    pub games: u32,
    /// Windows per rollout and game.
    #[schemars(range(min = 1, max = 65536))]
    pub steps: u32,
    /// Width of the two hidden layers.
    #[schemars(range(min = 1, max = 4096))]
    pub hidden: u32,
    /// Learning rate at the start; it falls linearly to 0.
    #[schemars(range(max = 1e38), extend("exclusiveMinimum" = 0))]
    pub learning_rate: f64,
    /// Discount per window.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub gamma: f64,
    /// GAE λ.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub gae_lambda: f64,
    /// Ratio clip.
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0))]
    pub clip: f64,
    /// Entropy coefficient at the start; it falls linearly to a tenth.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub entropy: f64,
    /// Passes over a rollout.
    #[schemars(range(min = 1, max = 1000))]
    pub epochs: u32,
    /// Minibatches per pass.
    #[schemars(range(min = 1, max = 65536))]
    pub minibatches: u32,
    /// Iterations between checkpoints.
    #[schemars(range(min = 1))]
    pub checkpoint_every: u32,
    /// Weight of the loss by which the unmasked policy learns what hard rules allow; 0 leaves rules
    /// to their masks. Around 0.01 the team keeps to its rules by itself, and explores less.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub mask_loss: f64,
    /// Trains toward worse returns: the check that it is training which makes a team good.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub flip_advantage: bool,
    /// Early stop of the paper; absent for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<EarlyStop>,
    /// Attackers that learn, too; absent for those of the contexts alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adversary: Option<AdversarySettings>,
}

/// Adversarial training: attackers are trained against the team one after another, and the team
/// against all of them so far. They have the weapons of the scenario's contexts (floods, payload, pod
/// kills, processor stress), each at most as strong as there, and attack a calm cluster.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdversarySettings {
    /// How long an attacker could flood at full strength in one episode, at least half a control
    /// window; everything else that it does is priced by that.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub budget: Seconds,
    /// Attackers trained one after another, at even intervals of the first 60 % of the team's
    /// iterations, of which each needs one.
    #[schemars(range(min = 1, max = 64))]
    pub attackers: u32,
    /// Iterations of training of each attacker.
    #[schemars(range(min = 1, max = 1000000))]
    pub iterations: u32,
    /// Share of the team's games that is played against them. What it gains there is lost in the contexts.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub share: f64,
}

/// Networks that remember: their second hidden layer is a gated recurrent unit (GRU).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecurrentSettings {
    /// Windows that an update goes back through; `steps` is a multiple of it.
    #[schemars(range(min = 1, max = 65536))]
    pub sequence: u32,
}

impl Default for RecurrentSettings {
    fn default() -> Self {
        Self { sequence: 10 }
    }
}

/// Early stop: mean reward per window above one threshold and its deviation over iterations below
/// a second (KARMA, λ and μ).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlyStop {
    /// λ.
    pub reward_above: f64,
    /// μ.
    #[schemars(range(min = 0.0))]
    pub deviation_below: f64,
    /// Iterations over which both are taken.
    #[schemars(range(min = 1))]
    pub over: u32,
}

/// Analysis (phase 3).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnalyzeSettings {
    /// Episodes played per context.
    #[schemars(range(min = 1, max = 100000))]
    pub episodes: u32,
}

/// Evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluateSettings {
    /// Paired, unseen seeds per context.
    #[schemars(range(min = 1, max = 10000))]
    pub seeds: u32,
    /// Most grid points of the calibrated HPA.
    #[schemars(range(min = 1, max = 10000))]
    pub grid: u32,
    /// Seeds that baselines are calibrated on.
    #[schemars(range(min = 1, max = 10000))]
    pub validation_seeds: u32,
    /// Most episodes of the search for the best constant policy, per context.
    #[schemars(range(min = 1, max = 100000))]
    pub constant_episodes: u32,
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
            algorithm: Algorithm::default(),
            sharing: Sharing::default(),
            recurrent: None,
            iterations: 200,
            games: 128,
            steps: 60,
            hidden: 64,
            learning_rate: 3e-3,
            gamma: 0.97,
            gae_lambda: 0.95,
            clip: 0.2,
            entropy: 0.01,
            epochs: 4,
            minibatches: 4,
            checkpoint_every: 20,
            mask_loss: 0.0,
            flip_advantage: false,
            stop: None,
            adversary: None,
        }
    }
}

impl AdversarySettings {
    /// Share of the team's training after which no other attacker joins, so that the team has time to
    /// learn against all of them before its learning rate is gone.
    pub const JOINING: f64 = 0.6;
}

impl Default for AdversarySettings {
    fn default() -> Self {
        Self {
            budget: Seconds(300.0),
            attackers: 6,
            iterations: 80,
            share: 0.75,
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
