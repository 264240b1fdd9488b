//! The default model: the queueing model, corrected by an ensemble of probabilistic networks.
//!
//! Services are predicted in the order in which traffic reaches them: what the callers of a service
//! are predicted to forward is its inflow. All games of a frame pass through a network together.

use karma_cluster::ServiceMetrics;
use karma_nn::Mlp;
use serde::{Deserialize, Serialize};

use crate::{
    dynamics::{Dynamics, Frame, Scratch},
    features::{self, FEATURES, OUTPUTS},
    noise::Noise,
    physics::{Physics, Prior, Situation, known},
    pods,
};

/// Standardized inputs are clipped here: further out the network has seen nothing.
const CLIP: f32 = 6.0;

/// Noise is clipped here: a normal tail in logarithms is a latency nobody ever saw.
const NOISE_CLIP: f32 = 2.5;

/// Bounds of the predicted logarithm of a variance.
pub(crate) const LOG_VARIANCE: (f32, f32) = (-9.0, 3.0);

/// Scalers, taken on the training runs alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scalers {
    /// Mean of every input.
    pub(crate) mean: Vec<f32>,
    /// One over its deviation.
    pub(crate) inverse: Vec<f32>,
    /// Deviation of every residual, `services × OUTPUTS`.
    pub(crate) residual: Vec<[f32; OUTPUTS]>,
}

/// A queueing model and what corrects it. Without members it is the queueing model alone.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) physics: Physics,
    pub(crate) scalers: Scalers,
    pub(crate) members: Vec<Mlp>,
    /// What is drawn around a prediction.
    pub(crate) noise: Noise,
}

impl Model {
    /// Inputs of the network.
    pub(crate) fn inputs(&self) -> usize {
        FEATURES + self.physics.plan.len()
    }

    /// Writes one standardized input row.
    #[inline]
    fn input(&self, service: usize, features: &mut [f32; FEATURES], out: &mut [f32]) {
        self.scalers.standardize(features);
        let (numbers, one_hot) = out.split_at_mut(FEATURES);
        numbers.copy_from_slice(features);
        one_hot.fill(0.0);
        one_hot[service] = 1.0;
    }

    /// Deviation that a raw output of the network stands for, in units of the residual's scale.
    #[inline]
    pub(crate) fn deviation(raw: f32) -> f32 {
        crate::math::exp(0.5 * raw.max(LOG_VARIANCE.0).min(LOG_VARIANCE.1))
    }

    /// Runs the rows in `scratch.x` through the members that the games play.
    fn run_networks(&self, members: Option<&[u8]>, rows: usize, scratch: &mut Scratch) {
        let (inputs, outputs) = (self.inputs(), 2 * OUTPUTS);
        let Scratch {
            x, y, y_member, nn, ..
        } = scratch;
        if let Some(members) = members {
            // Games that play the same member lie side by side.
            let mut from = 0;
            while from < rows {
                let member = members[from];
                let to = from
                    + members[from..rows]
                        .iter()
                        .take_while(|m| **m == member)
                        .count();
                self.members[usize::from(member)].forward(
                    &x[from * inputs..to * inputs],
                    to - from,
                    nn,
                    &mut y[from * outputs..to * outputs],
                );
                from = to;
            }
            return;
        }
        y[..rows * outputs].fill(0.0);
        let share = 1.0 / self.members.len() as f32;
        for member in &self.members {
            member.forward(
                &x[..rows * inputs],
                rows,
                nn,
                &mut y_member[..rows * outputs],
            );
            for (y, one) in y.iter_mut().zip(&y_member[..rows * outputs]) {
                *y += share * one;
            }
        }
    }

    /// Pods and priors of every game.
    fn expect(&self, frame: &mut Frame<'_>, scratch: &mut Scratch) {
        let plan = &self.physics.plan;
        let services = plan.len();
        let hazards: [pods::PodHazards; MAX_INLINE] =
            std::array::from_fn(|i| self.physics.services[i.min(services - 1)].hazards);
        let long: Vec<pods::PodHazards>;
        let hazards = if services <= MAX_INLINE {
            &hazards[..services]
        } else {
            long = self.physics.services.iter().map(|s| s.hazards).collect();
            &long
        };
        for game in 0..frame.nodes.len() {
            let span = game * services..(game + 1) * services;
            pods::advance(
                &plan.services,
                hazards,
                frame.nodes[game],
                &mut frame.pods[span.clone()],
                &frame.desired[span.clone()],
                &frame.given[span.clone()],
                frame.dice.as_deref_mut().map(|dice| &mut dice[game]),
                &mut scratch.changes[span.clone()],
            );
            for at in span.clone() {
                scratch.ready_at_start[at] = scratch.changes[at].ready_at_start;
            }
            let situation = situation(frame, &scratch.ready_at_start, game, services);
            let inflow = &frame.inflow[span.clone()];
            scratch.share[game] = self.physics.processor_share(&situation);
            self.physics
                .predict(&situation, inflow, &mut scratch.priors[span]);
        }
    }
}

/// Services whose hazards are kept on the stack.
const MAX_INLINE: usize = 16;

impl Scalers {
    /// Standardizes one row of inputs; what is missing becomes the mean.
    #[inline]
    pub(crate) fn standardize(&self, row: &mut [f32; FEATURES]) {
        let (mean, inverse) = (&self.mean[..FEATURES], &self.inverse[..FEATURES]);
        for i in 0..FEATURES {
            let z = (row[i] - mean[i]) * inverse[i];
            let z = if z.is_nan() { 0.0 } else { z };
            row[i] = z.clamp(-CLIP, CLIP);
        }
    }
}

