//! Best responses: attackers trained from scratch against a team that stays as it is.

use std::{iter::once, sync::Arc};

use karma_cluster::{
    Encoder, Interrupted, Scenario, Watch, scenario::AdversarySettings, seed::derive_seed,
};
use karma_nn::Mlp;
use karma_twin::Twin;

use super::{Arsenal, AttackEnv, Attacker, Exploitability, Met, calm};
use crate::{
    Guides,
    error::{MarlError, Result},
    train::{
        Fault, Net, TwinEnv,
        mappo::{Mappo, Settings},
        play_greedily,
    },
};

/// Games that a team's value against one attacker is taken over, for an episode each.
const MEASURED_GAMES: usize = 64;

/// Name of their random stream.
const MEASURED: &str = "measured games";

/// Where a team and its attackers meet.
#[derive(Clone, Debug)]
pub struct Arena {
    twin: Twin,
    scenario: Scenario,
    guides: Guides,
    /// What attackers may do.
    arsenal: Arc<Arsenal>,
    settings: AdversarySettings,
    seed: u64,
    /// The games of every measurement, before their first window.
    measured: Vec<TwinEnv>,
}

impl Arena {
    /// Attackers of `scenario`'s team in `twin`.
    #[must_use]
    pub fn new(
        twin: &Twin,
        scenario: &Scenario,
        guides: &Guides,
        settings: &AdversarySettings,
        seed: u64,
    ) -> Self {
        let calm = calm(scenario);
        let measured = derive_seed(seed, MEASURED, 0);
        Self {
            measured: TwinEnv::parts(twin, &calm, guides, MEASURED_GAMES, measured),
            twin: twin.clone(),
            arsenal: Arc::new(Arsenal::new(scenario, settings)),
            scenario: calm,
            guides: guides.clone(),
            settings: *settings,
            seed,
        }
    }

    /// How many of `games` games are played against attackers, the last ones; neither none nor all.
    pub(in crate::train) fn share_of(&self, games: usize) -> usize {
        let attacked = (games as f64 * self.settings.share).round() as usize;
        attacked.max(1).min(games.saturating_sub(1))
    }

    pub(super) fn settings(&self) -> &AdversarySettings {
        &self.settings
    }

    /// Numbers that an attacker's network reads and gives, and the width of its hidden layers.
    pub(super) fn sizes(&self) -> (usize, usize, usize) {
        let state = Encoder::new(&self.scenario).width();
        // One flag, that of the only agent.
        let inputs = state + self.arsenal.width() + 1;
        let hidden = self.scenario.train.hidden as usize;
        (inputs, self.arsenal.heads().width(), hidden)
    }

    /// `games` games without anybody who attacks.
    pub(in crate::train) fn games(&self, games: usize, seed: u64) -> Vec<TwinEnv> {
        TwinEnv::parts(&self.twin, &self.scenario, &self.guides, games, seed)
    }

    /// `games` games against attackers drawn from `league`.
    pub(in crate::train) fn games_against(
        &self,
        league: &[Attacker],
        games: usize,
        seed: u64,
    ) -> Vec<TwinEnv> {
        self.attacked(self.games(games, seed), league, seed)
    }

    /// `games`, attacked by those that `seed` draws from `league`.
    fn attacked(&self, games: Vec<TwinEnv>, league: &[Attacker], seed: u64) -> Vec<TwinEnv> {
        let seed = derive_seed(seed, "attackers", 0);
        let against = |env: TwinEnv| env.against(Arc::clone(&self.arsenal), league.to_vec(), seed);
        games.into_iter().map(against).collect()
    }

    /// An attacker trained from scratch against `team`; `number` chooses its randomness.
    ///
    /// # Errors
    /// [`MarlError::Interrupted`] when `watch` asks to stop, [`MarlError::NotFinite`].
    pub fn respond(&self, team: &[Net], number: u64, watch: &dyn Watch) -> Result<Mlp> {
        self.respond_to_all(team, &[], number, watch)
    }

