//! The twin's games as environments of the trainer.

use karma_cluster::{ActionSpace, Encoder, Scenario, action::CHOICES, reward::RewardModel};
use karma_nn::Heads;
use karma_twin::{Games, GamesSnapshot, Twin};
use serde::{Deserialize, Serialize};

use super::env::{Outcome, SnapshotError, VecEnv};
use crate::{
    Guides,
    ground::{Guidance, History},
};

/// Games of the twin, seen through the encoder, steered through guides, paid by the reward model.
#[derive(Clone, Debug)]
pub struct TwinEnv {
    games: Games,
    encoder: Encoder,
    guides: Guides,
    reward: RewardModel,
    space: ActionSpace,
    heads: Heads,
    sides: Vec<Side>,
    desired: Vec<u32>,
}

/// What guides keep and say of one game.
#[derive(Clone, Debug)]
struct Side {
    history: History,
    guidance: Guidance,
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    games: GamesSnapshot,
    histories: Vec<History>,
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
        let side = Side {
            history: guides.history(),
            guidance: Guidance::default(),
        };
        Self {
            encoder: Encoder::new(scenario),
            guides,
            reward: RewardModel::new(scenario),
            space: ActionSpace::new(scenario),
            heads: Heads {
                heads: scenario.services.len(),
                choices: CHOICES,
            },
            sides: vec![side; games.games()],
            desired: vec![0; games.games() * scenario.services.len()],
            games,
        }
    }
}

impl VecEnv for TwinEnv {
    fn envs(&self) -> usize {
        self.sides.len()
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
        let services = self.heads.heads;
        let before = self.games.previous().chunks_exact(services);
        let now = self.games.metrics().chunks_exact(services);
        let games = out.chunks_exact_mut(self.width()).zip(before).zip(now);
        for ((out, before), now) in games {
            self.encoder.encode(before, now, out);
        }
    }

    fn masks(&mut self, out: &mut [u8]) {
        let (services, joint) = (self.heads.heads, self.agents() * self.heads.heads);
        let now = self.games.metrics().chunks_exact(services);
        let games = out.chunks_exact_mut(joint).zip(now).zip(&mut self.sides);
        for ((out, now), side) in games {
            self.guides
                .observe(&mut side.history, now, &mut side.guidance);
            out.copy_from_slice(&side.guidance.masks);
        }
    }

    fn step(&mut self, choices: &[u8], outcome: &mut Outcome) {
        let (services, agents) = (self.heads.heads, self.agents());
        self.desired.copy_from_slice(self.games.desired());
        outcome.extras.fill(0.0);
        let games = self
            .desired
            .chunks_exact_mut(services)
            .zip(choices.chunks_exact(services * agents))
            .zip(&mut self.sides)
            .zip(outcome.extras.chunks_exact_mut(agents));
        for (((desired, choices), side), extras) in games {
            self.space.apply(choices, desired);
            self.guides.reward(&mut side.history, choices, extras);
        }
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
        let ended = self.games.ended();
        for (side, _) in self
            .sides
            .iter_mut()
            .zip(ended)
            .filter(|(_, ended)| **ended)
        {
            self.guides.reset(&mut side.history);
        }
        self.games.reset_ended();
    }

    fn snapshot(&self) -> Vec<u8> {
        let snapshot = Snapshot {
            games: self.games.snapshot(),
            histories: self.sides.iter().map(|s| s.history.clone()).collect(),
        };
        // Writing to memory fails on types that cannot be serialised only, and these can.
        rmp_serde::to_vec(&snapshot).unwrap_or_default()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        let snapshot: Snapshot =
            rmp_serde::from_slice(snapshot).map_err(|e| SnapshotError(e.to_string()))?;
        if snapshot.histories.len() != self.sides.len() {
            return Err(SnapshotError(format!(
                "{} games, expected {}",
                snapshot.histories.len(),
                self.sides.len()
            )));
        }
        self.games
            .restore(&snapshot.games)
            .map_err(|e| SnapshotError(e.to_string()))?;
        for (side, history) in self.sides.iter_mut().zip(snapshot.histories) {
            side.history = history;
        }
        Ok(())
    }
}
