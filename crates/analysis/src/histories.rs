//! What each agent did, as sequences that can be compared.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use karma_cluster::action::{HOLD, change};
use karma_marl::{Trajectories, record::AgentStep};

/// Most rounds that are compared: distances grow with the square.
const MOST_ROUNDS: usize = 8;

/// One agent's choices over some episodes, one after another.
#[derive(Clone, Debug)]
pub(crate) struct History {
    /// The agent.
    pub(crate) agent: usize,
    /// The independent unit it comes from: an episode, or a round.
    pub(crate) unit: usize,
    /// The episodes, in order.
    pub(crate) episodes: Vec<usize>,
    /// Choices, windows × services.
    pub(crate) choices: Vec<u8>,
}

/// Which choices of an agent are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those made.
    Made,
    /// Those that the policy would have made without masks.
    Unmasked,
}

impl Which {
    fn of(self, step: &AgentStep) -> &[u8] {
        match self {
            Self::Made => &step.choices,
            Self::Unmasked => &step.unmasked,
        }
    }
}

/// Episodes that are analyzed together: one round plays every context once, so that a role is what
/// an agent does over all situations and not only in the one that calls for it.
pub(crate) fn rounds(trajectories: &Trajectories) -> Vec<Vec<usize>> {
    let mut by_context: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, episode) in trajectories.episodes.iter().enumerate() {
        by_context.entry(&episode.context).or_default().push(index);
    }
    let rounds = by_context.values().map(Vec::len).min().unwrap_or(0);
    (0..rounds.min(MOST_ROUNDS))
        .map(|round| by_context.values().map(|of| of[round]).collect())
        .collect()
}

/// One history per agent and unit, in canonical order: sorted by content, so that the order of
/// agents cannot reach a result.
pub(crate) fn histories(
    trajectories: &Trajectories,
    units: &[Vec<usize>],
    which: Which,
) -> Vec<History> {
    let mut all = Vec::new();
    for (unit, episodes) in units.iter().enumerate() {
        for agent in 0..trajectories.agents.len() {
            let choices = episodes
                .iter()
                .flat_map(|e| &trajectories.episodes[*e].windows)
                .flat_map(|window| which.of(&window.agents[agent]))
                .copied()
                .collect();
            all.push(History {
                agent,
                unit,
                episodes: episodes.clone(),
                choices,
            });
        }
    }
    all.sort_by(|a, b| (&a.choices, a.unit).cmp(&(&b.choices, b.unit)));
    all
}

impl History {
    /// Changes of replicas, windows × services.
    pub(crate) fn changes(&self) -> Vec<f32> {
        self.choices.iter().map(|c| change(*c) as f32).collect()
    }
}

/// What was done to the services in one window: lowered, left alone or raised.
pub(crate) type ActionLabel = Vec<Ordering>;

/// Histories as sequences of numbered action labels.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    /// One sequence per history.
    pub(crate) sequences: Vec<Vec<u16>>,
    /// What each number stands for.
    pub(crate) alphabet: Vec<ActionLabel>,
}

/// Action labels of each window, numbered in their order.
pub(crate) fn action_tokens(histories: &[History], services: usize) -> Tokens {
    let label = |window: &[u8]| -> ActionLabel { window.iter().map(|c| c.cmp(&HOLD)).collect() };
    let labels = |history: &History| -> Vec<ActionLabel> {
        history.choices.chunks_exact(services).map(label).collect()
    };
    let alphabet: BTreeSet<ActionLabel> = histories.iter().flat_map(labels).collect();
    let numbers: BTreeMap<_, u16> = alphabet.iter().cloned().zip(0..).collect();
    Tokens {
        sequences: histories
            .iter()
            .map(|history| labels(history).iter().map(|l| numbers[l]).collect())
            .collect(),
        alphabet: alphabet.into_iter().collect(),
    }
}
