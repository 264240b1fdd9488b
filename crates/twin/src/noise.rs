//! The randomness of a window: residuals as they were, not as a bell curve would have them.
//!
//! The network says how far its prediction may be off; in which direction, and how errors of one
//! service go together (a longer queue with a longer latency), is drawn from standardized residuals
//! of the training runs. Independent normal draws would be too wide in calm times, and would let a
//! queue grow without its latency.

use serde::{Deserialize, Serialize};

use crate::{data::Rows, dice::Dice, features::OUTPUTS, neural::Model};

/// Residuals kept of every service and regime.
const DRAWS: usize = 256;

/// Regimes by expected utilization: idle, busy, overloaded.
const REGIMES: usize = 3;

/// Fewest residuals of a regime; below, those of the whole service stand in.
const ENOUGH: usize = 64;

/// Standardized residuals further out are clipped.
const CLIP: f32 = 6.0;

/// Standardized residuals, `services × REGIMES × DRAWS`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Noise {
    pub(crate) draws: Vec<[f32; OUTPUTS]>,
}

/// Regime of an expected utilization.
#[inline]
pub(crate) fn regime(utilization: f32) -> usize {
    usize::from(utilization > 0.75) + usize::from(utilization > 1.0)
}

impl Noise {
    /// How many draws `services` services take.
    pub(crate) fn len_of(services: usize) -> usize {
        services * REGIMES * DRAWS
    }

    /// Takes residuals of `rows` as the members of `model` leave them.
    pub(crate) fn of(model: &Model, rows: &Rows) -> Self {
        let services = model.physics.plan.len();
        let residuals = standardized(model, rows);
        let mut groups: Vec<Vec<[f32; OUTPUTS]>> = vec![Vec::new(); services * REGIMES];
        for (row, residual) in residuals.iter().enumerate() {
            let service = usize::from(rows.service[row]);
            groups[service * REGIMES + usize::from(rows.regime[row])].push(*residual);
        }
        let mut draws = Vec::with_capacity(Self::len_of(services));
        for service in 0..services {
            let own = &groups[service * REGIMES..(service + 1) * REGIMES];
            let all: Vec<[f32; OUTPUTS]> = own.iter().flatten().copied().collect();
            for group in own {
                let from = if group.len() < ENOUGH { &all } else { group };
                // Evenly over the runs.
                draws.extend((0..DRAWS).map(|draw| {
                    from.get(draw * from.len() / DRAWS)
                        .copied()
                        .unwrap_or([0.0; OUTPUTS])
                }));
            }
        }
        Self { draws }
    }

    /// Draws the residuals of one service.
    #[inline]
    pub(crate) fn draw(
        &self,
        service: usize,
        utilization: f32,
        dice: &mut Dice,
    ) -> &[f32; OUTPUTS] {
        let group = service * REGIMES + regime(utilization);
        &self.draws[group * DRAWS + dice.bits() as usize % DRAWS]
    }
}

/// (target − mean) / deviation of every row, each by one member in turn.
fn standardized(model: &Model, rows: &Rows) -> Vec<[f32; OUTPUTS]> {
    let (inputs, outputs) = (model.inputs(), 2 * OUTPUTS);
    let x = model.standardized(rows);
    let mut scratch = karma_nn::Scratch::default();
    let mut by_member = Vec::new();
    for member in &model.members {
        let mut y = vec![0.0; rows.len() * outputs];
        member.forward(&x[..rows.len() * inputs], rows.len(), &mut scratch, &mut y);
        by_member.push(y);
    }
    (0..rows.len())
        .map(|row| {
            let y = &by_member[row % by_member.len()][row * outputs..(row + 1) * outputs];
            let scale = &model.scalers.residual[usize::from(rows.service[row])];
            std::array::from_fn(|k| {
                let deviation = Model::deviation(y[OUTPUTS + k]);
                let z = (rows.residuals[row][k] / scale[k] - y[k]) / deviation;
                if z.is_nan() {
                    0.0
                } else {
                    z.clamp(-CLIP, CLIP)
                }
            })
        })
        .collect()
}
