//! Grounding: what the words of an organization mean on a cluster.
//!
//! [`Guides`] gives the `moise` crate its vocabulary (subjects are services, features come from
//! [`ServiceMetrics`] and the scenario, actions are choices of a head) and evaluates the compiled
//! organization once per game and window. Which numbers make a queue high or a rate rising is said
//! by the organization file, not here; see [`vocabulary`] for the words it may use.

mod features;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use karma_cluster::{Scenario, ServiceMetrics, action::CHOICES};
use karma_moise::{Member, Organization, SpecFault, State};
use serde::{Deserialize, Serialize};

use features::Features;
pub use features::vocabulary;
pub use karma_moise::Guidance;

/// Why an organization cannot guide the team of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroundError {
    /// The organization does not fit the scenario; every fault with its key path.
    #[error("the organization does not fit the scenario: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Organization(Vec<SpecFault>),
}

/// The guides of a scenario's team. Cheap to clone and share, holds no state of any game.
#[derive(Clone, Debug)]
pub struct Guides {
    agents: usize,
    services: usize,
    compiled: Option<Arc<Compiled>>,
}

#[derive(Debug)]
struct Compiled {
    features: Features,
    guides: karma_moise::Guides,
}

/// What guides remember of one game; [`Guides::history`] makes one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    state: Option<State>,
    /// The numbers of the newest window; scratch, kept to spare an allocation per window.
    #[serde(skip)]
    numbers: Vec<f32>,
}

impl Guides {
    /// Compiles `organization` for the services and the team of `scenario`.
    ///
    /// # Errors
    /// [`GroundError`] with every fault of the organization.
    pub fn new(organization: &Organization, scenario: &Scenario) -> Result<Self, GroundError> {
        let team: Vec<Member> = scenario
            .team
            .agents
            .iter()
            .map(|agent| Member {
                name: agent.name.clone(),
                role: agent.role.clone(),
            })
            .collect();
        let guides = organization
            .compile(&vocabulary(scenario), &team)
            .map_err(GroundError::Organization)?;
        Ok(Self {
            compiled: Some(Arc::new(Compiled {
                features: Features::new(scenario),
                guides,
            })),
            ..Self::none(scenario)
        })
    }

    /// Guides that allow everything and pay nothing.
    #[must_use]
    pub fn none(scenario: &Scenario) -> Self {
        Self {
            agents: scenario.team.agents.len(),
            services: scenario.services.len(),
            compiled: None,
        }
    }

    /// Number of agents.
    #[must_use]
    pub fn agents(&self) -> usize {
        self.agents
    }

    /// Number of services, that is heads per agent.
    #[must_use]
    pub fn services(&self) -> usize {
        self.services
    }

    /// Names of the labels of [`Guidance::labels`], e.g. `queue_high(b)`.
    #[must_use]
    pub fn label_names(&self) -> &[String] {
        self.compiled
            .as_ref()
            .map_or(&[], |compiled| compiled.guides.label_names())
    }

    /// The memory of a game that has not started.
    #[must_use]
    pub fn history(&self) -> History {
        History {
            state: self.compiled.as_ref().map(|c| c.guides.state()),
            numbers: Vec::new(),
        }
    }

    /// Makes `history` that of a game that has not started.
    pub fn reset(&self, history: &mut History) {
        if let (Some(compiled), Some(state)) = (&self.compiled, &mut history.state) {
            compiled.guides.reset(state);
        }
    }

    /// Takes in the newest window and writes what is allowed now. Call once per window.
    ///
    /// # Panics
    /// If `now` does not have one entry per service.
    pub fn observe(&self, history: &mut History, now: &[ServiceMetrics], out: &mut Guidance) {
        assert_eq!(now.len(), self.services);
        match (&self.compiled, &mut history.state) {
            (Some(compiled), Some(state)) => {
                compiled.features.write(now, &mut history.numbers);
                compiled.guides.observe(state, &history.numbers, out);
            }
            _ => {
                out.masks.clear();
                out.masks
                    .resize(self.agents * self.services, ((1_u16 << CHOICES) - 1) as u8);
                out.fired.clear();
                out.fired.resize(self.agents, false);
                out.labels.clear();
                out.conflicts = 0;
            }
        }
    }

    /// Adds penalties and bonuses of the window last observed to `rewards` (one per agent), given
    /// the choices (agents × services) made in it. Call once per window, after
    /// [`Guides::observe`].
    ///
    /// # Panics
    /// If a length does not match.
    pub fn reward(&self, history: &mut History, choices: &[u8], rewards: &mut [f32]) {
        assert!(choices.len() == self.agents * self.services && rewards.len() == self.agents);
        if let (Some(compiled), Some(state)) = (&self.compiled, &history.state) {
            compiled.guides.reward(state, choices, rewards);
        }
    }
}
