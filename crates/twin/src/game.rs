//! The stochastic game: many clusters of the twin stepping together on plain arrays.

mod assault;
mod pool;
mod snapshot;

use std::{ops::Range, sync::Arc};

use karma_cluster::{Scenario, ServiceMetrics, seed};
use rayon::prelude::*;

pub use assault::Assault;
use pool::Pool;
pub(crate) use pool::arrive;
pub use snapshot::GamesSnapshot;

use crate::{
    dice::Dice,
    dynamics::{Dynamics, Frame, Scratch},
    episode::Episode,
    given::Given,
    lanes::LANES,
    model::Twin,
    neural::Model,
    plan::Nodes,
    pods::Pods,
};

/// Games that step together on one thread, side by side, and pass through one network. Fixed, so that
/// results do not depend on threads; small, so that as many threads as a machine has find some.
pub const CHUNK: usize = LANES;

/// Share of a window without scrapes from which on nothing was measured.
const BLIND: f32 = 0.6;

/// `n` independent games over the training variants of all contexts of a scenario.
///
/// Every game plays variants with one member of the ensemble; arrivals and disturbances are
/// exogenous. The first episode of each game starts at an instant of its own, so that games do not
/// end together. Same seed, same bytes, at any number of threads.
#[derive(Clone, Debug)]
pub struct Games {
    model: Arc<Model>,
    pool: Arc<Pool>,
    /// Number of the first game among all that share the pool.
    first: usize,
    state: State,
    /// What an attacker does during the next window, `games × services`.
    assaults: Vec<Assault>,
    rooms: Vec<Room>,
}

/// Everything that changes, game-major.
#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    /// What the twin knows.
    now: Vec<ServiceMetrics>,
    before: Vec<ServiceMetrics>,
    pods: Vec<Pods>,
    /// What is seen: the same unless scrapes bring nothing.
    shown: Vec<ServiceMetrics>,
    previous: Vec<ServiceMetrics>,
    desired: Vec<u32>,
    windows: Vec<u32>,
    contexts: Vec<u32>,
    variants: Vec<u32>,
    episodes: Vec<u32>,
    dice: Vec<Dice>,
    ended: Vec<bool>,
}

/// Buffers of one chunk.
#[derive(Clone, Debug, Default)]
struct Room {
    scratch: Scratch,
    given: Vec<Given>,
    inflow: Vec<f32>,
    nodes: Vec<Nodes>,
}

/// One chunk's part of the state.
struct Part<'a> {
    now: &'a mut [ServiceMetrics],
    before: &'a mut [ServiceMetrics],
    pods: &'a mut [Pods],
    shown: &'a mut [ServiceMetrics],
    previous: &'a mut [ServiceMetrics],
    desired: &'a mut [u32],
    asked: &'a [u32],
    assaults: &'a [Assault],
    windows: &'a mut [u32],
    contexts: &'a [u32],
    variants: &'a [u32],
    dice: &'a mut [Dice],
    ended: &'a mut [bool],
    members: &'a [u8],
    room: &'a mut Room,
}

impl Games {
    /// Prepares `n_games` games and their pool of variants, and starts the first episodes.
    ///
    /// # Panics
    /// If the twin was fitted to a scenario with other services.
    #[must_use]
    pub fn new(twin: &Twin, scenario: &Scenario, n_games: usize, seed: u64) -> Self {
        assert!(
            twin.fits(scenario).is_ok(),
            "the twin has the services of the scenario"
        );
        let pool = Arc::new(Pool::new(twin, scenario, n_games, seed));
        let cells = n_games * pool.services;
        let mut games = Self {
            model: Arc::clone(&twin.model),
            state: State {
                now: vec![ServiceMetrics::MISSING; cells],
                before: vec![ServiceMetrics::MISSING; cells],
                pods: vec![Pods::default(); cells],
                shown: vec![ServiceMetrics::MISSING; cells],
                previous: vec![ServiceMetrics::MISSING; cells],
                desired: vec![0; cells],
                windows: vec![0; n_games],
                contexts: vec![0; n_games],
                variants: vec![0; n_games],
                episodes: vec![0; n_games],
                dice: vec![Dice(0); n_games],
                ended: vec![true; n_games],
            },
            assaults: vec![Assault::default(); cells],
            rooms: vec![Room::default(); n_games.div_ceil(CHUNK)],
            first: 0,
            pool,
        };
        games.reset_ended();
        for game in 0..n_games {
            // In the middle of an episode, so that games do not end together.
            let windows = u64::from(games.pool.windows);
            let offset = seed::derive_seed(seed, "first window", game as u64) % windows;
            games.state.windows[game] = offset as u32;
        }
        games
    }

