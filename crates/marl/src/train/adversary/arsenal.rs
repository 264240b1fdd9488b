//! What an attacker may do, and what it costs: the one place where its actions are bounded.
//!
//! The weapons are those of the scenario's contexts, each at most as strong as there, for that is what
//! the twin has seen: a flood of every entry in four levels with a payload of three (the paper's
//! attacker, KARMA §III: entry point, rate change −2…+2, payload none/low/high), a killed pod and
//! stressed processors of every service. One price holds them together: a window of flood costs its
//! level times the work of its requests, a kill and a window of stress so many levels of a flood.

use karma_cluster::{
    Scenario,
    scenario::{AdversarySettings, Effect},
};
use karma_nn::Heads;
use karma_twin::Assault;
use serde::{Deserialize, Serialize};

/// Levels of a flood; the highest is the strongest of the scenario.
const LEVELS: u8 = 4;

/// Choices of every head: changes of a level by −2…+2, three payloads, three things to do to a service.
const CHOICES: usize = 5;
/// The choice of a head of levels that changes nothing.
const KEEP: u8 = 2;
/// What a head of payloads offers.
const PAYLOADS: u8 = 3;
/// What is done to a service.
const KILL: u8 = 1;
const STRESS: u8 = 2;
/// Levels of a flood in one window that a killed pod costs: its replacement is missing for about two.
const KILL_PRICE: f32 = 2.0;
/// And a window of stressed processors of one service.
const STRESS_PRICE: f32 = 1.0;

/// What attackers of one scenario may do.
#[derive(Clone, Debug, PartialEq)]
pub struct Arsenal {
    entries: Vec<usize>,
    services: usize,
    /// Attack requests per legitimate one at the highest level; 0 for no flood.
    flood: f32,
    /// Work of an attack request at the highest payload.
    payload: f32,
    kills: bool,
    /// Share of a pod's rate that stress takes; 0 for no stress.
    stress: f32,
    /// What an episode's attacks may cost.
    budget: f32,
}

/// What an attacker has left in one game, and what it does there now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attack {
    left: f32,
    /// By entry.
    levels: Vec<u8>,
}

impl Arsenal {
    /// The weapons of `scenario`'s contexts, and the budget of `settings`.
    #[must_use]
    pub fn new(scenario: &Scenario, settings: &AdversarySettings) -> Self {
        let windows = settings.budget.seconds() / scenario.control.window.seconds();
        let mut arsenal = Self {
            entries: scenario.entries(),
            services: scenario.services.len(),
            flood: 0.0,
            payload: 1.0,
            kills: false,
            stress: 0.0,
            budget: windows as f32 * f32::from(LEVELS),
        };
        let contexts = scenario.in_every_context();
        for fault in contexts.iter().flat_map(|(_, context)| &context.faults) {
            match &fault.effect {
                Effect::DdosFlood {
                    factor, payload, ..
                } => {
                    arsenal.flood = arsenal.flood.max(*factor as f32 - 1.0);
                    arsenal.payload = arsenal.payload.max(*payload as f32);
                }
                Effect::YoYo { factor, .. } => {
                    arsenal.flood = arsenal.flood.max(*factor as f32 - 1.0);
                }
                Effect::PodKill { .. } => arsenal.kills = true,
                Effect::StressCpu { load, .. } => arsenal.stress = arsenal.stress.max(*load as f32),
                _ => {}
            }
        }
        arsenal
    }

    /// Whether there is nothing to attack with.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flood <= 0.0 && !self.kills && self.stress <= 0.0
    }

    /// Heads of the attacker: level and payload of every entry, then one per service.
    #[must_use]
    pub fn heads(&self) -> Heads {
        Heads {
            heads: 2 * self.entries.len() + self.services,
            choices: CHOICES,
        }
    }

    /// Numbers that tell an attacker how it stands.
    #[must_use]
    pub fn width(&self) -> usize {
        self.entries.len() + 2
    }

    /// The start of an episode.
    #[must_use]
    pub fn begin(&self) -> Attack {
        Attack {
            left: self.budget,
            levels: vec![0; self.entries.len()],
        }
    }

    /// Writes how `attack` stands: the level of every entry, the budget that is left, and the share of
    /// the episode that is `elapsed`, all in [0, 1].
    pub fn observe(&self, attack: &Attack, elapsed: f32, out: &mut [f32]) {
        let (levels, rest) = out.split_at_mut(self.entries.len());
        for (out, level) in levels.iter_mut().zip(&attack.levels) {
            *out = f32::from(*level) / f32::from(LEVELS);
        }
        rest.copy_from_slice(&[attack.left / self.budget.max(1.0), elapsed]);
    }

    /// Writes what is possible now, one byte per head, one bit per choice. Doing nothing always is.
    pub fn mask(&self, attack: &Attack, out: &mut [u8]) {
        let (entries, services) = out.split_at_mut(2 * self.entries.len());
        let most = if self.flood > 0.0 && attack.left >= 1.0 {
            LEVELS
        } else {
            0
        };
        let payloads = if self.payload > 1.0 { PAYLOADS } else { 1 };
        for (out, level) in entries.chunks_exact_mut(2).zip(&attack.levels) {
            out[0] = (0..CHOICES as u8)
                .filter(|choice| (KEEP..=KEEP + most).contains(&(level + choice)))
                .fold(1 << KEEP, |mask, choice| mask | 1 << choice);
            out[1] = (1 << payloads) - 1;
        }
        let kill = self.kills && attack.left >= KILL_PRICE;
        let stress = self.stress > 0.0 && attack.left >= STRESS_PRICE;
        services.fill(1 | u8::from(kill) << KILL | u8::from(stress) << STRESS);
    }

    /// Does what the budget pays for of `choices`, entries first: floods shrink to what is left, the
    /// rest is done or not. Writes what is done to every service.
    pub fn apply(&self, attack: &mut Attack, choices: &[u8], out: &mut [Assault]) {
        out.fill(Assault::default());
        let (entries, services) = choices.split_at(2 * self.entries.len());
        let entries = self.entries.iter().zip(entries.chunks_exact(2));
        for ((&service, choice), level) in entries.zip(&mut attack.levels) {
            let work = 1.0 + (self.payload - 1.0) * f32::from(choice[1]) / f32::from(PAYLOADS - 1);
            let wanted = (*level + choice[0]).saturating_sub(KEEP).min(LEVELS);
            *level = wanted.min((attack.left / work) as u8);
            attack.left -= f32::from(*level) * work;
            if *level > 0 {
                out[service].flood = self.flood * f32::from(*level) / f32::from(LEVELS);
                out[service].payload = work;
            }
        }
        for (choice, out) in services.iter().zip(out) {
            match *choice {
                KILL if attack.left >= KILL_PRICE => {
                    attack.left -= KILL_PRICE;
                    out.kills = 1.0;
                }
                STRESS if attack.left >= STRESS_PRICE => {
                    attack.left -= STRESS_PRICE;
                    out.cpu_stress = self.stress;
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
