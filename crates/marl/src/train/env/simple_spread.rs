//! MPE `simple_spread`: agents cover as many landmarks and keep out of each other's way.
//!
//! The dynamics of `MPE_simple_spread_v3` of `JaxMARL` 0.2.0 (Rutherford et al., 2023), after the
//! multi-agent particle environments (Lowe et al., 2017). A test holds them to golden steps of the
//! package, with three agents.

use karma_cluster::seed::derive;
use karma_nn::Heads;
use rand::Rng;

use super::{Outcome, Sight, SnapshotError, VecEnv};

/// Agents, and landmarks, of the task as it is published.
pub const AGENTS: usize = 3;
/// Steps of an episode: the package counts to 25 before it looks.
pub const STEPS: u32 = 26;

/// Seconds per step.
const DT: f32 = 0.1;
/// Share of the velocity that a step leaves.
const INERTIA: f32 = 0.75;
/// Force of an action, on a mass of 1.
const FORCE: f32 = 5.0;
/// Distance at which two agents touch.
const CONTACT: f32 = 0.3;
/// Stiffness of a contact.
const STIFFNESS: f32 = 100.0;
/// Depth over which a contact softens.
const MARGIN: f32 = 1e-3;

type Vector = [f32; 2];

/// Where everything is.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// Positions of agents.
    agents: Vec<Vector>,
    /// Their velocities.
    velocities: Vec<Vector>,
    /// Positions of as many landmarks.
    landmarks: Vec<Vector>,
    /// What pushed each agent in the newest step.
    forces: Vec<Vector>,
    /// Steps since the start of the episode.
    time: u32,
}

/// Numbers that one of `agents` agents sees: its velocity and position, landmarks and other agents
/// relative to it, and what they say, which is nothing.
#[must_use]
pub fn observation(agents: usize) -> usize {
    6 * agents
}

/// Every two of `agents` agents.
fn pairs(agents: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..agents).flat_map(move |a| (a + 1..agents).map(move |b| (a, b)))
}

fn minus(a: Vector, b: Vector) -> Vector {
    [a[0] - b[0], a[1] - b[1]]
}

fn length(a: Vector) -> f32 {
    (a[0] * a[0] + a[1] * a[1]).sqrt()
}

impl World {
    /// The start of an episode: agents at rest, as many landmarks.
    ///
    /// # Panics
    /// If there are not as many.
    #[must_use]
    pub fn new(agents: Vec<Vector>, landmarks: Vec<Vector>) -> Self {
        assert_eq!(agents.len(), landmarks.len(), "a landmark for each agent");
        let zeros = vec![[0.0; 2]; agents.len()];
        Self {
            agents,
            landmarks,
            velocities: zeros.clone(),
            forces: zeros,
            time: 0,
        }
    }

    /// Whether the episode is over.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.time >= STEPS
    }

    /// Moves by one step of `actions`: 0 none, 1 left, 2 right, 3 down, 4 up.
    ///
    /// # Panics
    /// If there is not one per agent.
    pub fn step(&mut self, actions: &[u8]) {
        assert_eq!(actions.len(), self.agents.len(), "an action for each agent");
        let forces = &mut self.forces;
        for (force, action) in forces.iter_mut().zip(actions) {
            *force = match action {
                1 => [-FORCE, 0.0],
                2 => [FORCE, 0.0],
                3 => [0.0, -FORCE],
                4 => [0.0, FORCE],
                _ => [0.0; 2],
            };
        }
        for (a, b) in pairs(actions.len()) {
            let apart = minus(self.agents[a], self.agents[b]);
            let distance = length(apart);
            // Softplus of the depth in margins; far outside it is nothing, far inside the depth.
            let depth = (CONTACT - distance) / MARGIN;
            if depth < -20.0 {
                continue;
            }
            let soft = depth.max(0.0) + (-depth.abs()).exp().ln_1p();
            let penetration = soft * MARGIN;
            for axis in 0..2 {
                let push = STIFFNESS * apart[axis] / distance * penetration;
                forces[a][axis] += push;
                forces[b][axis] -= push;
            }
        }
        for (agent, force) in self.forces.iter().enumerate() {
            for (axis, force) in force.iter().enumerate() {
                let velocity = &mut self.velocities[agent][axis];
                self.agents[agent][axis] += *velocity * DT;
                *velocity = *velocity * INERTIA + force * DT;
            }
        }
        self.time += 1;
    }

    /// What each agent sees, agent by agent.
    pub fn observe(&self, out: &mut [f32]) {
        let agents = self.agents.len();
        let seen = 4 * agents + 2;
        for (agent, out) in out.chunks_exact_mut(observation(agents)).enumerate() {
            let at = self.agents[agent];
            out[..2].copy_from_slice(&self.velocities[agent]);
            out[2..4].copy_from_slice(&at);
            let others = (0..agents).filter(|other| *other != agent);
            let places = self.landmarks.iter().chain(others.map(|o| &self.agents[o]));
            for (out, place) in out[4..seen].chunks_exact_mut(2).zip(places) {
                out.copy_from_slice(&minus(*place, at));
            }
            out[seen..].fill(0.0);
        }
    }

    /// Half of what the team gets: minus the distance of every landmark to its nearest agent.
    #[must_use]
    pub fn coverage(&self) -> f32 {
        let nearest = |landmark: &Vector| {
            let distances = self
                .agents
                .iter()
                .map(|agent| length(minus(*agent, *landmark)));
            distances.fold(f32::INFINITY, f32::min)
        };
        -0.5 * self.landmarks.iter().map(nearest).sum::<f32>()
    }

    /// Half of what each agent gets, into `costs`: −1 for every other agent that it touches.
    pub fn collisions(&self, costs: &mut [f32]) {
        costs.fill(0.0);
        for (a, b) in pairs(self.agents.len()) {
            if length(minus(self.agents[a], self.agents[b])) < CONTACT {
                costs[a] -= 0.5;
                costs[b] -= 0.5;
            }
        }
    }
}