    /// The same games in parts that can be played apart from one another. Together they give what the
    /// whole would have given.
    #[must_use]
    pub fn split(self) -> Vec<Self> {
        (0..self.games())
            .step_by(CHUNK)
            .map(|from| {
                let games = from..self.games().min(from + CHUNK);
                let cells = games.start * self.services()..games.end * self.services();
                Self {
                    assaults: self.assaults[cells].to_vec(),
                    model: Arc::clone(&self.model),
                    pool: Arc::clone(&self.pool),
                    first: self.first + from,
                    state: self.state.part(games, self.pool.services),
                    rooms: vec![Room::default()],
                }
            })
            .collect()
    }

    /// Number of games.
    #[must_use]
    pub fn games(&self) -> usize {
        self.state.windows.len()
    }

    /// Number of services of each game.
    #[must_use]
    pub fn services(&self) -> usize {
        self.pool.services
    }

    /// What is seen now, `games × services`, game by game.
    #[must_use]
    pub fn metrics(&self) -> &[ServiceMetrics] {
        &self.state.shown
    }

    /// What was seen one window before; the same as [`Self::metrics`] in the first window.
    #[must_use]
    pub fn previous(&self) -> &[ServiceMetrics] {
        &self.state.previous
    }

    /// Current desired replicas, `games × services`.
    #[must_use]
    pub fn desired(&self) -> &[u32] {
        &self.state.desired
    }

    /// Windows since the start of each game's episode.
    #[must_use]
    pub fn windows(&self) -> &[u32] {
        &self.state.windows
    }

    /// Index of the context (order of `Scenario::in_every_context`) that each game plays.
    #[must_use]
    pub fn contexts(&self) -> &[u32] {
        &self.state.contexts
    }

    /// Games whose episode is over (cut off by its length, not lost).
    #[must_use]
    pub fn ended(&self) -> &[bool] {
        &self.state.ended
    }

    /// Share of its episode that has passed in `game`.
    #[must_use]
    pub fn elapsed(&self, game: usize) -> f32 {
        self.state.windows[game] as f32 / self.pool.windows as f32
    }

    /// A number of the episode that `game` plays, another for every game and episode of one seed.
    #[must_use]
    pub fn episode(&self, game: usize) -> u64 {
        ((self.first + game) as u64) << 32 | u64::from(self.state.episodes[game])
    }

    /// What an attacker does in the next windows, until it is changed: `games × services`.
    pub fn assaults_mut(&mut self) -> &mut [Assault] {
        &mut self.assaults
    }

    /// Asks for `desired` replicas (`games × services`) and lets one window pass in every game.
    /// Games that have ended must be reset first.
    ///
    /// # Panics
    /// If the length does not match.
    pub fn step(&mut self, desired: &[u32]) {
        assert_eq!(
            desired.len(),
            self.state.desired.len(),
            "desired replicas of every game and service"
        );
        let (model, pool) = (&*self.model, &*self.pool);
        let members = &pool.members[self.first..];
        let parts = self
            .state
            .parts(desired, &self.assaults, members, &mut self.rooms);
        parts
            .into_par_iter()
            .for_each(|mut part| part.step(model, pool));
    }

    /// Starts a new episode, with another variant, in every game that has ended.
    pub fn reset_ended(&mut self) {
        let services = self.pool.services;
        for game in 0..self.games() {
            if !self.state.ended[game] {
                continue;
            }
            let state = &mut self.state;
            let episode = state.episodes[game];
            let number = ((self.first + game) as u64) << 32 | u64::from(episode);
            let drawn = seed::derive_seed(self.pool.seed, "episode", number);
            let context = (self.first + game + episode as usize) % self.pool.contexts.len();
            state.contexts[game] = context as u32;
            state.variants[game] = (drawn % self.pool.contexts[context].len() as u64) as u32;
            state.episodes[game] += 1;
            state.windows[game] = 0;
            state.ended[game] = false;
            state.dice[game] = Dice(seed::derive_seed(drawn, "dice", 0));
            for (service, &initial) in self.pool.initial.iter().enumerate() {
                let at = game * services + service;
                let fresh = ServiceMetrics::started(initial as f32);
                state.desired[at] = initial;
                state.pods[at] = Pods::all_ready(initial as f32);
                for metrics in [
                    &mut state.now[at],
                    &mut state.before[at],
                    &mut state.shown[at],
                    &mut state.previous[at],
                ] {
                    *metrics = fresh;
                }
            }
        }
    }
}

impl State {
    /// The state of some of the games.
    fn part(&self, games: Range<usize>, services: usize) -> Self {
        let cells = games.start * services..games.end * services;
        Self {
            now: self.now[cells.clone()].to_vec(),
            before: self.before[cells.clone()].to_vec(),
            pods: self.pods[cells.clone()].to_vec(),
            shown: self.shown[cells.clone()].to_vec(),
            previous: self.previous[cells.clone()].to_vec(),
            desired: self.desired[cells].to_vec(),
            windows: self.windows[games.clone()].to_vec(),
            contexts: self.contexts[games.clone()].to_vec(),
            variants: self.variants[games.clone()].to_vec(),
            episodes: self.episodes[games.clone()].to_vec(),
            dice: self.dice[games.clone()].to_vec(),
            ended: self.ended[games].to_vec(),
        }
    }

