//! Environments that count the time spent in them.

use std::cell::Cell;

use karma_marl::train::env::{Outcome, Sight, SnapshotError, VecEnv};
use karma_nn::Heads;

use crate::clock::Stopwatch;

/// An environment and the seconds that were spent in it.
#[derive(Debug)]
pub(super) struct Timed<E> {
    env: E,
    spent: Cell<f64>,
    masked: Cell<f64>,
}

impl<E: VecEnv> Timed<E> {
    pub(super) fn new(env: E) -> Self {
        Self {
            env,
            spent: Cell::new(0.0),
            masked: Cell::new(0.0),
        }
    }

    /// Seconds spent so far in all but masks.
    pub(super) fn seconds(&self) -> f64 {
        self.spent.get()
    }

    /// Seconds spent so far in masks.
    pub(super) fn mask_seconds(&self) -> f64 {
        self.masked.get()
    }
}

fn add(to: &Cell<f64>, clock: &Stopwatch) {
    to.set(to.get() + clock.seconds());
}

impl<E: VecEnv> VecEnv for Timed<E> {
    fn envs(&self) -> usize {
        self.env.envs()
    }

    fn agents(&self) -> usize {
        self.env.agents()
    }

    fn heads(&self) -> Heads {
        self.env.heads()
    }

    fn width(&self) -> usize {
        self.env.width()
    }

    fn sight(&self) -> Sight {
        self.env.sight()
    }

    fn observe(&self, states: &mut [f32], own: &mut [f32]) {
        let clock = Stopwatch::start();
        self.env.observe(states, own);
        add(&self.spent, &clock);
    }

    fn masks(&mut self, out: &mut [u8]) {
        let clock = Stopwatch::start();
        self.env.masks(out);
        add(&self.masked, &clock);
    }

    fn step(&mut self, choices: &[u8], outcome: &mut Outcome) {
        let clock = Stopwatch::start();
        self.env.step(choices, outcome);
        add(&self.spent, &clock);
    }

    fn reset_ended(&mut self) {
        let clock = Stopwatch::start();
        self.env.reset_ended();
        add(&self.spent, &clock);
    }

    fn snapshot(&self) -> Vec<u8> {
        self.env.snapshot()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        self.env.restore(snapshot)
    }
}
