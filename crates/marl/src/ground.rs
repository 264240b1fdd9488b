//! Grounding: what the words of an organization mean on a cluster.
//!
//! [`Guides`] gives the `moise` crate its vocabulary (subjects are services, features come from
//! [`ServiceMetrics`] and the scenario, actions are choices of a head) and evaluates the compiled
//! organization once per game and window, of several games side by side. Which numbers make a queue
//! high or a rate rising is said by the organization file, not here; see [`vocabulary`] for the words
//! it may use.

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

/// Every choice of a head.
const ALL: u8 = ((1_u16 << CHOICES) - 1) as u8;

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

/// What guides remember of `L` games, side by side, and say of the newest window of each;
/// [`Guides::history`] makes one. A game's part does not depend on the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct History<const L: usize = 1> {
    state: Option<State<L>>,
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

    /// The memory of games that have not started.
    #[must_use]
    pub fn history<const L: usize>(&self) -> History<L> {
        History {
            state: self.compiled.as_ref().map(|c| c.guides.state()),
        }
    }

    /// Makes a game of `history` one that has not started.
    ///
    /// # Panics
    /// If there is no such game.
    pub fn reset<const L: usize>(&self, history: &mut History<L>, game: usize) {
        if let (Some(compiled), Some(state)) = (&self.compiled, &mut history.state) {
            compiled.guides.reset(state, game);
        }
    }

    /// Takes in the newest window of the first games, games × services: of as many as it has. Call
    /// once per window.
    ///
    /// # Panics
    /// If `now` is no whole number of games, or of more than there are.
    pub fn observe<const L: usize>(&self, history: &mut History<L>, now: &[ServiceMetrics]) {
        assert!(now.len().is_multiple_of(self.services) && now.len() <= L * self.services);
        if let (Some(compiled), Some(state)) = (&self.compiled, &mut history.state) {
            let Compiled { features, guides } = compiled.as_ref();
            features.write(now, guides.numbers(state));
            guides.observe(state);
        }
    }

    /// Writes what is allowed in the window last observed, games × agents × services: of as many
    /// games as `out` holds.
    ///
    /// # Panics
    /// If `out` is no whole number of games or of more than there are, or nothing was observed.
    pub fn masks<const L: usize>(&self, history: &History<L>, out: &mut [u8]) {
        match (&self.compiled, &history.state) {
            (Some(compiled), Some(state)) => compiled.guides.masks(state, out),
            _ => out.fill(ALL),
        }
    }

    /// Writes what guides say of the window last observed of one game.
    ///
    /// # Panics
    /// If there is no such game.
    pub fn guidance<const L: usize>(&self, history: &History<L>, game: usize, out: &mut Guidance) {
        match (&self.compiled, &history.state) {
            (Some(compiled), Some(state)) => compiled.guides.guidance(state, game, out),
            _ => {
                out.masks.clear();
                out.masks.resize(self.agents * self.services, ALL);
                out.fired.clear();
                out.fired.resize(self.agents, false);
                out.labels.clear();
                out.conflicts = 0;
            }
        }
    }

    /// Adds penalties and bonuses of the window last observed to `rewards` (games × agents), given
    /// the choices (games × agents × services) made in it: to as many games as `rewards` holds. Call
    /// once per window, after [`Guides::observe`].
    ///
    /// # Panics
    /// If a length does not match.
    pub fn reward<const L: usize>(
        &self,
        history: &History<L>,
        choices: &[u8],
        rewards: &mut [f32],
    ) {
        assert!(choices.len() == rewards.len() * self.services);
        if let (Some(compiled), Some(state)) = (&self.compiled, &history.state) {
            compiled.guides.reward(state, choices, rewards);
        }
    }
}