impl Scratch {
    /// Makes room for `games` games of `model`.
    fn fit(&mut self, model: &Model, games: usize) {
        let services = model.physics.plan.len();
        let cells = games * services;
        if self.next.len() < cells || self.share.len() < games {
            self.next.resize(cells, ServiceMetrics::MISSING);
            self.priors.resize(cells, Prior::default());
            self.changes.resize(cells, pods::Change::default());
            self.ready_at_start.resize(cells, 0.0);
            self.forward.resize(cells, 0.0);
            self.expected.resize(cells, [0.0; OUTPUTS]);
            self.share.resize(games, 1.0);
            self.x.resize(games * model.inputs(), 0.0);
            self.y.resize(games * 2 * OUTPUTS, 0.0);
            self.y_member.resize(games * 2 * OUTPUTS, 0.0);
        }
    }
}

impl Dynamics for Model {
    fn advance(&self, frame: &mut Frame<'_>, scratch: &mut Scratch) {
        let services = self.physics.plan.len();
        let games = frame.nodes.len();
        let inputs = self.inputs();
        scratch.fit(self, games);
        self.expect(frame, scratch);
        for &service in &self.physics.plan.order {
            for game in 0..games {
                self.prepare(frame, scratch, game, service);
                let span = game * services..(game + 1) * services;
                let at = span.start + service;
                scratch.expected[at] = features::transformed_prior(&scratch.priors[at]);
                if !self.members.is_empty() {
                    let situation = situation(frame, &scratch.ready_at_start, game, services);
                    let mut features = features::of(
                        &self.physics,
                        service,
                        &situation,
                        &frame.before[at],
                        frame.desired[at] as f32,
                        &scratch.priors[span],
                        &scratch.expected[at],
                    );
                    let row = &mut scratch.x[game * inputs..(game + 1) * inputs];
                    self.input(service, &mut features, row);
                }
            }
            if !self.members.is_empty() {
                self.run_networks(frame.members, games, scratch);
            }
            for game in 0..games {
                self.finish(frame, scratch, game, service);
            }
        }
        frame.before.copy_from_slice(frame.now);
        frame.now.copy_from_slice(&scratch.next[..games * services]);
    }
}

/// One game of a frame as the queueing model reads it.
#[inline]
fn situation<'a>(
    frame: &'a Frame<'_>,
    ready_at_start: &'a [f32],
    game: usize,
    services: usize,
) -> Situation<'a> {
    let span = game * services..(game + 1) * services;
    Situation {
        now: &frame.now[span.clone()],
        pods: &frame.pods[span.clone()],
        ready_at_start: &ready_at_start[span.clone()],
        given: &frame.given[span],
        nodes: frame.nodes[game],
    }
}

impl Model {
    /// Renews the prior of a service from what its callers were predicted to forward.
    #[inline]
    fn prepare(&self, frame: &mut Frame<'_>, scratch: &mut Scratch, game: usize, service: usize) {
        let services = self.physics.plan.len();
        let span = game * services..(game + 1) * services;
        if !frame.inflow[span.start + service].is_nan() {
            return;
        }
        let mut noise = [0.0];
        if let Some(dice) = frame.dice.as_deref_mut() {
            dice[game].normal(&mut noise);
        }
        let s = situation(frame, &scratch.ready_at_start, game, services);
        let forward = &scratch.forward[span.clone()];
        let sent = self.physics.sent(&s, service, |caller| forward[caller]);
        let mut inflow = self.physics.correct_inflow(&s, service, sent);
        if let Some(model) = &self.physics.services[service].inflow {
            let z = noise[0].clamp(-NOISE_CLIP, NOISE_CLIP);
            inflow = (inflow + model.deviation * (1.0 + inflow).sqrt() * z).max(0.0);
        }
        let priors = &mut scratch.priors[span];
        self.physics
            .serve(&s, service, inflow, scratch.share[game], priors);
        self.physics.answer(&s, service, priors);
    }

    /// Turns the network's row of a game into the next metrics of a service.
    #[inline]
    fn finish(&self, frame: &mut Frame<'_>, scratch: &mut Scratch, game: usize, service: usize) {
        let services = self.physics.plan.len();
        let at = game * services + service;
        let prior = scratch.priors[at];
        let mut y = scratch.expected[at];
        if !self.members.is_empty() {
            let row = &scratch.y[game * 2 * OUTPUTS..(game + 1) * 2 * OUTPUTS];
            let mut noise = &[0.0; OUTPUTS];
            if let Some(dice) = frame.dice.as_deref_mut() {
                noise = self.noise.draw(service, prior.utilization, &mut dice[game]);
            }
            let scale = &self.scalers.residual[service];
            for k in 0..OUTPUTS {
                y[k] += scale[k] * (row[k] + Self::deviation(row[OUTPUTS + k]) * noise[k]);
            }
        }
        let s = situation(frame, &scratch.ready_at_start, game, services);
        let mut next = features::restore(&self.physics, service, &s, &prior, &y);
        let pods = &frame.pods[at];
        next.replicas_desired = frame.desired[at] as f32;
        next.replicas_ready = pods.ready;
        next.replicas_failed = pods.failed();
        next.replicas_pending = pods.pending();
        next.restarts = scratch.changes[at].restarts;
        scratch.next[at] = next;
        scratch.forward[at] =
            self.physics
                .forwarded(&prior, known(frame.now[at].queued, 0.0), next.queued);
    }
}
