//! Finds settings of HPA on validation seeds: one choice for all contexts of a scenario, since
//! nobody knows the next disturbance when they write a HorizontalPodAutoscaler.

use karma_cluster::{Scenario, Watch};

use crate::{
    arena::{Ground, play, play_all},
    contender::{FlooredHpa, dashed},
    error::Result,
    objective::{Objective, Outcome},
    summary::Calibration,
};

/// CPU utilization targets of the grid, percent. 80 is Kubernetes' default.
const TARGETS_PCT: [u32; 4] = [80, 70, 55, 40];
/// Scale-down stabilizations of the grid. 300 is Kubernetes' default.
const STABILIZATIONS_S: [u32; 2] = [300, 60];
/// Floors of the grid, in percent of the initial replicas; never below the scenario's bounds.
const FLOORS_PCT: [u32; 3] = [0, 100, 150];

/// Grid points in a scrambled order, so that the first few already differ in everything. Coprime to
/// the number of points.
const STRIDE: usize = 7;

/// One point of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HpaPoint {
    target_pct: u32,
    stabilization_s: u32,
    floor_pct: u32,
}

impl HpaPoint {
    fn grid(points: usize) -> Vec<Self> {
        let mut all = Vec::new();
        for target_pct in TARGETS_PCT {
            for stabilization_s in STABILIZATIONS_S {
                for floor_pct in FLOORS_PCT {
                    all.push(Self {
                        target_pct,
                        stabilization_s,
                        floor_pct,
                    });
                }
            }
        }
        (0..points.clamp(1, all.len()))
            .map(|index| all[index * STRIDE % all.len()])
            .collect()
    }

    fn floor(self, scenario: &Scenario) -> Vec<u32> {
        scenario
            .initial_replicas()
            .iter()
            .zip(&scenario.services)
            .map(|(initial, service)| {
                (initial * self.floor_pct)
                    .div_ceil(100)
                    .clamp(service.replicas.min, service.replicas.max)
            })
            .collect()
    }

    pub(crate) fn controller(self, scenario: &Scenario) -> FlooredHpa {
        FlooredHpa::new(
            scenario,
            self.target_pct,
            self.stabilization_s,
            self.floor(scenario),
        )
    }

    pub(crate) fn describe(self, scenario: &Scenario) -> String {
        format!(
            "CPU {} %, scale-down after {} s, at least {}",
            self.target_pct,
            self.stabilization_s,
            dashed(&self.floor(scenario))
        )
    }
}

/// Tries the grid on the first validation seed of every context, and the best quarter of it on the
/// other seeds too; ties go to the point tried first, the default settings.
pub(crate) fn calibrate_hpa(
    grounds: &[Ground],
    objective: &Objective,
    seeds: &[u64],
    watch: &dyn Watch,
) -> Result<(HpaPoint, Calibration, u32)> {
    let scenario = &grounds[0].scenario;
    let grid = HpaPoint::grid(objective.hpa_points);
    let (first, rest) = seeds.split_at(1);
    let mut scores: Vec<Vec<f64>> = vec![Vec::new(); grid.len()];
    let mut episodes = 0;
    let mut stage = |points: &[usize], seeds: &[u64], scores: &mut [Vec<f64>]| -> Result<()> {
        let jobs: Vec<(usize, &Ground, u64)> = points
            .iter()
            .flat_map(|point| grounds.iter().map(move |ground| (*point, ground)))
            .flat_map(|(point, ground)| seeds.iter().map(move |seed| (point, ground, *seed)))
            .collect();
        let values = play_all(watch, "calibrate HPA", &jobs, |(point, ground, seed)| {
            let mut hpa = grid[*point].controller(&ground.scenario);
            let record = play(&ground.scenario, &mut hpa, *seed, watch)?;
            Ok(objective.value(Outcome::of(&record)))
        })?;
        for ((point, ..), value) in jobs.iter().zip(&values) {
            scores[*point].push(*value);
        }
        episodes += jobs.len() as u32;
        Ok(())
    };

    let every_point: Vec<usize> = (0..grid.len()).collect();
    stage(&every_point, first, &mut scores)?;
    let mut ranked = every_point;
    ranked.sort_by(|a, b| {
        mean(&scores[*b])
            .total_cmp(&mean(&scores[*a]))
            .then(a.cmp(b))
    });
    // The default settings come along, to say what calibration gained.
    let finalists = ranked.len().div_ceil(4);
    let mut finalists: Vec<usize> = ranked[..finalists].to_vec();
    if !finalists.contains(&0) {
        finalists.push(0);
    }
    if !rest.is_empty() {
        stage(&finalists, rest, &mut scores)?;
    }
    let best = finalists
        .iter()
        .copied()
        .min_by(|a, b| {
            mean(&scores[*b])
                .total_cmp(&mean(&scores[*a]))
                .then(a.cmp(b))
        })
        .unwrap_or(0);

    let point = grid[best];
    let calibration = Calibration {
        objective: objective.describe(),
        points: grid.len() as u32,
        target_utilization_pct: point.target_pct,
        down_stabilization_s: point.stabilization_s,
        floor: point.floor(scenario),
        value: mean(&scores[best]),
        default_value: mean(&scores[0]),
    };
    Ok((point, calibration, episodes))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_has_every_point_once_and_starts_with_the_defaults() {
        let grid = HpaPoint::grid(24);
        assert_eq!(grid.len(), 24);
        for (index, point) in grid.iter().enumerate() {
            assert!(!grid[..index].contains(point));
        }
        assert_eq!(
            grid[0],
            HpaPoint {
                target_pct: 80,
                stabilization_s: 300,
                floor_pct: 0
            }
        );
        let few = HpaPoint::grid(4);
        let targets: Vec<u32> = few.iter().map(|p| p.target_pct).collect();
        assert!(
            targets.windows(2).all(|pair| pair[0] != pair[1]),
            "{targets:?}"
        );
    }
}
