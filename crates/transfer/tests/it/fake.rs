//! A scenario, a cluster that does what a script says, and deciders that do too.

use karma_cluster::{
    Cluster, ClusterError, Observation, PodObservation, PodPhase, Scenario, ServiceMetrics,
};
use karma_transfer::{Decider, DeciderFault};

const SCENARIO: &str = r#"{
  "format": 1, "name": "three",
  "services": [
    {"name": "a", "entry": true, "replicas": {"min": 1, "max": 12, "initial": 4},
     "cpu_request": "500m", "memory_request": "256Mi", "rate_per_replica": 100,
     "calls": [{"to": "b"}]},
    {"name": "b", "replicas": {"min": 2, "max": 8, "initial": 4}, "cpu_request": "400m",
     "memory_request": "256Mi", "rate_per_replica": 80, "calls": [{"to": "c"}]},
    {"name": "c", "replicas": {"min": 1, "max": 6, "initial": 2}, "cpu_request": "400m",
     "memory_request": "256Mi", "rate_per_replica": 150}
  ],
  "nodes": [{"cpu": "16", "memory": "32Gi"}],
  "workload": {"shape": {"constant": {"rate": 100}}},
  "slo": {"latency": "500ms", "timeout": "2s"},
  "duration": "20m"
}"#;

/// Three services in a chain.
pub(crate) fn scenario() -> Scenario {
    serde_json::from_str(SCENARIO).expect("the scenario is well formed")
}

/// Services of [`scenario`].
pub(crate) const SERVICES: usize = 3;

/// Length of a window of [`scenario`].
pub(crate) const WINDOW_S: f64 = 15.0;

/// What one window brings.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// CPU of each pod over its request, per service.
    pub(crate) usage: [f64; SERVICES],
    /// Services without metrics.
    pub(crate) missing: [bool; SERVICES],
    /// Services with old metrics.
    pub(crate) stale: [bool; SERVICES],
    /// Whether the cluster cannot be read.
    pub(crate) unreadable: bool,
    /// Services that cannot be written.
    pub(crate) unwritable: [bool; SERVICES],
    /// Whether users wait.
    pub(crate) late: bool,
    /// What the policy does.
    pub(crate) policy: Answer,
}

impl Script {
    /// Nothing happens: pods at their target, the policy changes nothing.
    pub(crate) fn calm() -> Self {
        Self {
            usage: [0.8; SERVICES],
            missing: [false; SERVICES],
            stale: [false; SERVICES],
            unreadable: false,
            unwritable: [false; SERVICES],
            late: false,
            policy: Answer::Changes([0; SERVICES]),
        }
    }

    /// The policy changes replicas.
    pub(crate) fn changes(changes: [i32; SERVICES]) -> Self {
        Self {
            policy: Answer::Changes(changes),
            ..Self::calm()
        }
    }
}

/// What the policy does in one window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// It changes replicas.
    Changes([i32; SERVICES]),
    /// It answers these numbers.
    Numbers(Vec<f32>),
    /// It fails.
    Fails(DeciderFault),
    /// It panics.
    Panics,
}

/// Plays a script, window after window.
pub(crate) struct Fake {
    pub(crate) script: Vec<Script>,
    pub(crate) desired: [u32; SERVICES],
    pub(crate) writes: Vec<(usize, u32)>,
    window: usize,
}

impl Fake {
    pub(crate) fn new(script: Vec<Script>) -> Self {
        Self {
            script,
            desired: [4, 4, 2],
            writes: Vec::new(),
            window: 0,
        }
    }

    fn failed(operation: &str) -> ClusterError {
        ClusterError::Api {
            operation: operation.to_owned(),
        }
    }
}

impl Cluster for Fake {
    fn observe(&mut self) -> Result<Observation, ClusterError> {
        let script = &self.script[self.window];
        if script.unreadable {
            return Err(Self::failed("list pods"));
        }
        Ok(observation(self.window, script, self.desired))
    }

    fn scale(&mut self, service: usize, replicas: u32) -> Result<(), ClusterError> {
        if self.script[self.window].unwritable[service] {
            return Err(Self::failed("scale"));
        }
        self.writes.push((service, replicas));
        self.desired[service] = replicas;
        Ok(())
    }

