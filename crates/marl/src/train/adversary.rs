//! The other side of the game: attackers that learn.
//!
//! The game is zero-sum: what the team is paid, the attacker loses. An attacker is one agent with a
//! MAPPO of its own, in [`AttackEnv`]: the twin's games against teams that stay as they are. What it may
//! do within the budget of an episode is its [`Arsenal`]. While a team trains, attackers are trained
//! from scratch one after another ([`League`]), each against the team as it then is and against what it
//! was when others joined; a share of the team's games is played against all of them so far
//! ([`TwinEnv::against`](super::TwinEnv::against)). That is fictitious play on both sides (Brown, 1951;
//! Heinrich et al., 2015; leagues: Vinyals et al., 2019).
//!
//! How safe a team is, [`Exploitability`] says: what it is paid against a best response that was trained
//! from scratch against this very team.

mod arena;
mod arsenal;

mod attack_env;
pub mod exploitability;
mod league;
mod opposition;

use std::sync::Arc;

use karma_cluster::Scenario;
use karma_nn::Mlp;

pub use arena::Arena;
pub use arsenal::{Arsenal, Attack};
pub use attack_env::AttackEnv;
pub use exploitability::{Exploitability, Met};
pub use league::{League, Rivals};
pub(super) use opposition::{Opposition, OppositionSnapshot};

/// Who attacks a game.
#[derive(Clone, Debug, PartialEq)]
pub enum Attacker {
    /// Nobody.
    Nobody,
    /// Somebody who does anything that is possible.
    Random,
    /// One who has learned; draws from its policy.
    Learned(Arc<Mlp>),
}

impl Attacker {
    /// Everybody that a team in training meets: somebody random, and those who have learned so far.
    #[must_use]
    pub fn league(learned: &[Arc<Mlp>]) -> Vec<Self> {
        let learned = learned.iter().cloned().map(Self::Learned);
        std::iter::once(Self::Random).chain(learned).collect()
    }
}

/// Where attackers play: `scenario` without its contexts and faults, so that they alone attack.
#[must_use]
pub fn calm(scenario: &Scenario) -> Scenario {
    let mut calm = scenario.clone();
    calm.contexts.clear();
    calm.faults.clear();
    calm.disturbance = None;
    calm
}
