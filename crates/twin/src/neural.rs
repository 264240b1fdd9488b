//! The default model: the queueing model, corrected by an ensemble of probabilistic networks.
//!
//! Services are predicted in the order in which traffic reaches them: what the callers of a service
//! are predicted to forward is its inflow. Sixteen games of a frame pass through a network together.

use karma_cluster::ServiceMetrics;
use karma_nn::{Level, Mlp, kernel::Line};
use serde::{Deserialize, Serialize};

use crate::{
    block::{Block, Expect, Finish, Prepare},
    dynamics::{Dynamics, Frame, Scratch},
    features::{FEATURES, OUTPUTS},
    lanes::{Column, Instant, LANES, column},
    noise::Noise,
    physics::Physics,
    pods,
};

/// Standardized inputs are clipped here: further out the network has seen nothing.
const CLIP: f32 = 6.0;

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

    /// Deviation that a raw output of the network stands for, in units of the residual's scale.
    #[inline(always)]
    pub(crate) fn deviation(raw: f32) -> f32 {
        crate::math::exp(0.5 * raw.max(LOG_VARIANCE.0).min(LOG_VARIANCE.1))
    }

    /// Lines of one block's panels: what the network reads.
    fn panel_lines(&self) -> usize {
        self.inputs().div_ceil(LANES) * LANES
    }

    /// Runs what `scratch.x` holds of `games` games through the members that they play.
    fn run_networks(&self, members: Option<&[u8]>, games: usize, scratch: &mut Scratch) {
        let Scratch {
            x, y, y_member, nn, ..
        } = scratch;
        let blocks = x
            .chunks_exact(self.panel_lines())
            .zip(y.chunks_exact_mut(LANES))
            .zip((0..games).step_by(LANES));
        for ((x, y), first) in blocks {
            let count = LANES.min(games - first);
            if let Some(members) = members {
                // Games that play the same member lie side by side.
                let mut from = 0;
                for same in members[first..first + count].chunk_by(|a, b| a == b) {
                    let rows = from..from + same.len();
                    from = rows.end;
                    self.members[usize::from(same[0])].forward_panels(x, rows, nn, y);
                }
                continue;
            }
            y.fill(Line::ZERO);
            let share = 1.0 / self.members.len() as f32;
            for member in &self.members {
                member.forward_panels(x, 0..count, nn, y_member);
                for (y, one) in y.iter_mut().zip(&*y_member) {
                    for (y, one) in y.0.iter_mut().zip(one.0) {
                        *y += share * one;
                    }
                }
            }
        }
    }

    /// Pods of every game, and the blocks that the queueing model reads.
    fn gather(&self, frame: &mut Frame<'_>, scratch: &mut Scratch) {
        let plan = &self.physics.plan;
        let services = plan.len();
        for game in 0..frame.nodes.len() {
            let span = game * services..(game + 1) * services;
            pods::advance(
                &plan.services,
                self.physics.hazards(),
                frame.nodes[game],
                &mut frame.pods[span.clone()],
                &frame.desired[span.clone()],
                &frame.given[span.clone()],
                frame.dice.as_deref_mut().map(|dice| &mut dice[game]),
                &mut scratch.changes[span.clone()],
            );
            let (block, lane) = (&mut scratch.blocks[game / LANES], game % LANES);
            block.situation.set(
                lane,
                &Instant {
                    earlier: &frame.before[span.clone()],
                    now: &frame.now[span.clone()],
                    desired: &frame.desired[span.clone()],
                    given: &frame.given[span.clone()],
                    pods: &frame.pods[span.clone()],
                    changes: &scratch.changes[span.clone()],
                    nodes: frame.nodes[game],
                },
            );
            for (column, inflow) in block.inflow.iter_mut().zip(&frame.inflow[span]) {
                column[lane] = *inflow;
            }
        }
    }

    /// Draws what `service` receives beyond what was sent, in games where that is not measured.
    fn draw_inflow(frame: &mut Frame<'_>, blocks: &mut [Block], service: usize) {
        let Some(dice) = frame.dice.as_deref_mut() else {
            blocks.iter_mut().for_each(|b| b.normal = [0.0; LANES]);
            return;
        };
        for (block, dice) in blocks.iter_mut().zip(dice.chunks_mut(LANES)) {
            for (lane, dice) in dice.iter_mut().enumerate() {
                if block.inflow[service][lane].is_nan() {
                    let mut normal = [0.0];
                    dice.normal(&mut normal);
                    block.normal[lane] = normal[0];
                }
            }
        }
    }

    /// Draws the residuals of `service`.
    fn draw_residuals(&self, frame: &mut Frame<'_>, blocks: &mut [Block], service: usize) {
        let Some(dice) = frame.dice.as_deref_mut() else {
            let none = [[0.0; LANES]; OUTPUTS];
            blocks.iter_mut().for_each(|b| b.residuals = none);
            return;
        };
        for (block, dice) in blocks.iter_mut().zip(dice.chunks_mut(LANES)) {
            for (lane, dice) in dice.iter_mut().enumerate() {
                let utilization = block.utilization(service)[lane];
                let drawn = self.noise.draw(service, utilization, dice);
                for (column, z) in block.residuals.iter_mut().zip(drawn) {
                    column[lane] = *z;
                }
            }
        }
    }

    /// Writes what `service` shows after the window.
    fn scatter(&self, frame: &mut Frame<'_>, scratch: &Scratch, service: usize) {
        let services = self.physics.plan.len();
        for game in 0..frame.nodes.len() {
            let at = game * services + service;
            let (block, lane) = (&scratch.blocks[game / LANES], game % LANES);
            let pods = &block.situation.stations[service].pods;
            frame.now[at] = ServiceMetrics {
                replicas_desired: frame.desired[at] as f32,
                replicas_ready: pods.ready[lane],
                replicas_failed: pods.failed[lane],
                replicas_pending: pods.pending[lane],
                restarts: scratch.changes[at].restarts,
                ..block.next(service, lane)
            };
        }
    }
}

