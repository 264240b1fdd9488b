//! Services and the graph of their calls.

use super::{Finding, Scenario, known, name, taken};
use crate::{scenario::Service, workload::visits};

/// No process of a service fits into less, in MiB: the unit was forgotten.
const LEAST_MEMORY_MIB: f64 = 4.0;

/// More replicas than this are taken for a slip: an episode would not end.
const MOST_REPLICAS: u32 = 1000;

pub(super) fn check(scenario: &Scenario, findings: &mut Vec<Finding>) {
    for (i, service) in scenario.services.iter().enumerate() {
        let path = format!("services[{i}]");
        name(&format!("{path}.name"), &service.name, findings);
        if let Some(first) = scenario
            .service_index(&service.name)
            .filter(|first| *first < i)
        {
            taken(
                &format!("{path}.name"),
                &service.name,
                &format!("services[{first}]"),
                findings,
            );
        }
        check_replicas(&path, service, findings);
        check_limits(&path, service, findings);
        for (k, call) in service.calls.iter().enumerate() {
            known(
                scenario,
                &format!("{path}.calls[{k}].to"),
                &call.to,
                findings,
            );
        }
    }
    check_graph(scenario, findings);
    check_choice(scenario, findings);
}

/// Every service whose memory was likely meant in another unit.
pub(super) fn tiny_memory(scenario: &Scenario) -> Vec<Finding> {
    let services = scenario.services.iter().enumerate();
    let tiny = services.filter(|(_, s)| s.memory_request.mebibytes() < LEAST_MEMORY_MIB);
    tiny.map(|(i, service)| {
        let bytes = (service.memory_request.mebibytes() * 1_048_576.0).round() as u64;
        let meant = match bytes {
            // A plain number.
            ..=0xffff => format!("did you mean {bytes}Mi? "),
            // Another letter.
            ..=0xf_ffff if bytes.is_multiple_of(1024) => {
                format!("did you mean {}Mi? ", bytes / 1024)
            }
            ..=0xf_ffff if bytes.is_multiple_of(1000) => {
                format!("did you mean {}Mi? ", bytes / 1000)
            }
            _ => String::new(),
        };
        let message = format!(
            "one pod of {} requests {bytes} bytes of memory, less than {LEAST_MEMORY_MIB}Mi",
            service.name
        );
        let hint = format!("{meant}a plain number is bytes; write Mi or Gi");
        Finding::new(&format!("services[{i}].memory_request"), message, hint)
    })
    .collect()
}

/// That some service can have more replicas or fewer.
fn check_choice(scenario: &Scenario, findings: &mut Vec<Finding>) {
    let is_fixed = |service: &Service| service.replicas.min == service.replicas.max;
    if scenario.services.iter().all(is_fixed) {
        let message = "min is max in every service: there is nothing to decide";
        let finding = Finding::new("services", message, "raise replicas.max of a service");
        let replicas = (0..scenario.services.len()).map(|i| format!("services[{i}].replicas"));
        findings.push(replicas.fold(finding, Finding::about));
    }
}

fn check_replicas(path: &str, service: &Service, findings: &mut Vec<Finding>) {
    let range = &service.replicas;
    let (min, max) = (
        format!("{path}.replicas.min"),
        format!("{path}.replicas.max"),
    );
    if range.min > range.max {
        let message = format!("min {} is above max {}", range.min, range.max);
        findings.push(Finding::new(&min, message, "swap them").about(&max));
    } else if let Some(initial) = range.initial
        && !(range.min..=range.max).contains(&initial)
    {
        let message = format!(
            "initial {initial} is outside {} to {}",
            range.min, range.max
        );
        let path = format!("{path}.replicas.initial");
        findings.push(
            Finding::new(&path, message, "start within the bounds")
                .about(&min)
                .about(&max),
        );
    }
    if range.max > MOST_REPLICAS {
        let message = format!("{} replicas are more than {MOST_REPLICAS}", range.max);
        findings.push(Finding::new(&max, message, "lower the bound"));
    }
}

