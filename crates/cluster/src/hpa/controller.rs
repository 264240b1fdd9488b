//! One HPA per service of a scenario, driven by observations.

use super::{
    Container, ContainerKind, ContainerUsage, HpaInput, HpaOutcome, HpaSpec, HpaState, LONG_AGO_S,
    Metric, MetricError, Pod, PodResources, Reading, ReadyCondition, Sample, Scale, Selector,
    Write, reconcile,
};
use crate::{
    cluster::Controller,
    observation::{Observation, PodObservation},
    scenario::Scenario,
};

/// Utilization target of autoscaling/v2 where a specification names none.
const DEFAULT_TARGET_PCT: i32 = 80;

/// Runs one HPA per service, each on the CPU of its own pods.
///
/// Only resource metrics can be read from an observation: metrics of other types answer as a
/// metrics API that fails.
#[derive(Clone, Debug)]
pub struct HpaController {
    name: String,
    template: HpaSpec,
    services: Vec<ServiceHpa>,
    last_sync_s: Option<f64>,
}

/// The HPA of one service.
#[derive(Clone, Debug)]
struct ServiceHpa {
    spec: HpaSpec,
    request_milli: i64,
    state: HpaState,
    outcome: Option<HpaOutcome>,
}

impl HpaController {
    /// autoscaling/v2's defaults: CPU utilization 80 %, no `behavior`, 15 s sync.
    #[must_use]
    pub fn as_shipped(scenario: &Scenario) -> Self {
        let spec = HpaSpec::cpu_utilization(1, i32::MAX, DEFAULT_TARGET_PCT);
        Self::new(scenario, spec).named("HPA as shipped")
    }

    /// An HPA per service after `spec`; its bounds are replaced by each service's own.
    #[must_use]
    pub fn new(scenario: &Scenario, spec: HpaSpec) -> Self {
        let mut controller = Self {
            name: "HPA".to_owned(),
            template: spec,
            services: Vec::new(),
            last_sync_s: None,
        };
        controller.restart(scenario);
        controller
    }

    /// The same under another name in tables and reports.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Forgets everything but that `current` replicas were recommended at `time_s`: nothing
    /// shrinks for one stabilization window. What a fallback does when it takes over.
    ///
    /// # Panics
    /// If `current` does not hold one count per service.
    pub fn seed_recommendations(&mut self, time_s: f64, current: &[u32]) {
        assert_eq!(current.len(), self.services.len(), "one count per service");
        for (service, current) in current.iter().enumerate() {
            self.seed_service(service, time_s, *current);
        }
    }

    /// [`Self::seed_recommendations`] for one service.
    ///
    /// # Panics
    /// If there is no such service.
    pub fn seed_service(&mut self, service: usize, time_s: f64, current: u32) {
        let hpa = &mut self.services[service];
        hpa.state = HpaState::seeded(count(current), time_s);
        hpa.outcome = None;
    }

    /// What the newest reconcile of each service did; `None` before the first.
    pub fn outcomes(&self) -> impl Iterator<Item = Option<&HpaOutcome>> {
        self.services.iter().map(|service| service.outcome.as_ref())
    }

    /// State of the HPA of one service.
    ///
    /// # Panics
    /// If there is no such service.
    #[must_use]
    pub fn state(&self, service: usize) -> &HpaState {
        &self.services[service].state
    }

    fn restart(&mut self, scenario: &Scenario) {
        self.last_sync_s = None;
        self.services = scenario
            .services
            .iter()
            .map(|service| ServiceHpa {
                spec: HpaSpec {
                    min: count(service.replicas.min),
                    max: count(service.replicas.max),
                    ..self.template.clone()
                },
                request_milli: service.cpu_request.millicores().ceil() as i64,
                state: HpaState::default(),
                outcome: None,
            })
            .collect();
    }