impl Scalers {
    /// Standardizes rows of inputs, one per lane; what is missing becomes the mean.
    #[inline(always)]
    pub(crate) fn standardize<const L: usize>(&self, rows: &mut [Column<L>; FEATURES]) {
        for ((x, mean), inverse) in rows.iter_mut().zip(&self.mean).zip(&self.inverse) {
            *x = column!(|i| {
                let z = (x[i] - mean) * inverse;
                let z = if z.is_nan() { 0.0 } else { z };
                z.clamp(-CLIP, CLIP)
            });
        }
    }
}

impl Scratch {
    /// Makes room for `games` games of `model`.
    fn fit(&mut self, model: &Model, games: usize) {
        let services = model.physics.plan.len();
        let (cells, blocks) = (games * services, games.div_ceil(LANES));
        if self.changes.len() < cells {
            self.changes.resize(cells, pods::Change::default());
        }
        self.x.resize(blocks * model.panel_lines(), Line::ZERO);
        self.y.resize(blocks * LANES, Line::ZERO);
        self.y_member.resize(LANES, Line::ZERO);
        self.blocks.retain(|block| block.services() == services);
        self.blocks.resize_with(blocks, || Block::new(services));
    }
}

impl Dynamics for Model {
    fn advance(&self, frame: &mut Frame<'_>, scratch: &mut Scratch) {
        let games = frame.nodes.len();
        let level = self.members.first().map_or_else(Level::best, Mlp::level);
        scratch.fit(self, games);
        self.gather(frame, scratch);
        frame.before.copy_from_slice(frame.now);
        for block in &mut scratch.blocks {
            level.run(Expect { model: self, block });
        }
        for &service in &self.physics.plan.order {
            Self::draw_inflow(frame, &mut scratch.blocks, service);
            let panels = scratch.x.chunks_exact_mut(self.panel_lines());
            for (block, x) in scratch.blocks.iter_mut().zip(panels) {
                level.run(Prepare {
                    model: self,
                    level,
                    service,
                    block,
                    x,
                });
            }
            if !self.members.is_empty() {
                self.run_networks(frame.members, games, scratch);
                self.draw_residuals(frame, &mut scratch.blocks, service);
            }
            let panels = scratch.y.as_chunks().0;
            for (block, y) in scratch.blocks.iter_mut().zip(panels) {
                level.run(Finish {
                    model: self,
                    level,
                    service,
                    block,
                    y,
                });
            }
            self.scatter(frame, scratch, service);
        }
    }
}