fn check_limits(path: &str, service: &Service, findings: &mut Vec<Finding>) {
    if let Some(limit) = service
        .cpu_limit
        .filter(|limit| *limit < service.cpu_request)
    {
        let message = format!(
            "the limit {limit} is below the request {}",
            service.cpu_request
        );
        let finding = Finding::new(&format!("{path}.cpu_limit"), message, "raise the limit");
        findings.push(finding.about(format!("{path}.cpu_request")));
    }
    if let Some(limit) = service
        .memory_limit
        .filter(|limit| *limit < service.memory_request)
    {
        let message = format!(
            "the limit {limit} is below the request {}",
            service.memory_request
        );
        let finding = Finding::new(&format!("{path}.memory_limit"), message, "raise the limit");
        findings.push(finding.about(format!("{path}.memory_request")));
    }
}

fn check_graph(scenario: &Scenario, findings: &mut Vec<Finding>) {
    let mut calls = scenario.services.iter().flat_map(|service| &service.calls);
    let whole = calls.all(|call| scenario.service_index(&call.to).is_some());
    let cycles = cycles(scenario);
    for cycle in &cycles {
        let names: Vec<&str> = cycle
            .iter()
            .map(|i| scenario.services[*i].name.as_str())
            .collect();
        let message = format!("calls in a circle: {} → {}", names.join(" → "), names[0]);
        let last = cycle[cycle.len() - 1];
        let calls = &scenario.services[last].calls;
        let k = calls
            .iter()
            .position(|call| call.to == names[0])
            .unwrap_or(0);
        let path = format!("services[{last}].calls[{k}].to");
        findings.push(Finding::new(&path, message, "remove one of these calls"));
    }
    if scenario.entries().is_empty() {
        let finding = Finding::new(
            "services",
            "no service is an entry: no request would ever arrive",
            "add entry: true to the service that outside traffic reaches first",
        );
        let entries = (0..scenario.services.len()).map(|i| format!("services[{i}].entry"));
        findings.push(entries.fold(finding, Finding::about));
        return;
    }
    // What is not reached in a broken graph may be once it is mended.
    if !cycles.is_empty() || !whole {
        return;
    }
    check_order(scenario, findings);
    let visits = visits(scenario);
    for (i, service) in scenario.services.iter().enumerate() {
        let called = |other: &Service| other.calls.iter().any(|call| call.to == service.name);
        if !service.entry && visits[i] <= 0.0 {
            let message = format!("no request reaches {}", service.name);
            let hint = if scenario.services.iter().any(called) {
                "an entry must call it, directly or through others, with a probability above 0"
            } else {
                "let another service call it, or make it an entry"
            };
            let finding = Finding::new(&format!("services[{i}]"), message, hint);
            let calls = (0..scenario.services.len()).map(|i| format!("services[{i}].calls"));
            findings.push(calls.fold(finding, Finding::about));
        }
    }
}

/// Callers stand before callees, which everybody who walks the services relies on.
fn check_order(scenario: &Scenario, findings: &mut Vec<Finding>) {
    for (i, service) in scenario.services.iter().enumerate() {
        for (k, call) in service.calls.iter().enumerate() {
            if scenario
                .service_index(&call.to)
                .is_some_and(|callee| callee < i)
            {
                let message = format!("{} stands after {}, which it calls", service.name, call.to);
                let path = format!("services[{i}].calls[{k}].to");
                findings.push(Finding::new(&path, message, "list callers before callees"));
            }
        }
    }
}

/// The first circle of calls found from each service that is on one, each told once.
fn cycles(scenario: &Scenario) -> Vec<Vec<usize>> {
    /// Where the walk stands with a service.
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    fn walk(
        scenario: &Scenario,
        service: usize,
        state: &mut [State],
        open: &mut Vec<usize>,
        found: &mut Vec<Vec<usize>>,
    ) {
        state[service] = State::Open;
        open.push(service);
        for call in &scenario.services[service].calls {
            match scenario
                .service_index(&call.to)
                .map(|callee| (callee, state[callee]))
            {
                Some((callee, State::New)) => walk(scenario, callee, state, open, found),
                Some((callee, State::Open)) => {
                    let from = open.iter().position(|o| *o == callee).unwrap_or(0);
                    found.push(open[from..].to_vec());
                }
                _ => {}
            }
        }
        open.pop();
        state[service] = State::Done;
    }
    let mut state = vec![State::New; scenario.services.len()];
    let mut found = Vec::new();
    for service in 0..scenario.services.len() {
        if state[service] == State::New {
            walk(scenario, service, &mut state, &mut Vec::new(), &mut found);
        }
    }
    found
}