    /// The same against `team` in every other part of the games, and in the rest, where there are any,
    /// against `past` teams, so that what it learns is not about one of them alone.
    pub(super) fn respond_to_all(
        &self,
        team: &[Net],
        past: &[Vec<Net>],
        number: u64,
        watch: &dyn Watch,
    ) -> Result<Mlp> {
        let seed = derive_seed(self.seed, "attacker", number);
        let train = &self.scenario.train;
        let settings = Settings {
            iterations: self.settings.iterations,
            sharing: Vec::new(),
            recurrent: None,
            mask_loss: 0.0,
            flip_advantage: false,
            ..Settings::from(train)
        };
        let teams: Vec<Arc<Vec<Net>>> = once(team)
            .chain(past.iter().map(Vec::as_slice))
            .map(|team| Arc::new(team.to_vec()))
            .collect();
        let against = |(part, env): (usize, TwinEnv)| {
            let which = match part % 2 {
                1 if !past.is_empty() => 1 + (number as usize + part / 2) % past.len(),
                _ => 0,
            };
            AttackEnv::new(env, Arc::clone(&teams[which]), Arc::clone(&self.arsenal))
        };
        let games = self.games((train.games / 2).max(1) as usize, seed);
        let envs = games.into_iter().enumerate().map(against).collect();
        let mut mappo = Mappo::new(envs, settings, seed);
        for iteration in 0..self.settings.iterations {
            if watch.stopped() {
                return Err(Interrupted.into());
            }
            let played = mappo.iterate();
            let metrics = played.map_err(|fault| of_attacker(iteration, fault))?;
            let (done, total) = (
                u64::from(iteration) + 1,
                u64::from(self.settings.iterations),
            );
            let note = format!("team reward {:.4}", -metrics.reward);
            watch.progress("attacker", done, total, &note);
        }
        Ok(mappo.actors.swap_remove(0).mlp)
    }

    /// What `team`, playing greedily, is paid per window against `attacker`. All teams and attackers
    /// meet in the same games.
    ///
    /// # Errors
    /// [`MarlError::NotFinite`].
    pub fn value(&self, team: &[Net], attacker: &Attacker) -> Result<f64> {
        let seed = derive_seed(self.seed, MEASURED, 0);
        let league = std::slice::from_ref(attacker);
        let mut games = self.attacked(self.measured.clone(), league, seed);
        let windows = self.scenario.windows() as usize;
        play_greedily(&mut games, team, windows).map_err(|fault| of_attacker(0, fault))
    }
}

impl Arena {
    /// How `team` stands alone, against somebody random, and against `rival`, its best response.
    ///
    /// # Errors
    /// [`MarlError::NotFinite`].
    pub fn meet(&self, team: &[Net], iteration: u32, rival: &Mlp) -> Result<Met> {
        let rival = Attacker::Learned(Arc::new(rival.clone()));
        Ok(Met {
            iteration,
            nobody: self.value(team, &Attacker::Nobody)?,
            random: self.value(team, &Attacker::Random)?,
            best_response: self.value(team, &rival)?,
        })
    }

    /// Measures the team that training gave: a new best response, and the whole league.
    ///
    /// # Errors
    /// As [`Self::respond`].
    pub fn measure(
        &self,
        team: &[Net],
        iteration: u32,
        (joined, league): (&[Met], &[Arc<Mlp>]),
        watch: &dyn Watch,
    ) -> Result<Exploitability> {
        let rival = self.respond(team, league.len() as u64, watch)?;
        let after = self.meet(team, iteration, &rival)?;
        let league = league
            .iter()
            .map(|rival| self.value(team, &Attacker::Learned(Arc::clone(rival))))
            .collect::<Result<Vec<f64>>>()?;
        let all = league.iter().chain([&after.random, &after.best_response]);
        Ok(Exploitability {
            format: 1,
            joined: joined.to_vec(),
            worst: all.copied().fold(f64::INFINITY, f64::min),
            after,
            league,
        })
    }
}

fn of_attacker(iteration: u32, fault: Fault) -> MarlError {
    MarlError::NotFinite {
        iteration,
        step: fault.step,
        agent: "attacker".to_owned(),
        term: fault.term,
    }
}
