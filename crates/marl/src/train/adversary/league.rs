//! Attackers that join a team's games one after another.

use std::fmt::Debug;

use karma_cluster::{Watch, scenario::AdversarySettings};
use karma_nn::{Activation, Mlp, MlpShape};

use super::{Arena, Met};
use crate::{error::Result, train::Net};

/// Who trains opponents for a run.
pub trait Rivals: Debug + Send {
    /// Iterations before which another joins, in their order.
    fn due(&self) -> &[u32];

    /// Shape of their networks.
    fn shape(&self) -> MlpShape;

    /// The opponent of this number, trained from scratch against `team` as it is before `iteration` and
    /// as it was in the `past`, when others joined; and how the team stands then.
    ///
    /// # Errors
    /// [`MarlError::Interrupted`](crate::MarlError::Interrupted) when `watch` asks to stop,
    /// [`MarlError::NotFinite`](crate::MarlError::NotFinite).
    fn raise(
        &mut self,
        team: &[Net],
        past: &[Vec<Net>],
        at: (usize, u32),
        watch: &dyn Watch,
    ) -> Result<(Mlp, Met)>;
}

/// Best responses at even intervals of the team's training.
#[derive(Debug)]
pub struct League {
    arena: Arena,
    due: Vec<u32>,
}

impl League {
    /// So many as the arena's settings say in `iterations` of the team's training: the first part of it
    /// is against nobody who has learned, the last against all of them.
    #[must_use]
    pub fn new(arena: Arena, iterations: u32) -> Self {
        let attackers = u64::from(arena.settings().attackers);
        let joining = f64::from(iterations) * AdversarySettings::JOINING;
        let at = |number: u64| joining * number as f64 / attackers as f64;
        let mut due: Vec<u32> = (1..=attackers).map(|number| at(number) as u32).collect();
        due.dedup();
        due.retain(|at| *at > 0);
        Self { arena, due }
    }
}

impl Rivals for League {
    fn due(&self) -> &[u32] {
        &self.due
    }

    fn shape(&self) -> MlpShape {
        let (inputs, outputs, hidden) = self.arena.sizes();
        MlpShape {
            inputs,
            hidden: vec![hidden; 2],
            outputs,
            activation: Activation::Tanh,
            recurrent: false,
        }
    }

    fn raise(
        &mut self,
        team: &[Net],
        past: &[Vec<Net>],
        (number, iteration): (usize, u32),
        watch: &dyn Watch,
    ) -> Result<(Mlp, Met)> {
        let number = number as u64;
        let rival = self.arena.respond_to_all(team, past, number, watch)?;
        let met = self.arena.meet(team, iteration, &rival)?;
        Ok((rival, met))
    }
}
