//! A window of games in lanes: what the queueing model expects, what the network reads of it, and what
//! its answer comes to. Each step here is compiled once per instruction set.

use karma_cluster::ServiceMetrics;
use karma_nn::{
    Level,
    kernel::{Line, Work},
};

use crate::{
    features::{self, FEATURES, OUTPUTS, Restored},
    lanes::{Column, LANES as L, Situation, column},
    neural::Model,
    physics::{Prior, known},
};

/// Noise is clipped here: a normal tail in logarithms is a latency nobody ever saw.
const NOISE_CLIP: f32 = 2.5;

/// Games that go through a window together.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) situation: Situation<L>,
    /// Measured arrivals of every service; NaN where they follow from callers.
    pub(crate) inflow: Vec<Column<L>>,
    priors: Vec<Prior<L>>,
    /// [`crate::physics::Physics::processor_share`] and `requested_share`.
    share: Column<L>,
    requested: Column<L>,
    /// The prior of the service at hand in the space of residuals.
    expected: [Column<L>; OUTPUTS],
    /// What every service is predicted to forward.
    forward: Vec<Column<L>>,
    /// Standard normal numbers around what callers send to the service at hand.
    pub(crate) normal: Column<L>,
    /// Standardized residuals drawn for the service at hand.
    pub(crate) residuals: [Column<L>; OUTPUTS],
    /// The service at hand after the window.
    next: Restored<L>,
}

impl Block {
    pub(crate) fn new(services: usize) -> Self {
        Self {
            situation: Situation::idle(services),
            // A lane without a game follows nobody.
            inflow: vec![[0.0; L]; services],
            priors: vec![Prior::ZERO; services],
            share: [1.0; L],
            requested: [0.0; L],
            expected: [[0.0; L]; OUTPUTS],
            forward: vec![[0.0; L]; services],
            normal: [0.0; L],
            residuals: [[0.0; L]; OUTPUTS],
            next: Restored::ZERO,
        }
    }

    /// Number of services.
    pub(crate) fn services(&self) -> usize {
        self.priors.len()
    }

    /// Whether what reaches `service` follows from its callers in any game.
    pub(crate) fn follows(&self, service: usize) -> bool {
        self.inflow[service].iter().any(|inflow| inflow.is_nan())
    }

    /// Expected utilization of `service` in every game.
    pub(crate) fn utilization(&self, service: usize) -> &Column<L> {
        &self.priors[service].utilization
    }

    /// What `service` shows after the window in one game; counts of pods are the caller's.
    pub(crate) fn next(&self, service: usize, lane: usize) -> ServiceMetrics {
        ServiceMetrics {
            queued: self.next.queued[lane],
            cpu_millicores: self.next.cpu_millicores[lane],
            memory_mib: self.next.memory_mib[lane],
            in_rate_rps: self.priors[service].inflow[lane],
            out_rate_rps: self.next.out_rate_rps[lane],
            latency_p50_ms: self.next.latency_p50_ms[lane],
            latency_p95_ms: self.next.latency_p95_ms[lane],
            latency_p99_ms: self.next.latency_p99_ms[lane],
            errors_ps: self.next.errors_ps[lane],
            ..ServiceMetrics::MISSING
        }
    }
}

/// The queueing model's prediction of all services.
pub(crate) struct Expect<'a> {
    pub(crate) model: &'a Model,
    pub(crate) block: &'a mut Block,
}

impl Work for Expect<'_> {
    #[inline(always)]
    fn run(self) {
        let (physics, block) = (&self.model.physics, self.block);
        block.share = physics.processor_share(&block.situation);
        block.requested = physics.requested_share(&block.situation);
        physics.predict(
            &block.situation,
            &block.share,
            &block.inflow,
            &mut block.priors,
        );
    }
}

/// Renews the prior of a service from what its callers were predicted to forward, and writes what
/// the network reads of every game into the panels `x`.
pub(crate) struct Prepare<'a> {
    pub(crate) model: &'a Model,
    pub(crate) level: Level,
    pub(crate) service: usize,
    pub(crate) block: &'a mut Block,
    pub(crate) x: &'a mut [Line],
}