/// Many worlds, restarted at the end of their episodes.
///
/// The global state is what all agents see, one after another. As the package and its trainers have
/// it, the time limit counts as a terminal state.
#[derive(Clone, Debug)]
pub struct SimpleSpread {
    agents: usize,
    worlds: Vec<World>,
    episodes: Vec<u32>,
    first: u64,
    seed: u64,
}

impl SimpleSpread {
    /// `envs` worlds of `agents` agents in parts of at most `part`, each at the start of an episode.
    ///
    /// # Panics
    /// If there are no agents.
    #[must_use]
    pub fn parts(agents: usize, envs: usize, part: usize, seed: u64) -> Vec<Self> {
        assert!(agents > 0, "a world has agents");
        let nowhere = vec![[0.0; 2]; agents];
        let over = World {
            time: STEPS,
            ..World::new(nowhere.clone(), nowhere)
        };
        (0..envs)
            .step_by(part.max(1))
            .map(|first| {
                let count = (envs - first).min(part.max(1));
                let mut worlds = Self {
                    agents,
                    worlds: vec![over.clone(); count],
                    episodes: vec![0; count],
                    first: first as u64,
                    seed,
                };
                worlds.reset_ended();
                worlds
            })
            .collect()
    }
}

impl VecEnv for SimpleSpread {
    fn envs(&self) -> usize {
        self.worlds.len()
    }

    fn agents(&self) -> usize {
        self.agents
    }

    fn heads(&self) -> Heads {
        Heads {
            heads: 1,
            choices: 5,
        }
    }

    fn width(&self) -> usize {
        self.agents * observation(self.agents)
    }

    fn sight(&self) -> Sight {
        Sight::Own(observation(self.agents))
    }

    fn observe(&self, states: &mut [f32], own: &mut [f32]) {
        for (world, own) in self.worlds.iter().zip(own.chunks_exact_mut(self.width())) {
            world.observe(own);
        }
        states.copy_from_slice(own);
    }

    fn masks(&mut self, out: &mut [u8]) {
        out.fill(0b1_1111);
    }

    fn step(&mut self, choices: &[u8], outcome: &mut Outcome) {
        let steps = self
            .worlds
            .iter_mut()
            .zip(choices.chunks_exact(self.agents));
        let extras = outcome.extras.chunks_exact_mut(self.agents);
        for (env, ((world, actions), costs)) in steps.zip(extras).enumerate() {
            world.step(actions);
            outcome.rewards[env] = world.coverage();
            world.collisions(costs);
            outcome.terminated[env] = world.has_ended();
        }
    }

    fn reset_ended(&mut self) {
        let ended = self.worlds.iter_mut().zip(&mut self.episodes).enumerate();
        for (env, (world, episode)) in ended.filter(|(_, (world, _))| world.has_ended()) {
            let index = (self.first + env as u64) << 32 | u64::from(*episode);
            let mut stream = derive(self.seed, "simple_spread", index);
            let mut draw = |places: &mut [Vector]| {
                let axes = places.iter_mut().flatten();
                axes.for_each(|axis| *axis = stream.gen_range(-1.0..1.0));
            };
            draw(&mut world.agents);
            draw(&mut world.landmarks);
            world.velocities.fill([0.0; 2]);
            world.time = 0;
            *episode += 1;
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        let words = self
            .worlds
            .iter()
            .zip(&self.episodes)
            .flat_map(|(world, episode)| {
                let places = [&world.agents, &world.velocities, &world.landmarks];
                let floats = places.into_iter().flatten().flatten();
                let words = floats.map(|value| value.to_bits());
                words.chain([world.time, *episode]).collect::<Vec<_>>()
            });
        words.flat_map(u32::to_le_bytes).collect()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        let per_world = self.agents * 6 + 2;
        let words: Vec<u32> = snapshot
            .as_chunks()
            .0
            .iter()
            .map(|bytes| u32::from_le_bytes(*bytes))
            .collect();
        if words.len() != self.worlds.len() * per_world {
            return Err(SnapshotError("another number of worlds".to_owned()));
        }
        let worlds = self.worlds.iter_mut().zip(&mut self.episodes);
        for ((world, episode), words) in worlds.zip(words.chunks_exact(per_world)) {
            let World {
                agents,
                velocities,
                landmarks,
                ..
            } = &mut *world;
            let axes = [agents, velocities, landmarks].into_iter().flatten();
            for (axis, word) in axes.flatten().zip(words) {
                *axis = f32::from_bits(*word);
            }
            world.time = words[per_world - 2];
            *episode = words[per_world - 1];
        }
        Ok(())
    }
}