    fn advance(&mut self) -> bool {
        self.window += 1;
        self.window < self.script.len()
    }
}

/// What `script` shows in `window` of a cluster with `desired` replicas, all of them ready.
pub(crate) fn observation(window: usize, script: &Script, desired: [u32; SERVICES]) -> Observation {
    let request = [500.0, 400.0, 400.0];
    let service = |service: usize| {
        let replicas = desired[service] as f32;
        let api = ServiceMetrics::started(replicas);
        if script.missing[service] {
            return api;
        }
        ServiceMetrics {
            queued: 0.0,
            cpu_millicores: replicas * (script.usage[service] * request[service]) as f32,
            memory_mib: 100.0,
            in_rate_rps: 10.0,
            out_rate_rps: 10.0,
            errors_ps: 0.0,
            latency_p50_ms: 10.0,
            latency_p95_ms: if script.late { 900.0 } else { 20.0 },
            latency_p99_ms: 30.0,
            ..api
        }
    };
    let pods = |service: usize| {
        (0..desired[service])
            .map(|index| PodObservation {
                name: format!("pod-{index}"),
                phase: PodPhase::Running,
                ready: Some(true),
                ready_changed_s_ago: 5000.0,
                started_s_ago: Some(5000.0),
                deleted: false,
                cpu_millicores: (!script.missing[service])
                    .then_some(script.usage[service] * request[service]),
                sample_s_ago: 1.0,
                sample_window_s: 5.0,
            })
            .collect()
    };
    let age = |service: usize| {
        if script.missing[service] {
            f64::INFINITY
        } else if script.stale[service] {
            60.0
        } else {
            2.0
        }
    };
    Observation {
        window: window as u32,
        time_s: window as f64 * WINDOW_S,
        services: (0..SERVICES).map(service).collect(),
        pods: (0..SERVICES).map(pods).collect(),
        metrics_age_s: (0..SERVICES).map(age).collect(),
    }
}

/// Answers as the script says, by the window of the observation.
#[derive(Clone, Debug)]
pub(crate) struct Scripted {
    pub(crate) answers: Vec<Answer>,
    /// Windows in which it was asked.
    pub(crate) asked: Vec<u32>,
}

impl Scripted {
    pub(crate) fn new(script: &[Script]) -> Self {
        Self {
            answers: script.iter().map(|window| window.policy.clone()).collect(),
            asked: Vec::new(),
        }
    }
}

impl Decider for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn reset(&mut self, _: &Scenario, _: u64) {
        self.asked.clear();
    }

    fn propose(
        &mut self,
        observation: &Observation,
        desired: &[u32],
    ) -> Result<Vec<f32>, DeciderFault> {
        self.asked.push(observation.window);
        match &self.answers[observation.window as usize] {
            Answer::Changes(changes) => Ok(desired
                .iter()
                .zip(changes)
                .map(|(desired, change)| *desired as f32 + *change as f32)
                .collect()),
            Answer::Numbers(numbers) => Ok(numbers.clone()),
            Answer::Fails(fault) => Err(*fault),
            Answer::Panics => panic!("a policy that panics on purpose"),
        }
    }
}

/// Follows the load at once and shrinks at once: the decider that a guard is needed for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Eager;

impl Decider for Eager {
    fn name(&self) -> &str {
        "eager"
    }

    fn reset(&mut self, _: &Scenario, _: u64) {}

    fn propose(
        &mut self,
        observation: &Observation,
        desired: &[u32],
    ) -> Result<Vec<f32>, DeciderFault> {
        let wish = |(metrics, desired): (&ServiceMetrics, &u32)| {
            if metrics.in_rate_rps.is_nan() {
                // What a policy makes of nothing: shrink.
                return 1.0;
            }
            let needed = (metrics.in_rate_rps / 60.0 + metrics.queued / 20.0).ceil();
            needed.clamp(*desired as f32 - 3.0, *desired as f32 + 3.0)
        };
        Ok(observation.services.iter().zip(desired).map(wish).collect())
    }
}
