//! The controllers that meet the team, and the bound.

use karma_cluster::{
    Controller, Observation, Scenario,
    hpa::{Behavior, HpaController, HpaSpec},
    scenario::{NodePool, Startup},
    units::{Mebibytes, Millicores, Seconds},
};

use crate::{calibrate::HpaPoint, summary::Contender};

/// Makes the guarded team afresh.
pub(crate) type TeamFactory<'a> = &'a (dyn Fn() -> Box<dyn Controller> + Sync);

/// A contender with its settings in one context.
pub(crate) enum Entrant {
    Team,
    HpaShipped,
    HpaCalibrated(HpaPoint),
    Static,
    Constant(Contender, Vec<u32>),
    Bound,
}

impl Entrant {
    pub(crate) fn contender(&self) -> Contender {
        match self {
            Self::Team => Contender::Team,
            Self::HpaShipped => Contender::HpaShipped,
            Self::HpaCalibrated(_) => Contender::HpaCalibrated,
            Self::Static => Contender::Static,
            Self::Constant(contender, _) => *contender,
            Self::Bound => Contender::Bound,
        }
    }

    /// What it is set to, in words.
    pub(crate) fn settings(&self, scenario: &Scenario) -> String {
        match self {
            Self::Team => String::new(),
            Self::HpaShipped => "CPU 80 %, scale-down after 300 s".to_owned(),
            Self::HpaCalibrated(point) => point.describe(scenario),
            Self::Static => dashed(&scenario.initial_replicas()),
            Self::Constant(_, replicas) => dashed(replicas),
            Self::Bound => {
                format!(
                    "{}, unlimited nodes, no start-up time",
                    dashed(&most_replicas(scenario))
                )
            }
        }
    }

    /// The controller, and the scenario it is played in.
    pub(crate) fn enter(
        &self,
        scenario: &Scenario,
        team: TeamFactory<'_>,
    ) -> (Box<dyn Controller>, Option<Scenario>) {
        match self {
            Self::Team => (team(), None),
            Self::HpaShipped => (Box::new(HpaController::as_shipped(scenario)), None),
            Self::HpaCalibrated(point) => (Box::new(point.controller(scenario)), None),
            Self::Static => (Box::new(Constant(scenario.initial_replicas())), None),
            Self::Constant(_, replicas) => (Box::new(Constant(replicas.clone())), None),
            Self::Bound => (
                Box::new(Constant(most_replicas(scenario))),
                Some(without_limits(scenario)),
            ),
        }
    }
}

fn most_replicas(scenario: &Scenario) -> Vec<u32> {
    scenario.services.iter().map(|s| s.replicas.max).collect()
}

/// Replicas as `3-3-2-1`.
pub(crate) fn dashed(replicas: &[u32]) -> String {
    let words: Vec<String> = replicas.iter().map(u32::to_string).collect();
    words.join("-")
}

/// The scenario in which everything is there at once: what is lost in it, no scaling can save.
fn without_limits(scenario: &Scenario) -> Scenario {
    let mut scenario = scenario.clone();
    for service in &mut scenario.services {
        service.replicas.initial = Some(service.replicas.max);
        service.startup = Startup {
            median: Seconds(0.0),
            sigma: 0.0,
        };
    }
    scenario.nodes = vec![NodePool {
        count: 1,
        cpu: Millicores(1e9),
        memory: Mebibytes(1e9),
    }];
    scenario
}

/// Asks for the same replicas in every window.
pub(crate) struct Constant(pub(crate) Vec<u32>);

impl Controller for Constant {
    fn name(&self) -> &str {
        "constant"
    }

    fn reset(&mut self, _: &Scenario, _: u64) {}

    fn decide(&mut self, _: &Observation, desired: &mut [u32]) {
        desired.copy_from_slice(&self.0);
    }
}

/// HPA whose `minReplicas` are not the scenario's.
pub(crate) struct FlooredHpa {
    floor: Vec<u32>,
    hpa: HpaController,
}

impl FlooredHpa {
    pub(crate) fn new(
        scenario: &Scenario,
        target_pct: u32,
        down_stabilization_s: u32,
        floor: Vec<u32>,
    ) -> Self {
        let mut spec = HpaSpec::cpu_utilization(1, i32::MAX, target_pct as i32);
        let mut behavior = Behavior::default();
        behavior.scale_down.stabilization_s = Some(f64::from(down_stabilization_s));
        spec.behavior = Some(behavior);
        let hpa = HpaController::new(&raised(scenario, &floor), spec).named("HPA calibrated");
        Self { floor, hpa }
    }
}

impl Controller for FlooredHpa {
    fn name(&self) -> &str {
        self.hpa.name()
    }

    fn reset(&mut self, scenario: &Scenario, seed: u64) {
        self.hpa.reset(&raised(scenario, &self.floor), seed);
    }

    fn decide(&mut self, observation: &Observation, desired: &mut [u32]) {
        self.hpa.decide(observation, desired);
    }
}

fn raised(scenario: &Scenario, floor: &[u32]) -> Scenario {
    let mut scenario = scenario.clone();
    for (service, floor) in scenario.services.iter_mut().zip(floor) {
        service.replicas.min = *floor;
    }
    scenario
}
