//! Attackers in the games of a team that learns.

use std::sync::Arc;

use karma_cluster::seed::{derive, derive_seed};
use karma_nn::{Level, Scratch, categorical::Distributions};
use karma_twin::{Assault, Games};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{Arsenal, Attack, Attacker};

/// The attackers of a number of games: which one plays each, and how it stands.
#[derive(Clone, Debug)]
pub(in crate::train) struct Opposition {
    arsenal: Arc<Arsenal>,
    league: Vec<Attacker>,
    seed: u64,
    /// By game: the attacker's number in the league.
    who: Vec<u32>,
    attacks: Vec<Attack>,
    room: Room,
}

/// Buffers.
#[derive(Clone, Debug, Default)]
struct Room {
    games: Vec<usize>,
    rows: Vec<f32>,
    logits: Vec<f32>,
    masks: Vec<u8>,
    choices: Vec<u8>,
    uniform: Vec<f32>,
    of: Distributions,
    network: Scratch,
}

/// What changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::train) struct OppositionSnapshot {
    who: Vec<u32>,
    attacks: Vec<Attack>,
}

impl Opposition {
    /// Every game of `games` is attacked by one of `league`, drawn at the start of each episode.
    ///
    /// # Panics
    /// If the league is empty.
    pub(in crate::train) fn new(
        games: &Games,
        arsenal: Arc<Arsenal>,
        league: Vec<Attacker>,
        seed: u64,
    ) -> Self {
        let mut opposition = Self {
            who: vec![0; games.games()],
            attacks: vec![arsenal.begin(); games.games()],
            arsenal,
            league: Vec::new(),
            seed,
            room: Room::default(),
        };
        opposition.face(games, league);
        opposition
    }

    /// Draws from `league` from now on, games that are being played included: there, one attacker takes
    /// over what another has left.
    pub(in crate::train) fn face(&mut self, games: &Games, league: Vec<Attacker>) {
        assert!(!league.is_empty(), "somebody to play against");
        self.league = league;
        for game in 0..self.who.len() {
            self.draw(games, game);
        }
    }

    fn draw(&mut self, games: &Games, game: usize) {
        let drawn = derive_seed(self.seed, "attacker", games.episode(game));
        self.who[game] = (drawn % self.league.len() as u64) as u32;
    }

    /// Starts over in a game of `games` that has begun a new episode.
    pub(in crate::train) fn begin(&mut self, games: &Games, game: usize) {
        self.attacks[game] = self.arsenal.begin();
        self.draw(games, game);
    }

    /// Does in `games`, seen as `states` (games × width), what the attackers choose.
    pub(in crate::train) fn attack(&mut self, games: &mut Games, states: &[f32]) {
        games.assaults_mut().fill(Assault::default());
        for number in 0..self.league.len() {
            let of_this = (0..self.who.len()).filter(|game| self.who[*game] == number as u32);
            self.room.games.clear();
            self.room.games.extend(of_this);
            if !self.room.games.is_empty() && self.league[number] != Attacker::Nobody {
                self.gather(games, states);
                self.choose(number);
                self.strike(games);
            }
        }
    }

    /// Collects what is possible and seen in the games of one attacker, and numbers to draw by.
    fn gather(&mut self, games: &Games, states: &[f32]) {
        let (heads, width) = (self.arsenal.heads(), states.len() / self.who.len());
        let room = &mut self.room;
        room.masks.resize(room.games.len() * heads.heads, 0);
        room.uniform.clear();
        room.rows.clear();
        let masks = room.masks.chunks_exact_mut(heads.heads);
        for (mask, &game) in masks.zip(&room.games) {
            let attack = &self.attacks[game];
            self.arsenal.mask(attack, mask);
            let (episode, window) = (games.episode(game), games.windows()[game]);
            let seed = derive_seed(self.seed, "attack", episode);
            let mut stream = derive(seed, "window", u64::from(window));
            let drawn = (0..heads.heads).map(|_| stream.r#gen::<f32>());
            room.uniform.extend(drawn);
            let state = &states[game * width..(game + 1) * width];
            let elapsed = games.elapsed(game);
            push_row(&self.arsenal, state, (attack, elapsed), &mut room.rows);
        }
    }

    /// Draws what the attacker of this number does.
    fn choose(&mut self, number: usize) {
        let (heads, room) = (self.arsenal.heads(), &mut self.room);
        let count = room.games.len();
        room.logits.clear();
        room.logits.resize(count * heads.width(), 0.0);
        let mut level = Level::best();
        if let Attacker::Learned(policy) = &self.league[number] {
            policy.forward(&room.rows, count, &mut room.network, &mut room.logits);
            level = policy.level();
        }
        room.choices.resize(count * heads.heads, 0);
        heads.evaluate(level, &room.logits, &room.masks, &mut room.of);
        heads.sample(&room.of, &room.uniform, &mut room.choices);
    }

    /// Does it.
    fn strike(&mut self, games: &mut Games) {
        let (heads, services) = (self.arsenal.heads(), games.services());
        let assaults = games.assaults_mut();
        let choices = self.room.choices.chunks_exact(heads.heads);
        for (choices, &game) in choices.zip(&self.room.games) {
            let of_game = &mut assaults[game * services..(game + 1) * services];
            self.arsenal
                .apply(&mut self.attacks[game], choices, of_game);
        }
    }

    pub(in crate::train) fn snapshot(&self) -> OppositionSnapshot {
        OppositionSnapshot {
            who: self.who.clone(),
            attacks: self.attacks.clone(),
        }
    }

    /// Goes on from `snapshot`; false where it is of other games or of a larger league.
    pub(in crate::train) fn restore(&mut self, snapshot: OppositionSnapshot) -> bool {
        let OppositionSnapshot { who, attacks } = snapshot;
        let fits = who.len() == self.who.len()
            && attacks.len() == who.len()
            && who.iter().all(|of| (*of as usize) < self.league.len());
        if fits {
            (self.who, self.attacks) = (who, attacks);
        }
        fits
    }
}

/// Appends what an attacker's network reads: the state of the cluster, how the attack stands, and the
/// flag of the only agent.
fn push_row(
    arsenal: &Arsenal,
    state: &[f32],
    (attack, elapsed): (&Attack, f32),
    rows: &mut Vec<f32>,
) {
    rows.extend_from_slice(state);
    let from = rows.len();
    rows.resize(from + arsenal.width(), 0.0);
    arsenal.observe(attack, elapsed, &mut rows[from..]);
    rows.push(1.0);
}
