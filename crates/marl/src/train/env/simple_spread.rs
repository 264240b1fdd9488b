//! MPE `simple_spread`: three agents cover three landmarks and keep out of each other's way.
//!
//! The dynamics of `MPE_simple_spread_v3` of `JaxMARL` 0.2.0 (Rutherford et al., 2023), after the
//! multi-agent particle environments (Lowe et al., 2017). A test holds them to golden steps of the
//! package.

use karma_cluster::seed::derive;
use karma_nn::Heads;
use rand::Rng;

use super::{Outcome, Sight, SnapshotError, VecEnv};

/// Agents, and landmarks.
pub const AGENTS: usize = 3;
/// Numbers that one agent sees: its velocity and position, landmarks and other agents relative to it,
/// and what they say, which is nothing.
pub const OBSERVATION: usize = 18;
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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct World {
    /// Positions of agents.
    pub agents: [Vector; AGENTS],
    /// Their velocities.
    pub velocities: [Vector; AGENTS],
    /// Positions of landmarks.
    pub landmarks: [Vector; AGENTS],
    /// Steps since the start of the episode.
    pub time: u32,
}

fn minus(a: Vector, b: Vector) -> Vector {
    [a[0] - b[0], a[1] - b[1]]
}

fn length(a: Vector) -> f32 {
    (a[0] * a[0] + a[1] * a[1]).sqrt()
}

impl World {
    /// Moves by one step of `actions`: 0 none, 1 left, 2 right, 3 down, 4 up.
    pub fn step(&mut self, actions: &[u8; AGENTS]) {
        let mut forces = actions.map(|action| match action {
            1 => [-FORCE, 0.0],
            2 => [FORCE, 0.0],
            3 => [0.0, -FORCE],
            4 => [0.0, FORCE],
            _ => [0.0; 2],
        });
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
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
        for (agent, force) in forces.iter().enumerate() {
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
        for (agent, out) in out.chunks_exact_mut(OBSERVATION).enumerate() {
            let at = self.agents[agent];
            out[..2].copy_from_slice(&self.velocities[agent]);
            out[2..4].copy_from_slice(&at);
            let others = (0..AGENTS).filter(|other| *other != agent);
            let seen = self
                .landmarks
                .into_iter()
                .chain(others.map(|o| self.agents[o]));
            for (out, seen) in out[4..14].chunks_exact_mut(2).zip(seen) {
                out.copy_from_slice(&minus(seen, at));
            }
            out[14..].fill(0.0);
        }
    }

    /// Half of what the team gets: minus the distance of every landmark to its nearest agent.
    #[must_use]
    pub fn coverage(&self) -> f32 {
        let nearest = |landmark: &Vector| {
            let distances = self.agents.map(|agent| length(minus(agent, *landmark)));
            distances.into_iter().fold(f32::INFINITY, f32::min)
        };
        -0.5 * self.landmarks.iter().map(nearest).sum::<f32>()
    }

    /// Half of what each agent gets: −1 for every other agent that it touches.
    #[must_use]
    pub fn collisions(&self) -> [f32; AGENTS] {
        let mut costs = [0.0; AGENTS];
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            if length(minus(self.agents[a], self.agents[b])) < CONTACT {
                costs[a] -= 0.5;
                costs[b] -= 0.5;
            }
        }
        costs
    }
}

/// Many worlds, restarted at the end of their episodes.
///
/// The global state is what all agents see, one after another. As the package and its trainers have
/// it, the time limit counts as a terminal state.
#[derive(Clone, Debug)]
pub struct SimpleSpread {
    worlds: Vec<World>,
    episodes: Vec<u32>,
    first: u64,
    seed: u64,
}

impl SimpleSpread {
    /// `envs` worlds in parts of at most `part`, each at the start of an episode.
    #[must_use]
    pub fn parts(envs: usize, part: usize, seed: u64) -> Vec<Self> {
        (0..envs)
            .step_by(part.max(1))
            .map(|first| {
                let count = (envs - first).min(part.max(1));
                let mut worlds = Self {
                    worlds: vec![
                        World {
                            time: STEPS,
                            ..World::default()
                        };
                        count
                    ],
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
        AGENTS
    }

    fn heads(&self) -> Heads {
        Heads {
            heads: 1,
            choices: 5,
        }
    }

    fn width(&self) -> usize {
        AGENTS * OBSERVATION
    }

    fn sight(&self) -> Sight {
        Sight::Own(OBSERVATION)
    }

    fn observe(&self, states: &mut [f32], own: &mut [f32]) {
        for (world, own) in self
            .worlds
            .iter()
            .zip(own.chunks_exact_mut(AGENTS * OBSERVATION))
        {
            world.observe(own);
        }
        states.copy_from_slice(own);
    }

    fn masks(&mut self, out: &mut [u8]) {
        out.fill(0b1_1111);
    }

    fn step(&mut self, choices: &[u8], outcome: &mut Outcome) {
        let steps = self.worlds.iter_mut().zip(choices.as_chunks::<AGENTS>().0);
        for (env, (world, actions)) in steps.enumerate() {
            world.step(actions);
            outcome.rewards[env] = world.coverage();
            outcome.extras[env * AGENTS..(env + 1) * AGENTS].copy_from_slice(&world.collisions());
            outcome.terminated[env] = world.time >= STEPS;
        }
    }

    fn reset_ended(&mut self) {
        let ended = self.worlds.iter_mut().zip(&mut self.episodes).enumerate();
        for (env, (world, episode)) in ended.filter(|(_, (world, _))| world.time >= STEPS) {
            let index = (self.first + env as u64) << 32 | u64::from(*episode);
            let mut stream = derive(self.seed, "simple_spread", index);
            let mut draw = || [(); AGENTS].map(|()| [(); 2].map(|()| stream.gen_range(-1.0..1.0)));
            *world = World {
                agents: draw(),
                landmarks: draw(),
                ..World::default()
            };
            *episode += 1;
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        let words = self
            .worlds
            .iter()
            .zip(&self.episodes)
            .flat_map(|(world, episode)| {
                let places = [world.agents, world.velocities, world.landmarks];
                let floats = places.into_iter().flatten().flatten().map(f32::to_bits);
                floats.chain([world.time, *episode]).collect::<Vec<_>>()
            });
        words.flat_map(u32::to_le_bytes).collect()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        const WORDS: usize = AGENTS * 6 + 2;
        let words: Vec<u32> = snapshot
            .as_chunks()
            .0
            .iter()
            .map(|bytes| u32::from_le_bytes(*bytes))
            .collect();
        if words.len() != self.worlds.len() * WORDS {
            return Err(SnapshotError("another number of worlds".to_owned()));
        }
        let worlds = self.worlds.iter_mut().zip(&mut self.episodes);
        for ((world, episode), words) in worlds.zip(words.as_chunks::<WORDS>().0) {
            let place = |kind: usize| {
                std::array::from_fn(|agent| {
                    std::array::from_fn(|axis| {
                        f32::from_bits(words[kind * AGENTS * 2 + agent * 2 + axis])
                    })
                })
            };
            *world = World {
                agents: place(0),
                velocities: place(1),
                landmarks: place(2),
                time: words[WORDS - 2],
            };
            *episode = words[WORDS - 1];
        }
        Ok(())
    }
}
