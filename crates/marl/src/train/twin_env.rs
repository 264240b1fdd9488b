//! The twin's games as environments of the trainer.

use karma_cluster::{ActionSpace, Encoder, Scenario, action::CHOICES, reward::RewardModel};
use karma_nn::Heads;
use karma_twin::{Games, GamesSnapshot, Twin};
use rayon::prelude::*;
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

/// Games that one task of the pool takes.
const CHUNK: usize = 16;

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
        let (services, width) = (self.heads.heads, self.width());
        let (before, now) = (self.games.previous(), self.games.metrics());
        out.par_chunks_mut(CHUNK * width)
            .zip(before.par_chunks(CHUNK * services))
            .zip(now.par_chunks(CHUNK * services))
            .for_each(|((out, before), now)| {
                let games = before
                    .chunks_exact(services)
                    .zip(now.chunks_exact(services));
                for (out, (before, now)) in out.chunks_exact_mut(width).zip(games) {
                    self.encoder.encode(before, now, out);
                }
            });
    }

    fn masks(&mut self, out: &mut [u8]) {
        let (services, joint) = (self.heads.heads, self.agents() * self.heads.heads);
        let (guides, now) = (&self.guides, self.games.metrics());
        out.par_chunks_mut(CHUNK * joint)
            .zip(now.par_chunks(CHUNK * services))
            .zip(self.sides.par_chunks_mut(CHUNK))
            .for_each(|((out, now), sides)| {
                let games = now.chunks_exact(services).zip(sides);
                for (out, (now, side)) in out.chunks_exact_mut(joint).zip(games) {
                    guides.observe(&mut side.history, now, &mut side.guidance);
                    out.copy_from_slice(&side.guidance.masks);
                }
            });
    }

    fn step(&mut self, choices: &[u8], outcome: &mut Outcome) {
        let (services, agents) = (self.heads.heads, self.agents());
        let (guides, space) = (&self.guides, &self.space);
        self.desired.copy_from_slice(self.games.desired());
        self.desired
            .par_chunks_mut(CHUNK * services)
            .zip(choices.par_chunks(CHUNK * services * agents))
            .zip(self.sides.par_chunks_mut(CHUNK))
            .zip(outcome.extras.par_chunks_mut(CHUNK * agents))
            .for_each(|(((desired, choices), sides), extras)| {
                extras.fill(0.0);
                let games = desired
                    .chunks_exact_mut(services)
                    .zip(choices.chunks_exact(services * agents))
                    .zip(sides)
                    .zip(extras.chunks_exact_mut(agents));
                for (((desired, choices), side), extras) in games {
                    space.apply(choices, desired);
                    guides.reward(&mut side.history, choices, extras);
                }
            });
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
