//! What is declared of a cluster: the constants of every transition model.

use karma_cluster::{
    Scenario,
    scenario::{CallMode, NodePool},
};
use serde::{Deserialize, Serialize};

/// A call from one service to another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Link {
    /// The other service: callee in [`ServicePlan::calls`], caller in [`ServicePlan::callers`].
    pub(crate) service: usize,
    /// Share of the caller's requests that make it.
    pub(crate) probability: f32,
    /// Tries in all.
    pub(crate) tries: f32,
    /// Whether the caller's server waits.
    pub(crate) sync: bool,
}

/// One service as declared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServicePlan {
    pub(crate) name: String,
    pub(crate) entry: bool,
    pub(crate) max_replicas: f32,
    pub(crate) rate_per_replica: f32,
    pub(crate) servers: f32,
    pub(crate) queue_per_pod: f32,
    pub(crate) request_millicores: f32,
    pub(crate) limit_millicores: f32,
    pub(crate) request_mib: f32,
    pub(crate) limit_mib: f32,
    pub(crate) error_ratio: f32,
    pub(crate) startup_median_s: f32,
    pub(crate) startup_sigma: f32,
    pub(crate) calls: Vec<Link>,
    pub(crate) callers: Vec<Link>,
}

/// The services in the order of the scenario, and the order in which traffic reaches them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) services: Vec<ServicePlan>,
    /// Callers before callees.
    pub(crate) order: Vec<usize>,
    pub(crate) window_s: f32,
    pub(crate) timeout_s: f32,
    pub(crate) slo_ms: f32,
    /// Nodes by context, as `Scenario::in_every_context` names them.
    pub(crate) nodes: Vec<(String, Nodes)>,
}

/// What the nodes of a cluster hold in all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Nodes {
    pub(crate) count: f32,
    pub(crate) millicores: f32,
    pub(crate) mib: f32,
}

impl Nodes {
    fn of(pools: &[NodePool]) -> Self {
        let sum = |f: fn(&NodePool) -> f64| {
            pools.iter().map(|p| f64::from(p.count) * f(p)).sum::<f64>() as f32
        };
        Self {
            count: sum(|_| 1.0),
            millicores: sum(|p| p.cpu.millicores()),
            mib: sum(|p| p.memory.mebibytes()),
        }
    }
}

impl Plan {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let count = scenario.services.len();
        let mut services: Vec<ServicePlan> = scenario
            .services
            .iter()
            .map(|s| service_plan(s, scenario))
            .collect();
        for caller in 0..count {
            for link in services[caller].calls.clone() {
                services[link.service].callers.push(Link {
                    service: caller,
                    ..link
                });
            }
        }
        Self {
            order: callers_first(&services),
            services,
            window_s: scenario.control.window.seconds() as f32,
            timeout_s: scenario.slo.timeout.seconds() as f32,
            slo_ms: (scenario.slo.latency.seconds() * 1000.0) as f32,
            nodes: scenario
                .in_every_context()
                .iter()
                .map(|(name, context)| (name.clone(), Nodes::of(&context.nodes)))
                .collect(),
        }
    }

    /// The nodes of the context called `name`; of the first where there is none of that name.
    pub(crate) fn nodes_of(&self, name: Option<&str>) -> Nodes {
        let found = self
            .nodes
            .iter()
            .find(|(known, _)| Some(known.as_str()) == name);
        found.or(self.nodes.first()).map_or(
            Nodes {
                count: 1.0,
                millicores: f32::INFINITY,
                mib: f32::INFINITY,
            },
            |(_, nodes)| *nodes,
        )
    }

    /// Number of services.
    pub(crate) fn len(&self) -> usize {
        self.services.len()
    }
}

/// The nodes of a scenario (one context).
pub(crate) fn nodes(scenario: &Scenario) -> Nodes {
    Nodes::of(&scenario.nodes)
}

fn service_plan(service: &karma_cluster::scenario::Service, scenario: &Scenario) -> ServicePlan {
    let request = service.cpu_request.millicores();
    let limit = service
        .cpu_limit
        .map_or(request, |limit| limit.millicores().max(request));
    let memory = service.memory_request.mebibytes();
    let calls = service
        .calls
        .iter()
        .filter_map(|call| {
            Some(Link {
                service: scenario.service_index(&call.to)?,
                probability: call.probability as f32,
                tries: call.retries as f32 + 1.0,
                sync: call.mode == CallMode::Sync,
            })
        })
        .collect();
    ServicePlan {
        name: service.name.clone(),
        entry: service.entry,
        max_replicas: service.replicas.max as f32,
        rate_per_replica: service.rate_per_replica as f32,
        servers: service.concurrency.max(1) as f32,
        queue_per_pod: service.queue as f32,
        request_millicores: request as f32,
        limit_millicores: limit as f32,
        request_mib: memory as f32,
        limit_mib: service
            .memory_limit
            .map_or(2.0 * memory, |limit| limit.mebibytes()) as f32,
        error_ratio: service.failure.error_ratio as f32,
        startup_median_s: service.startup.median.seconds() as f32,
        startup_sigma: service.startup.sigma as f32,
        calls,
        callers: Vec::new(),
    }
}

/// Services with every caller before its callees; what lies on a cycle comes last.
fn callers_first(services: &[ServicePlan]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(services.len());
    while order.len() < services.len() {
        let ready = (0..services.len()).find(|s| {
            !order.contains(s)
                && services[*s]
                    .callers
                    .iter()
                    .all(|link| order.contains(&link.service))
        });
        match ready.or_else(|| (0..services.len()).find(|s| !order.contains(s))) {
            Some(next) => order.push(next),
            None => break,
        }
    }
    order
}

#[cfg(test)]
impl ServicePlan {
    /// A service that calls nobody.
    pub(crate) fn alone(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            entry: true,
            max_replicas: 12.0,
            rate_per_replica: 100.0,
            servers: 4.0,
            queue_per_pod: 100.0,
            request_millicores: 500.0,
            limit_millicores: 500.0,
            request_mib: 256.0,
            limit_mib: 512.0,
            error_ratio: 0.0,
            startup_median_s: 20.0,
            startup_sigma: 0.3,
            calls: Vec::new(),
            callers: Vec::new(),
        }
    }
}
