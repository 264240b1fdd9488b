//! What a team does on a cluster, written down: trajectories.

mod parquet;

use std::path::Path;

use karma_cluster::{Cluster, Controller, Scenario, ServiceMetrics, reward::RewardModel};

use crate::{Team, error::Result};

/// Episodes of one team.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trajectories {
    /// Services in order.
    pub services: Vec<String>,
    /// Names of the agents in order.
    pub agents: Vec<String>,
    /// Roles of the agents in order.
    pub roles: Vec<String>,
    /// Names of the labels in order.
    pub labels: Vec<String>,
    /// Numbers of an encoded observation.
    pub width: usize,
    /// The episodes.
    pub episodes: Vec<Episode>,
}

/// One episode.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Episode {
    /// Context of the scenario.
    pub context: String,
    /// Seed of the cluster.
    pub seed: u64,
    /// Windows in order.
    pub windows: Vec<Step>,
}

/// One window of an episode.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Seconds since the start.
    pub time_s: f64,
    /// The encoded observation that was decided on.
    pub observation: Vec<f32>,
    /// The metrics behind it.
    pub metrics: Vec<ServiceMetrics>,
    /// Which labels hold.
    pub labels: Vec<bool>,
    /// Desired replicas after the decision.
    pub desired: Vec<u32>,
    /// Team reward of the window after the decision; NaN where that window could not be observed.
    pub reward: f32,
    /// What each agent did.
    pub agents: Vec<AgentStep>,
}

/// What one agent did in one window; all per service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentStep {
    /// Choices made.
    pub choices: Vec<u8>,
    /// What would have been chosen without masks.
    pub unmasked: Vec<u8>,
    /// Allowed choices, one bit each.
    pub masks: Vec<u8>,
    /// Whether a guide of the agent fired.
    pub fired: bool,
    /// Penalties and bonuses of the agent's guides.
    pub guide_reward: f32,
}

impl Trajectories {
    /// No episodes yet of `team` in `scenario`.
    #[must_use]
    pub fn of(team: &Team, scenario: &Scenario) -> Self {
        let agents = &scenario.team.agents;
        Self {
            services: scenario.services.iter().map(|s| s.name.clone()).collect(),
            agents: agents.iter().map(|a| a.name.clone()).collect(),
            roles: agents.iter().map(|a| a.role.clone()).collect(),
            labels: team.guides().label_names().to_vec(),
            width: karma_cluster::Encoder::new(scenario).width(),
            episodes: Vec::new(),
        }
    }

    /// Appends the episodes of `other`.
    ///
    /// # Panics
    /// If services, agents or labels differ.
    pub fn extend(&mut self, other: Self) {
        if self.episodes.is_empty() {
            *self = other;
            return;
        }
        assert!(
            self.services == other.services
                && self.agents == other.agents
                && self.labels == other.labels,
            "trajectories of one team"
        );
        self.episodes.extend(other.episodes);
    }

    /// Writes one row per episode, window and agent.
    ///
    /// # Errors
    /// [`MarlError::Twin`](crate::MarlError::Twin) where the disk refuses.
    pub fn write_parquet(&self, path: &Path) -> Result<()> {
        parquet::write(self, path)
    }

    /// Reads what [`Self::write_parquet`] wrote.
    ///
    /// # Errors
    /// [`MarlError::Twin`](crate::MarlError::Twin) or [`MarlError::Broken`](crate::MarlError::Broken).
    pub fn read_parquet(path: &Path) -> Result<Self> {
        parquet::read(path)
    }
}

/// Plays `cluster` with `team` until its episode ends. `scenario` is one context of the team's
/// scenario; `context` and `seed` only label the episode.
///
/// A window in which the cluster cannot be observed is passed over: nothing is decided and nothing
/// written down. A write that fails leaves desired replicas as they are; the team sees it.
///
/// # Errors
/// [`MarlError::Cluster`](crate::MarlError::Cluster) when a service of the scenario does not exist.
pub fn record(
    cluster: &mut dyn Cluster,
    team: &mut Team,
    scenario: &Scenario,
    context: &str,
    seed: u64,
) -> Result<Trajectories> {
    let model = RewardModel::new(scenario);
    let mut episode = Episode {
        context: context.to_owned(),
        seed,
        windows: Vec::new(),
    };
    team.reset(scenario, seed);
    let mut desired = scenario.initial_replicas();
    // The step whose reward the next observation brings.
    let mut open: Option<Step> = None;
    let mut running = true;
    loop {
        let observed = cluster.observe();
        if let Some(mut step) = open.take() {
            step.reward = observed
                .as_ref()
                .map_or(f32::NAN, |o| model.of(&o.services).total);
            episode.windows.push(step);
        }
        if !running {
            break;
        }
        if let Ok(observation) = observed {
            for (desired, metrics) in desired.iter_mut().zip(&observation.services) {
                if metrics.replicas_desired.is_finite() {
                    *desired = metrics.replicas_desired as u32;
                }
            }
            team.decide(&observation, &mut desired);
            for (service, desired) in desired.iter().enumerate() {
                match cluster.scale(service, *desired) {
                    Ok(()) | Err(karma_cluster::ClusterError::Api { .. }) => {}
                    Err(fault) => return Err(fault.into()),
                }
            }
            open = Some(written_down(team, &observation, &desired));
        }
        running = cluster.advance();
    }
    let mut trajectories = Trajectories::of(team, scenario);
    trajectories.episodes.push(episode);
    Ok(trajectories)
}

/// The newest decision of `team` as a step whose reward is not known yet.
fn written_down(
    team: &mut Team,
    observation: &karma_cluster::Observation,
    desired: &[u32],
) -> Step {
    let agents = team.guides().agents();
    let mut rewards = vec![0.0; agents];
    team.guide_rewards(&mut rewards);
    let (last, services) = (&team.last, desired.len());
    let agents = rewards
        .into_iter()
        .enumerate()
        .map(|(agent, guide_reward)| {
            let own = agent * services..(agent + 1) * services;
            AgentStep {
                choices: last.choices[own.clone()].to_vec(),
                unmasked: last.unmasked[own.clone()].to_vec(),
                masks: last.guidance.masks[own].to_vec(),
                fired: last.guidance.fired[agent],
                guide_reward,
            }
        })
        .collect();
    Step {
        time_s: observation.time_s,
        observation: last.observation.clone(),
        metrics: observation.services.clone(),
        labels: last.guidance.labels.clone(),
        desired: desired.to_vec(),
        reward: f32::NAN,
        agents,
    }
}
