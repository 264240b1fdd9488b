//! Nodes and workloads.

use super::settings::LONGEST_EPISODE_S;
use super::{Finding, Scenario};
use crate::{
    scenario::{NodePool, ReplicaRange, Service, Shape, Workload},
    workload::volume::{self, MOST_RPS, count},
};

pub(super) fn check_nodes(
    scenario: &Scenario,
    path: &str,
    nodes: &[NodePool],
    findings: &mut Vec<Finding>,
) {
    if nodes.is_empty() {
        findings.push(Finding::new(
            path,
            "no machines",
            "add {cpu: 8, memory: 32Gi}",
        ));
        return;
    }
    let mut fits = true;
    for (i, service) in scenario.services.iter().enumerate() {
        let (cpu, memory) = (service.cpu_request, service.memory_request);
        if !nodes
            .iter()
            .any(|node| node.cpu >= cpu && node.memory >= memory)
        {
            fits = false;
            let message = format!(
                "no machine is large enough for one pod of {}, which requests {cpu} CPU and {memory}",
                service.name
            );
            let finding = Finding::new(path, message, "use larger machines or smaller requests");
            let requests = ["cpu_request", "memory_request"];
            let requests = requests.map(|key| format!("services[{i}].{key}"));
            findings.push(requests.into_iter().fold(finding, Finding::about));
        }
    }
    for (needed, there, unit) in requested(scenario, nodes, |range| range.min) {
        if fits && needed > there {
            let message =
                format!("the least replicas request {needed}{unit}, there is {there}{unit}");
            let hint = "add machines or lower replicas.min";
            findings.push(Finding::new(path, message, hint).about("services"));
        }
    }
}

/// What so many `replicas` of every service request together, what the machines have, and the unit of
/// both: processors and memory.
pub(super) fn requested(
    scenario: &Scenario,
    nodes: &[NodePool],
    replicas: impl Fn(&ReplicaRange) -> u32,
) -> [(f64, f64, &'static str); 2] {
    let asked = |request: &dyn Fn(&Service) -> f64| -> f64 {
        let services = scenario.services.iter();
        services
            .map(|service| f64::from(replicas(&service.replicas)) * request(service))
            .sum()
    };
    let there = |size: &dyn Fn(&NodePool) -> f64| -> f64 {
        let nodes = nodes.iter();
        nodes.map(|node| f64::from(node.count) * size(node)).sum()
    };
    [
        (
            asked(&|service| service.cpu_request.millicores()),
            there(&|node| node.cpu.millicores()),
            "m CPU",
        ),
        (
            asked(&|service| service.memory_request.mebibytes()),
            there(&|node| node.memory.mebibytes()),
            "Mi",
        ),
    ]
}

pub(super) fn check_workload(path: &str, workload: &Workload, findings: &mut Vec<Finding>) {
    if let Shape::Points { points, .. } = &workload.shape {
        for (i, pair) in points.windows(2).enumerate() {
            if pair[0].at >= pair[1].at {
                let points = format!("{path}.shape.points.points");
                let message = format!("{} does not come after {}", pair[1].at, pair[0].at);
                let hint = "list the points in order of time";
                findings.push(
                    Finding::new(&format!("{points}[{}].at", i + 1), message, hint)
                        .about(format!("{points}[{i}].at")),
                );
            }
        }
    }
}

/// That episodes of every context end in reasonable time, and that requests arrive in them. Traces
/// have been read.
pub(super) fn check_volume(scenario: &Scenario, findings: &mut Vec<Finding>) {
    if scenario.duration.seconds() > LONGEST_EPISODE_S {
        return;
    }
    if let Some(most) = volume::excessive_capacity(scenario) {
        let message = format!(
            "at their upper bounds the services serve {} requests/s, more than {}",
            count(most),
            count(MOST_RPS)
        );
        let hint = "lower rate_per_replica or replicas.max: some episodes play such loads";
        findings.push(Finding::new("services", message, hint));
    }
    let base = (
        "workload.shape".to_owned(),
        "faults".to_owned(),
        scenario.clone(),
    );
    let contexts = scenario.contexts.iter().enumerate().map(|(i, context)| {
        let workload = match context.workload {
            Some(_) => format!("contexts[{i}].workload.shape"),
            None => "workload.shape".to_owned(),
        };
        let faults = if context.faults.is_empty() {
            "faults".to_owned()
        } else {
            format!("contexts[{i}].faults")
        };
        (workload, faults, scenario.in_context(context))
    });
    let base = std::iter::once(base).filter(|_| scenario.contexts.is_empty());
    for (workload, faults, played) in base.chain(contexts) {
        let calm = Scenario {
            faults: Vec::new(),
            ..played.clone()
        };
        let blamed = [(&workload, &calm), (&faults, &played)];
        let found = blamed
            .iter()
            .find_map(|(path, played)| Some((*path, volume::check(played).err()?)));
        if let Some((path, unplayable)) = found {
            let finding = Finding::new(path, unplayable.to_string(), unplayable.hint())
                .about(&workload)
                .about("services")
                .about("duration");
            // Contexts may share a workload.
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
}