    /// The state in chunks.
    fn parts<'a>(
        &'a mut self,
        asked: &'a [u32],
        assaults: &'a [Assault],
        members: &'a [u8],
        rooms: &'a mut [Room],
    ) -> Vec<Part<'a>> {
        let cells = CHUNK * (asked.len() / self.windows.len().max(1));
        let mut members = members[..self.windows.len()].chunks(CHUNK);
        let mut now = self.now.chunks_mut(cells);
        let mut before = self.before.chunks_mut(cells);
        let mut pods = self.pods.chunks_mut(cells);
        let mut shown = self.shown.chunks_mut(cells);
        let mut previous = self.previous.chunks_mut(cells);
        let mut desired = self.desired.chunks_mut(cells);
        let mut asked = asked.chunks(cells);
        let mut assaults = assaults.chunks(cells);
        let mut windows = self.windows.chunks_mut(CHUNK);
        let mut contexts = self.contexts.chunks(CHUNK);
        let mut variants = self.variants.chunks(CHUNK);
        let mut dice = self.dice.chunks_mut(CHUNK);
        let mut ended = self.ended.chunks_mut(CHUNK);
        rooms
            .iter_mut()
            .filter_map(|room| {
                Some(Part {
                    now: now.next()?,
                    before: before.next()?,
                    pods: pods.next()?,
                    shown: shown.next()?,
                    previous: previous.next()?,
                    desired: desired.next()?,
                    asked: asked.next()?,
                    assaults: assaults.next()?,
                    windows: windows.next()?,
                    contexts: contexts.next()?,
                    variants: variants.next()?,
                    dice: dice.next()?,
                    ended: ended.next()?,
                    members: members.next()?,
                    room,
                })
            })
            .collect()
    }
}

impl Part<'_> {
    fn episode<'p>(&self, pool: &'p Pool, game: usize) -> &'p Episode {
        &pool.contexts[self.contexts[game] as usize][self.variants[game] as usize]
    }

    fn step(&mut self, model: &Model, pool: &Pool) {
        let games = self.windows.len();
        self.room.fit(games, pool.services);
        for game in 0..games {
            self.prepare(model, pool, game);
        }
        let Room {
            scratch,
            given,
            inflow,
            nodes,
        } = &mut *self.room;
        model.advance(
            &mut Frame {
                now: self.now,
                before: self.before,
                pods: self.pods,
                desired: self.desired,
                given,
                inflow,
                nodes,
                dice: Some(self.dice),
                members: Some(self.members),
            },
            scratch,
        );
        self.previous.copy_from_slice(self.shown);
        for (at, (shown, now)) in self.shown.iter_mut().zip(&*self.now).enumerate() {
            *shown = if self.room.given[at].outage > BLIND {
                now.unscraped()
            } else {
                *now
            };
        }
        for (window, ended) in self.windows.iter_mut().zip(&mut *self.ended) {
            *window += 1;
            *ended = *window >= pool.windows;
        }
    }

    /// Gathers what comes to one game from outside.
    fn prepare(&mut self, model: &Model, pool: &Pool, game: usize) {
        let services = pool.services;
        let episode = self.episode(pool, game);
        let window = (self.windows[game] as usize).min(episode.windows - 1);
        let span = game * services..(game + 1) * services;
        let dice = &mut self.dice[game];
        let fails = episode.api_errors[window];
        for at in span.clone() {
            // A failed call leaves the replicas as they are.
            let asked = self.asked[at];
            if asked != self.desired[at] && !(fails > 0.0 && dice.uniform() < fails) {
                self.desired[at] = asked;
            }
        }
        let assaults = &self.assaults[span.clone()];
        let given = &mut self.room.given[span.clone()];
        given.copy_from_slice(episode.given(window));
        assault::add(assaults, episode.arrivals(window), given);
        self.room.nodes[game] = episode.nodes;
        arrive(
            model,
            episode,
            window,
            (&self.now[span.clone()], assaults),
            dice,
            &mut self.room.inflow[span],
        );
    }
}

impl Room {
    fn fit(&mut self, games: usize, services: usize) {
        if self.nodes.len() != games {
            let none = Nodes {
                count: 1.0,
                millicores: 0.0,
                mib: 0.0,
            };
            self.given.resize(games * services, Given::default());
            self.inflow.resize(games * services, 0.0);
            self.nodes.resize(games, none);
        }
    }
}