    /// Whether a sync is due; HPAs sync on their own period, not once per control window.
    fn due(&mut self, now_s: f64) -> bool {
        // Half a millisecond forgives sums of window lengths that are not binary fractions.
        let period_s = self.template.constants.sync_period_s - 5e-4;
        let due = self
            .last_sync_s
            .is_none_or(|last_s| now_s - last_s >= period_s || now_s < last_s);
        if due {
            self.last_sync_s = Some(now_s);
        }
        due
    }
}

impl Controller for HpaController {
    fn name(&self) -> &str {
        &self.name
    }

    fn reset(&mut self, scenario: &Scenario, _: u64) {
        self.restart(scenario);
    }

    fn decide(&mut self, observation: &Observation, desired: &mut [u32]) {
        assert!(
            desired.len() == self.services.len() && observation.pods.len() == self.services.len(),
            "an observation has one entry per service of the scenario"
        );
        if !self.due(observation.time_s) {
            return;
        }
        for ((hpa, pods), desired) in self.services.iter_mut().zip(&observation.pods).zip(desired) {
            *desired = hpa.sync(pods, *desired, observation.time_s);
        }
    }
}

impl ServiceHpa {
    fn sync(&mut self, observed: &[PodObservation], current: u32, now_s: f64) -> u32 {
        let pods: Vec<Pod> = observed
            .iter()
            .map(|pod| listed(pod, self.request_milli))
            .collect();
        let samples: Vec<Sample> = observed.iter().filter_map(sampled).collect();
        let readings = self
            .spec
            .metrics
            .iter()
            .map(|metric| match metric {
                Metric::Resource { .. } | Metric::ContainerResource { .. } => {
                    Ok(Reading::Pods(samples.clone()))
                }
                _ => Err(MetricError::Api),
            })
            .collect();
        let input = HpaInput {
            now_s,
            scale: Some(Scale {
                spec_replicas: count(current),
                status_replicas: observed.iter().filter(|pod| !pod.deleted).count() as i32,
            }),
            selector: Selector::Clear,
            pods,
            readings,
            write: Write::Succeeds,
        };
        let state = std::mem::take(&mut self.state);
        let (state, outcome) = reconcile(&self.spec, state, &input);
        self.state = state;
        let desired = outcome
            .desired
            .and_then(|desired| u32::try_from(desired).ok());
        self.outcome = Some(outcome);
        desired.unwrap_or(current)
    }
}

/// Name of the one container that pods of a scenario have.
const CONTAINER: &str = "main";

fn listed(pod: &PodObservation, request_milli: i64) -> Pod {
    Pod {
        name: pod.name.clone(),
        phase: pod.phase,
        deleted: pod.deleted,
        start_s_ago: pod.started_s_ago,
        ready: pod.ready.map(|ready| ReadyCondition {
            ready,
            changed_s_ago: known_age(pod.ready_changed_s_ago),
        }),
        resources: PodResources {
            containers: vec![Container {
                name: CONTAINER.to_owned(),
                kind: ContainerKind::Main,
                request_milli: Some(request_milli),
            }],
            pod_level_milli: None,
        },
    }
}

/// The newest sample of a pod in whole millicores, rounded up as Kubernetes rounds quantities.
fn sampled(pod: &PodObservation) -> Option<Sample> {
    let millicores = pod.cpu_millicores.filter(|value| value.is_finite())?;
    Some(Sample {
        pod: pod.name.clone(),
        usage: vec![ContainerUsage {
            name: CONTAINER.to_owned(),
            milli: millicores.ceil() as i64,
        }],
        sample_s_ago: known_age(pod.sample_s_ago),
        window_s: pod.sample_window_s,
    })
}

/// An age that is not finite is that of something that never happened.
fn known_age(age_s: f64) -> f64 {
    if age_s.is_finite() { age_s } else { LONG_AGO_S }
}

fn count(replicas: u32) -> i32 {
    i32::try_from(replicas).unwrap_or(i32::MAX)
}
