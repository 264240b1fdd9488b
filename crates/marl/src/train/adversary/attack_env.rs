//! The twin's games as an attacker plays them, against a team that does not learn meanwhile.

use std::sync::Arc;

use karma_nn::Heads;
use serde::{Deserialize, Serialize};

use super::{Arsenal, Attack};
use crate::train::{
    Net, TwinEnv,
    env::{Outcome, SnapshotError, VecEnv},
    greedy::Greedy,
    states::States,
};

/// One agent, the attacker, that loses what the team is paid. The team plays greedily, as deployed.
#[derive(Clone, Debug)]
pub struct AttackEnv {
    team: TwinEnv,
    actors: Arc<Vec<Net>>,
    greedy: Greedy,
    arsenal: Arc<Arsenal>,
    attacks: Vec<Attack>,
    /// What the team's step gave.
    outcome: Outcome,
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    team: Vec<u8>,
    remembered: States,
    attacks: Vec<Attack>,
}

impl AttackEnv {
    /// The games of `team`, which plays with `actors`.
    #[must_use]
    pub fn new(team: TwinEnv, actors: Arc<Vec<Net>>, arsenal: Arc<Arsenal>) -> Self {
        Self {
            attacks: vec![arsenal.begin(); team.envs()],
            outcome: Outcome::new(team.envs(), team.agents()),
            greedy: Greedy::default(),
            team,
            actors,
            arsenal,
        }
    }
}

impl VecEnv for AttackEnv {
    fn envs(&self) -> usize {
        self.team.envs()
    }

    fn agents(&self) -> usize {
        1
    }

    fn heads(&self) -> Heads {
        self.arsenal.heads()
    }

    fn width(&self) -> usize {
        self.team.width() + self.arsenal.width()
    }

    fn observe(&self, out: &mut [f32], _: &mut [f32]) {
        let games = self.team.games();
        let of_game = out.chunks_exact_mut(self.width());
        for (game, (out, attack)) in of_game.zip(&self.attacks).enumerate() {
            let (state, stand) = out.split_at_mut(self.team.width());
            self.team.observe_game(game, state);
            self.arsenal.observe(attack, games.elapsed(game), stand);
        }
    }

    fn masks(&mut self, out: &mut [u8]) {
        let masks = out.chunks_exact_mut(self.arsenal.heads().heads);
        for (mask, attack) in masks.zip(&self.attacks) {
            self.arsenal.mask(attack, mask);
        }
    }

    fn step(&mut self, choices: &[u8], outcome: &mut Outcome) {
        // The team answers what it has seen, not what is done to it now: both move at once.
        let Ok(answers) = self.greedy.choose(&mut self.team, &self.actors, 0) else {
            // A team that has no answer is not worth attacking; the trainer stops at such a reward.
            outcome.rewards.fill(f32::NAN);
            return;
        };
        let services = self.team.games().services();
        let assaults = self.team.assaults_mut().chunks_exact_mut(services);
        let choices = choices.chunks_exact(self.arsenal.heads().heads);
        for ((attack, choices), assaults) in self.attacks.iter_mut().zip(choices).zip(assaults) {
            self.arsenal.apply(attack, choices, assaults);
        }
        self.team.step(answers, &mut self.outcome);
        self.greedy.forget(&self.outcome);
        for (reward, of_team) in outcome.rewards.iter_mut().zip(&self.outcome.rewards) {
            *reward = -of_team;
        }
        outcome.extras.fill(0.0);
        outcome.truncated.copy_from_slice(&self.outcome.truncated);
        outcome.terminated.copy_from_slice(&self.outcome.terminated);
        outcome.terms.copy_from_slice(&self.outcome.terms);
    }

    fn reset_ended(&mut self) {
        let ended = self.team.games().ended();
        for (attack, _) in self.attacks.iter_mut().zip(ended).filter(|(_, e)| **e) {
            *attack = self.arsenal.begin();
        }
        self.team.reset_ended();
    }

    fn snapshot(&self) -> Vec<u8> {
        let snapshot = Snapshot {
            team: self.team.snapshot(),
            remembered: self.greedy.states().clone(),
            attacks: self.attacks.clone(),
        };
        // Writing to memory fails on types that cannot be serialised only, and these can.
        rmp_serde::to_vec(&snapshot).unwrap_or_default()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        let Snapshot {
            team,
            remembered,
            attacks,
        } = rmp_serde::from_slice(snapshot).map_err(|e| SnapshotError(e.to_string()))?;
        if attacks.len() != self.attacks.len() {
            let (found, expected) = (attacks.len(), self.attacks.len());
            return Err(SnapshotError(format!("{found} games, expected {expected}")));
        }
        self.team.restore(&team)?;
        *self.greedy.states_mut() = remembered;
        self.attacks = attacks;
        Ok(())
    }
}
