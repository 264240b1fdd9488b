//! The twin's games as environments of the trainer.

use std::sync::Arc;

use karma_cluster::{ActionSpace, Encoder, Scenario, action::CHOICES, reward::RewardModel};
use karma_nn::{Heads, Mlp};
use karma_twin::{Assault, Games, GamesSnapshot, Twin, game::CHUNK as LANES};
use serde::{Deserialize, Serialize};

use super::{
    adversary::{Arsenal, Attacker, Opposition, OppositionSnapshot},
    env::{Outcome, SnapshotError, VecEnv},
};
use crate::{Guides, ground::History};

/// Games of the twin, seen through the encoder, steered through guides, paid by the reward model.
#[derive(Clone, Debug)]
pub struct TwinEnv {
    games: Games,
    encoder: Encoder,
    guides: Guides,
    reward: RewardModel,
    space: ActionSpace,
    heads: Heads,
    /// What guides keep of the games, [`LANES`] of them in each.
    histories: Vec<History<LANES>>,
    desired: Vec<u32>,
    /// Who attacks, where somebody does beside the scenario.
    opposition: Option<Opposition>,
    /// What an attacker sees.
    states: Vec<f32>,
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    games: GamesSnapshot,
    histories: Vec<History<LANES>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opposition: Option<OppositionSnapshot>,
}

impl TwinEnv {
    /// `games` games of `scenario`'s training variants, in parts that play apart from one another.
    #[must_use]
    pub fn parts(
        twin: &Twin,
        scenario: &Scenario,
        guides: &Guides,
        games: usize,
        seed: u64,
    ) -> Vec<Self> {
        let parts = Games::new(twin, scenario, games, seed).split();
        let of = |games| Self::new(games, scenario, guides.clone());
        parts.into_iter().map(of).collect()
    }

    fn new(games: Games, scenario: &Scenario, guides: Guides) -> Self {
        Self {
            encoder: Encoder::new(scenario),
            histories: vec![guides.history(); games.games().div_ceil(LANES)],
            guides,
            reward: RewardModel::new(scenario),
            space: ActionSpace::new(scenario),
            heads: Heads {
                heads: scenario.services.len(),
                choices: CHOICES,
            },
            desired: vec![0; games.games() * scenario.services.len()],
            games,
            opposition: None,
            states: Vec::new(),
        }
    }

    /// The same games, each attacked by one of `league`, which is not empty.
    #[must_use]
    pub fn against(mut self, arsenal: Arc<Arsenal>, league: Vec<Attacker>, seed: u64) -> Self {
        self.opposition = Some(Opposition::new(&self.games, arsenal, league, seed));
        self
    }

    /// The games.
    pub(super) fn games(&self) -> &Games {
        &self.games
    }

    /// What is done to the services of every game in the next window.
    pub(super) fn assaults_mut(&mut self) -> &mut [Assault] {
        self.games.assaults_mut()
    }

    /// Writes the global state of one game.
    pub(super) fn observe_game(&self, game: usize, out: &mut [f32]) {
        let services = self.heads.heads;
        let span = game * services..(game + 1) * services;
        let (before, now) = (self.games.previous(), self.games.metrics());
        self.encoder.encode(&before[span.clone()], &now[span], out);
    }

    /// Lets those who attack choose what they do next.
    fn be_attacked(&mut self) {
        let Some(mut opposition) = self.opposition.take() else {
            return;
        };
        let mut states = std::mem::take(&mut self.states);
        states.resize(self.envs() * self.width(), 0.0);
        self.observe(&mut states, &mut []);
        opposition.attack(&mut self.games, &states);
        (self.states, self.opposition) = (states, Some(opposition));
    }
}

impl VecEnv for TwinEnv {
    fn envs(&self) -> usize {
        self.games.games()
    }

    fn agents(&self) -> usize {
        self.guides.agents()
    }

    fn heads(&self) -> Heads {
        self.heads
    }

    fn width(&self) -> usize {
        self.encoder.width()
    }

    fn observe(&self, out: &mut [f32], _: &mut [f32]) {
        for (game, out) in out.chunks_exact_mut(self.width()).enumerate() {
            self.observe_game(game, out);
        }
    }

    fn masks(&mut self, out: &mut [u8]) {
        let (services, joint) = (self.heads.heads, self.agents() * self.heads.heads);
        let now = self.games.metrics().chunks(LANES * services);
        let games = out.chunks_mut(LANES * joint).zip(now);
        for ((out, now), history) in games.zip(&mut self.histories) {
            self.guides.observe(history, now);
            self.guides.masks(history, out);
        }
    }

    fn step(&mut self, choices: &[u8], outcome: &mut Outcome) {
        let (services, agents) = (self.heads.heads, self.agents());
        self.desired.copy_from_slice(self.games.desired());
        outcome.extras.fill(0.0);
        let games = self.desired.chunks_exact_mut(services);
        for (desired, choices) in games.zip(choices.chunks_exact(services * agents)) {
            self.space.apply(choices, desired);
        }
        let choices = choices.chunks(LANES * services * agents);
        let games = outcome.extras.chunks_mut(LANES * agents).zip(choices);
        for ((extras, choices), history) in games.zip(&self.histories) {
            self.guides.reward(history, choices, extras);
        }
        self.be_attacked();
        self.games.step(&self.desired);
        let ended = self.games.ended();
        for (game, metrics) in self.games.metrics().chunks_exact(services).enumerate() {
            let reward = self.reward.of(metrics);
            outcome.rewards[game] = reward.total;
            outcome.terms[game] = [reward.resilience, reward.success, reward.pods];
            // An episode ends by its length only.
            outcome.truncated[game] = ended[game];
            outcome.terminated[game] = false;
        }
    }

    fn reset_ended(&mut self) {
        let ended = self.games.ended().to_vec();
        self.games.reset_ended();
        for (game, _) in ended.iter().enumerate().filter(|(_, ended)| **ended) {
            let history = &mut self.histories[game / LANES];
            self.guides.reset(history, game % LANES);
            if let Some(opposition) = &mut self.opposition {
                opposition.begin(&self.games, game);
            }
        }
    }

    fn face(&mut self, rivals: &[Arc<Mlp>]) {
        if let Some(opposition) = &mut self.opposition {
            opposition.face(&self.games, Attacker::league(rivals));
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        let snapshot = Snapshot {
            games: self.games.snapshot(),
            histories: self.histories.clone(),
            opposition: self.opposition.as_ref().map(Opposition::snapshot),
        };
        // Writing to memory fails on types that cannot be serialised only, and these can.
        rmp_serde::to_vec(&snapshot).unwrap_or_default()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        let snapshot: Snapshot =
            rmp_serde::from_slice(snapshot).map_err(|e| SnapshotError(e.to_string()))?;
        if snapshot.histories.len() != self.histories.len() {
            let (found, expected) = (snapshot.histories.len(), self.histories.len());
            return Err(SnapshotError(format!(
                "{found} times {LANES} games, expected {expected}"
            )));
        }
        self.games
            .restore(&snapshot.games)
            .map_err(|e| SnapshotError(e.to_string()))?;
        let fits = match (&mut self.opposition, snapshot.opposition) {
            (Some(opposition), Some(snapshot)) => opposition.restore(snapshot),
            (opposition, snapshot) => opposition.is_some() == snapshot.is_some(),
        };
        if !fits {
            return Err(SnapshotError("other attackers".to_owned()));
        }
        self.histories = snapshot.histories;
        Ok(())
    }
}