impl Work for Prepare<'_> {
    #[inline(always)]
    fn run(self) {
        let (physics, service, block) = (&self.model.physics, self.service, self.block);
        let s = &block.situation;
        if block.follows(service) {
            let sent = physics.sent(s, service, |caller| &block.forward[caller]);
            let mut called = physics.correct_inflow(s, service, &sent);
            if let Some(model) = &physics.services[service].inflow {
                called = column!(|i| {
                    let z = block.normal[i].clamp(-NOISE_CLIP, NOISE_CLIP);
                    (called[i] + model.deviation * (1.0 + called[i]).sqrt() * z).max(0.0)
                });
            }
            let measured = &block.inflow[service];
            let arriving = column!(|i| known(measured[i], called[i]));
            physics.serve(s, service, &arriving, &block.share, &mut block.priors);
            physics.answer(s, service, &mut block.priors);
        }
        block.expected = features::transformed_prior(&block.priors[service]);
        if self.model.members.is_empty() {
            return;
        }
        let mut features = features::of(
            physics,
            service,
            s,
            &block.requested,
            &block.priors,
            &block.expected,
        );
        self.model.scalers.standardize(&mut features);
        // Behind the features, which service it is.
        let number = |i: usize| match features.get(i) {
            Some(feature) => Line(*feature),
            None if i == FEATURES + service => Line([1.0; L]),
            None => Line::ZERO,
        };
        for (panel, rows) in self.x.as_chunks_mut().0.iter_mut().enumerate() {
            let columns: [Line; L] = std::array::from_fn(|i| number(panel * L + i));
            self.level.transpose(&columns, rows);
        }
    }
}

/// Turns the network's answer, a row per game, into what a service shows after the window.
pub(crate) struct Finish<'a> {
    pub(crate) model: &'a Model,
    pub(crate) level: Level,
    pub(crate) service: usize,
    pub(crate) block: &'a mut Block,
    pub(crate) y: &'a [Line; L],
}

impl Work for Finish<'_> {
    #[inline(always)]
    fn run(self) {
        let (model, service, block) = (self.model, self.service, self.block);
        if !model.members.is_empty() {
            const { assert!(2 * OUTPUTS <= L, "an answer is one line") };
            let mut raw = [Line::ZERO; L];
            self.level.transpose(self.y, &mut raw);
            let scale = &model.scalers.residual[service];
            for k in 0..OUTPUTS {
                let (mean, spread, z) = (&raw[k].0, &raw[OUTPUTS + k].0, &block.residuals[k]);
                let expected = &block.expected[k];
                block.expected[k] = column!(
                    |i| expected[i] + scale[k] * (mean[i] + Model::deviation(spread[i]) * z[i])
                );
            }
        }
        let (s, prior) = (&block.situation, &block.priors[service]);
        block.next = features::restore(&model.physics, service, s, prior, &block.expected);
        let queued = &s.stations[service].now.queued;
        let before = column!(|i| known(queued[i], 0.0));
        block.forward[service] = model.physics.forwarded(prior, &before, &block.next.queued);
    }
}

#[cfg(test)]
mod tests {
    use karma_nn::{Activation, Mlp, MlpShape};

    use super::*;
    use crate::{
        dice::Dice,
        given::Given,
        lanes::Instant,
        neural::Scalers,
        noise::Noise,
        physics::{Calibration, INFLOW_INPUTS, InflowModel, Physics},
        plan::{Link, Nodes, Plan, ServicePlan},
        pods::{Change, PodHazards, Pods},
    };

    const SERVICES: usize = 3;

    /// a calls b and waits, b calls c with retries and does not.
    fn model() -> Model {
        let mut services = ["a", "b", "c"].map(ServicePlan::alone).to_vec();
        for (caller, sync, tries) in [(0, true, 1.0), (1, false, 2.0)] {
            let link = |service| Link {
                service,
                probability: 0.8,
                tries,
                sync,
            };
            services[caller].calls.push(link(caller + 1));
            services[caller + 1].callers.push(link(caller));
        }
        let numbers = |service: usize| Calibration {
            rate_per_replica: 90.0,
            millicores_per_rps: 5.0,
            mib_per_pod: 200.0,
            base_ms: [8.0, 20.0, 40.0],
            hazards: PodHazards {
                ready: [0.5; 12],
                crash: 0.0,
                restart: 0.5,
            },
            inflow: (service > 0).then_some(InflowModel {
                weights: [1.0, 0.6, 0.3, 0.1][..INFLOW_INPUTS].try_into().unwrap(),
                deviation: 0.5,
            }),
            identified: service < 2,
            usual_ready: 3.0,
        };
        Model {
            physics: Physics {
                plan: Plan {
                    services,
                    order: vec![0, 1, 2],
                    window_s: 15.0,
                    timeout_s: 2.0,
                    slo_ms: 500.0,
                    nodes: Vec::new(),
                },
                services: (0..SERVICES).map(numbers).collect(),
            },
            scalers: Scalers {
                mean: vec![0.5; FEATURES],
                inverse: vec![2.0; FEATURES],
                residual: vec![[1.0; OUTPUTS]; SERVICES],
            },
            // Finds nothing to correct.
            members: vec![Mlp::zeros(MlpShape {
                inputs: FEATURES + SERVICES,
                hidden: Vec::new(),
                outputs: 2 * OUTPUTS,
                activation: Activation::Relu,
                recurrent: false,
            })],
            noise: Noise::default(),
        }
    }

