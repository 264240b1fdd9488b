//! Faults on purpose: against the decider, and against any cluster from outside.

use karma_cluster::{Cluster, ClusterError, Observation};
use serde::{Deserialize, Serialize};

use crate::{decider::DeciderFault, guarded::Sabotage};

/// A fault on purpose: when, and what.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Injected {
    /// Onset.
    pub at_s: f64,
    /// Length.
    pub duration_s: f64,
    /// What.
    pub kind: InjectedKind,
}

impl Injected {
    /// Whether it is on at `time_s`.
    #[must_use]
    pub fn on(&self, time_s: f64) -> bool {
        self.at_s <= time_s && time_s < self.at_s + self.duration_s
    }
}

/// What a fault on purpose does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InjectedKind {
    /// The policy is gone.
    PolicyKilled,
    /// The policy does not answer in time.
    PolicyTimeout,
    /// The policy answers with numbers that are not finite.
    PolicyNotFinite,
    /// Scrapes bring nothing: no metrics, no samples of pods.
    MetricOutage {
        /// Service; all where absent.
        service: Option<usize>,
    },
    /// The API server does not answer.
    ApiDown,
}

impl InjectedKind {
    /// Whether the policy itself is broken.
    #[must_use]
    pub fn is_of_policy(self) -> bool {
        self.sabotage().is_some()
    }

    pub(crate) fn sabotage(self) -> Option<Sabotage> {
        match self {
            Self::PolicyKilled => Some(Sabotage::Fails(DeciderFault::Dead)),
            Self::PolicyTimeout => Some(Sabotage::Fails(DeciderFault::Timeout)),
            Self::PolicyNotFinite => Some(Sabotage::NotFinite),
            Self::MetricOutage { .. } | Self::ApiDown => None,
        }
    }
}

/// A cluster of which some is hidden: whatever stands behind it, outages look the same.
pub(crate) struct Veiled<'a> {
    cluster: &'a mut dyn Cluster,
    injected: &'a [Injected],
    /// Instant of the next window, as far as it is known.
    pub(crate) time_s: f64,
    /// Last instant at which each service was seen.
    seen_s: Vec<f64>,
}

impl<'a> Veiled<'a> {
    pub(crate) fn new(cluster: &'a mut dyn Cluster, injected: &'a [Injected]) -> Self {
        Self {
            cluster,
            injected,
            time_s: 0.0,
            seen_s: Vec::new(),
        }
    }

    fn call(&self, operation: &str) -> Result<(), ClusterError> {
        let down = |i: &Injected| i.kind == InjectedKind::ApiDown && i.on(self.time_s);
        if self.injected.iter().any(down) {
            return Err(ClusterError::Api {
                operation: operation.to_owned(),
            });
        }
        Ok(())
    }

    pub(crate) fn observe(&mut self) -> Result<Observation, ClusterError> {
        self.call("list pods")?;
        let mut observation = self.cluster.observe()?;
        self.time_s = observation.time_s;
        self.seen_s
            .resize(observation.services.len(), f64::NEG_INFINITY);
        for service in 0..observation.services.len() {
            let hidden = self.injected.iter().any(|injected| {
                let InjectedKind::MetricOutage { service: of } = injected.kind else {
                    return false;
                };
                injected.on(self.time_s) && of.is_none_or(|of| of == service)
            });
            if hidden {
                hide(&mut observation, service, self.seen_s[service]);
            } else {
                self.seen_s[service] = self.time_s - observation.metrics_age_s[service];
            }
        }
        Ok(observation)
    }

    pub(crate) fn scale(&mut self, service: usize, replicas: u32) -> Result<(), ClusterError> {
        self.call("scale a service")?;
        self.cluster.scale(service, replicas)
    }

    pub(crate) fn advance(&mut self) -> bool {
        self.cluster.advance()
    }
}

/// Takes out what scrapes bring; what the API server shows stays.
fn hide(observation: &mut Observation, service: usize, seen_s: f64) {
    observation.services[service] = observation.services[service].unscraped();
    observation.metrics_age_s[service] = observation.time_s - seen_s;
    for pod in &mut observation.pods[service] {
        pod.cpu_millicores = None;
    }
}
