//! Made-up teams of which it is known what they do.

use karma_cluster::{
    ServiceMetrics,
    action::{CHOICES, HOLD, index},
    seed::{Stream, derive},
};
use karma_marl::{
    Trajectories,
    record::{AgentStep, Episode, Step},
};
use rand::Rng;

pub(crate) const SERVICES: [&str; 3] = ["a", "b", "c"];
pub(crate) const ROLES: [&str; 3] = ["scaler", "guard", "saver"];
const LABELS: [&str; 4] = ["queue_high(c)", "surge", "idle(a)", "calm"];

/// What a team does: plays its roles, or anything at all.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Behavior {
    Planted,
    Noise,
}

/// Two contexts, some episodes of each, three agents.
pub(crate) fn team(behavior: Behavior, episodes: usize, seed: u64) -> Trajectories {
    let mut all = Vec::new();
    for context in ["flood", "calm"] {
        for number in 0..episodes {
            let mut rng = derive(seed, context, number as u64);
            all.push(episode(behavior, context, number as u64, &mut rng));
        }
    }
    Trajectories {
        services: SERVICES.map(str::to_owned).to_vec(),
        agents: ["x", "y", "z"].map(str::to_owned).to_vec(),
        roles: ROLES.map(str::to_owned).to_vec(),
        labels: LABELS.map(str::to_owned).to_vec(),
        width: 3,
        episodes: all,
    }
}

fn episode(behavior: Behavior, context: &str, seed: u64, rng: &mut Stream) -> Episode {
    // Lengths differ: distances must take it.
    let windows = 60 + rng.gen_range(0..12);
    let start = 20 + rng.gen_range(0..6);
    let surge = |t: usize| context == "flood" && (start..start + 15).contains(&t);
    let steps = (0..windows)
        .map(|t| {
            let queue = context == "flood" && (start + 2..start + 9).contains(&t);
            let idle = t > start + 20 && t.is_multiple_of(3);
            let labels = vec![queue, surge(t), idle, !surge(t) && !queue && !idle];
            let state = if surge(t) {
                2.0
            } else {
                f32::from(u8::from(idle))
            };
            Step {
                time_s: 15.0 * t as f64,
                observation: vec![state, state * 0.5, rng.gen_range(0.0..0.05)],
                metrics: vec![ServiceMetrics::MISSING; 3],
                labels: labels.clone(),
                desired: vec![1; 3],
                reward: if surge(t) { 0.5 } else { 1.0 } + rng.gen_range(0.0..0.01),
                agents: (0..3)
                    .map(|agent| agent_step(behavior, agent, &labels, rng))
                    .collect(),
            }
        })
        .collect();
    Episode {
        context: context.to_owned(),
        seed,
        windows: steps,
    }
}

fn agent_step(behavior: Behavior, agent: usize, labels: &[bool], rng: &mut Stream) -> AgentStep {
    let mut choices = vec![HOLD; 3];
    match behavior {
        Behavior::Noise => choices
            .iter_mut()
            .for_each(|c| *c = rng.gen_range(0..CHOICES as u8)),
        Behavior::Planted => match agent {
            0 if labels[0] && rng.gen_bool(0.9) => choices[2] = index(rng.gen_range(1..=3)),
            1 if labels[1] => choices[0..2].fill(index(2)),
            2 if labels[2] => choices[0] = index(-1),
            _ => {}
        },
    }
    AgentStep {
        unmasked: choices.clone(),
        choices,
        masks: vec![0x7f; 3],
        fired: labels[0] || labels[1],
        guide_reward: 0.0,
    }
}