    /// A game of its own for every lane; some of their numbers were not measured.
    fn each_game(mut put: impl FnMut(usize, &Instant<'_>, [f32; SERVICES])) {
        let mut dice = Dice(5);
        for lane in 0..L {
            let mut number = |most: f32| match dice.uniform() {
                share if share < 0.1 => f32::NAN,
                _ => most * dice.uniform(),
            };
            let mut metrics = || ServiceMetrics::from_array(std::array::from_fn(|_| number(900.0)));
            let (earlier, now) = (
                [(); SERVICES].map(|()| metrics()),
                [(); SERVICES].map(|()| metrics()),
            );
            let pods = [(); SERVICES].map(|()| Pods::all_ready((12.0 * dice.uniform()).floor()));
            let given = [(); SERVICES].map(|()| Given {
                cpu_stress: 0.9 * dice.uniform(),
                delay_ms: 50.0 * dice.uniform(),
                loss: dice.uniform(),
                slow: 9.0 * dice.uniform(),
                payload: 1.0 + dice.uniform(),
                ..Given::default()
            });
            let changes = pods.map(|p| Change {
                ready_at_start: p.ready,
                restarts: 0.0,
            });
            let game = Instant {
                earlier: &earlier,
                now: &now,
                desired: &[3; SERVICES],
                given: &given,
                pods: &pods,
                changes: &changes,
                nodes: Nodes {
                    count: 2.0,
                    millicores: 9000.0 * dice.uniform(),
                    mib: 1e5,
                },
            };
            put(lane, &game, [900.0 * dice.uniform(), f32::NAN, f32::NAN]);
        }
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    #[test]
    fn what_a_service_receives_is_renewed_for_games_alone() {
        let mut block = Block::new(SERVICES);
        assert!(!block.follows(0), "a lane without a game asks for nothing");
        block.inflow[1][3] = f32::NAN;
        assert!(block.follows(1));
    }

    #[test]
    fn a_game_comes_out_the_same_alone_as_in_a_lane_at_every_instruction_set() {
        let model = model();
        let mut blocks: Vec<Block> = Level::available()
            .iter()
            .map(|_| Block::new(SERVICES))
            .collect();
        let mut alone = Vec::new();
        each_game(|lane, game, inflow| {
            for block in &mut blocks {
                block.situation.set(lane, game);
                for (column, inflow) in block.inflow.iter_mut().zip(inflow) {
                    column[lane] = inflow;
                }
            }
            let mut s = Situation::<1>::idle(SERVICES);
            s.set(0, game);
            let physics = &model.physics;
            let mut priors = vec![Prior::ZERO; SERVICES];
            physics.predict(
                &s,
                &physics.processor_share(&s),
                &inflow.map(|x| [x]),
                &mut priors,
            );
            for (service, prior) in priors.iter().enumerate() {
                let p = features::transformed_prior(prior);
                let requested = physics.requested_share(&s);
                let mut features = features::of(physics, service, &s, &requested, &priors, &p);
                model.scalers.standardize(&mut features);
                let next = features::restore(physics, service, &s, prior, &p);
                let mut numbers = bits(features.as_flattened());
                numbers.extend(bits(p.as_flattened()));
                numbers.extend(bits(&[
                    next.queued[0],
                    next.errors_ps[0],
                    next.latency_p99_ms[0],
                ]));
                alone.push(numbers);
            }
        });
        for (level, block) in Level::available().into_iter().zip(&mut blocks) {
            level.run(Expect {
                model: &model,
                block,
            });
            for service in 0..SERVICES {
                let mut rows = vec![Line::ZERO; model.inputs().div_ceil(L) * L];
                // Measured: what the services receive is not renewed.
                block.inflow[service] = block.priors[service].inflow;
                let (model, x) = (&model, &mut rows[..]);
                level.run(Prepare {
                    model,
                    level,
                    service,
                    block,
                    x,
                });
                level.run(Finish {
                    model,
                    level,
                    service,
                    block,
                    y: &[Line::ZERO; L],
                });
                for lane in 0..L {
                    let row = rows.iter().skip(lane).step_by(L);
                    let row: Vec<f32> = row.flat_map(|line| line.0).collect();
                    let mut numbers = bits(&row[..FEATURES]);
                    numbers.extend(bits(&block.expected.map(|column| column[lane])));
                    let next = block.next(service, lane);
                    numbers.extend(bits(&[next.queued, next.errors_ps, next.latency_p99_ms]));
                    let place = format!("{}: service {service}, lane {lane}", level.name());
                    assert_eq!(numbers, alone[lane * SERVICES + service], "{place}");
                }
            }
        }
    }
}
