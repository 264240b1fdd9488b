//! The numbers that conditions may use, and the vocabulary around them.

use std::array;

use karma_cluster::{
    Scenario, ServiceMetrics,
    action::{ALPHA, CHOICES, index},
};
use karma_moise::{Action, Vocabulary};

/// Numbers of one service, in the order in which [`Features::write`] writes them.
///
/// `expected_rps` is what the entries receive now, carried through the call graph: the load that
/// will reach the service once everything before it keeps up. Loads are shares of declared
/// capacity: of ready pods, or for `planned_load` of desired ones. `missing` counts pods that are
/// desired and neither ready nor on their way.
const FEATURES: [&str; 23] = [
    "queued",
    "queued_s",
    "utilization",
    "load",
    "expected_rps",
    "expected_load",
    "planned_load",
    "in_rate_rps",
    "out_rate_rps",
    "errors_ps",
    "error_ratio",
    "latency_ms",
    "latency_ratio",
    "memory_ratio",
    "ready",
    "desired",
    "failed",
    "pending",
    "missing",
    "restarts",
    "min_replicas",
    "max_replicas",
    "rate_per_replica",
];

/// The words that an organization may use about `scenario`.
///
/// Subjects are its services; `any` means all of them, `entries` those that receive outside
/// traffic. `calls`, `callers`, `downstream` and `upstream` are relations, `entry` is a fact.
/// Actions are `up`, `down` and `hold`, and with a number `up_by(2, s)` and `down_by(1, s)`: that
/// many replicas or fewer, but not none.
#[must_use]
pub fn vocabulary(scenario: &Scenario) -> Vocabulary {
    let services = &scenario.services;
    let n = services.len();
    let calls: Vec<Vec<usize>> = services
        .iter()
        .map(|s| {
            let called = s.calls.iter().filter_map(|c| scenario.service_index(&c.to));
            sorted(called.collect())
        })
        .collect();
    let downstream: Vec<Vec<usize>> = (0..n).map(|s| reachable(&calls, s)).collect();
    let reverse = |relation: &[Vec<usize>]| -> Vec<Vec<usize>> {
        (0..n)
            .map(|to| {
                (0..n)
                    .filter(|from| relation[*from].contains(&to))
                    .collect()
            })
            .collect()
    };
    let (callers, upstream) = (reverse(&calls), reverse(&downstream));
    Vocabulary {
        subjects: services.iter().map(|s| s.name.clone()).collect(),
        features: FEATURES.map(str::to_owned).to_vec(),
        globals: Vec::new(),
        facts: vec![(
            "entry".to_owned(),
            services.iter().map(|s| s.entry).collect(),
        )],
        sets: vec![("entries".to_owned(), scenario.entries())],
        relations: vec![
            ("calls".to_owned(), calls),
            ("callers".to_owned(), callers),
            ("downstream".to_owned(), downstream),
            ("upstream".to_owned(), upstream),
        ],
        actions: actions(),
        choices: CHOICES,
    }
}

fn sorted(mut services: Vec<usize>) -> Vec<usize> {
    services.sort_unstable();
    services.dedup();
    services
}

/// Services reached from `start` by at least one call.
fn reachable(calls: &[Vec<usize>], start: usize) -> Vec<usize> {
    let mut found = calls[start].clone();
    let mut next = 0;
    while next < found.len() {
        for to in &calls[found[next]] {
            if !found.contains(to) {
                found.push(*to);
            }
        }
        next += 1;
    }
    sorted(found)
}

/// `up`, `down`, `hold`, and up to α replicas by number.
fn actions() -> Vec<Action> {
    let choices = |from: i32, to: i32| -> u8 { (from..=to).map(|c| 1 << index(c)).sum() };
    let action = |name: &str, number: Option<i32>, choices: u8| Action {
        name: name.to_owned(),
        number: number.map(i64::from),
        choices,
    };
    let mut actions = vec![
        action("up", None, choices(1, ALPHA)),
        action("down", None, choices(-ALPHA, -1)),
        action("hold", None, choices(0, 0)),
    ];
    for n in 1..=ALPHA {
        actions.push(action("up_by", Some(n), choices(1, n)));
        actions.push(action("down_by", Some(n), choices(-n, -1)));
    }
    actions
}

/// What features need to know about a service.
#[derive(Clone, Copy, Debug)]
struct Declared {
    rate_per_replica: f32,
    cpu_request_millicores: f32,
    memory_request_mib: f32,
    min: f32,
    max: f32,
}

/// Computes the numbers of a scenario.
#[derive(Clone, Debug)]
pub(super) struct Features {
    declared: Vec<Declared>,
    entries: Vec<usize>,
    /// Requests that reach each service per request of each entry (entries × services).
    visits: Vec<f32>,
    slo_ms: f32,
}

impl Features {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let declared = scenario
            .services
            .iter()
            .map(|s| Declared {
                rate_per_replica: s.rate_per_replica as f32,
                cpu_request_millicores: s.cpu_request.millicores() as f32,
                memory_request_mib: s.memory_request.mebibytes() as f32,
                min: s.replicas.min as f32,
                max: s.replicas.max as f32,
            })
            .collect();
        let entries = scenario.entries();
        let visits = entries.iter().flat_map(|e| visits(scenario, *e)).collect();
        Self {
            declared,
            entries,
            visits,
            slo_ms: (scenario.slo.latency.seconds() * 1000.0) as f32,
        }
    }

    /// Writes the numbers of one window of games side by side (services × numbers), given games ×
    /// services; those of games beyond are of nothing.
    pub(super) fn write<const L: usize>(&self, now: &[ServiceMetrics], out: &mut [[f32; L]]) {
        let services = self.declared.len();
        let (of_services, _) = out.as_chunks_mut();
        for (service, out) in of_services.iter_mut().enumerate() {
            let mut metrics = [[0.0; L]; ServiceMetrics::COUNT];
            for (game, of_game) in now.chunks_exact(services).enumerate() {
                for (metric, value) in metrics.iter_mut().zip(of_game[service].to_array()) {
                    metric[game] = value;
                }
            }
            let expected = self.expected(service, now);
            self.of_service(&self.declared[service], &metrics, &expected, out);
        }
    }

    /// Requests that are to reach a service, games side by side.
    fn expected<const L: usize>(&self, service: usize, now: &[ServiceMetrics]) -> [f32; L] {
        let services = self.declared.len();
        // What the standard library begins sums with.
        let mut expected = [-0.0; L];
        for (entry, visits) in self.entries.iter().zip(self.visits.chunks_exact(services)) {
            for (expected, now) in expected.iter_mut().zip(now.chunks_exact(services)) {
                *expected += visits[service] * now[*entry].in_rate_rps;
            }
        }
        expected
    }

    /// The numbers of one service. The loop is over the games, so that it becomes vectors.
    fn of_service<const L: usize>(
        &self,
        declared: &Declared,
        metrics: &[[f32; L]; ServiceMetrics::COUNT],
        expected: &[f32; L],
        out: &mut [[f32; L]; FEATURES.len()],
    ) {
        for (game, expected) in expected.iter().enumerate() {
            let metrics =
                ServiceMetrics::from_array(array::from_fn(|metric| metrics[metric][game]));
            let numbers = self.of_game(&metrics, declared, *expected);
            for (out, number) in out.iter_mut().zip(numbers) {
                out[game] = number;
            }
        }
    }

    #[inline(always)]
    fn of_game(&self, m: &ServiceMetrics, d: &Declared, expected: f32) -> [f32; FEATURES.len()] {
        let ready = m.replicas_ready.max(1.0);
        let capacity = ready * d.rate_per_replica;
        let missing = m.replicas_desired - m.replicas_ready - m.replicas_pending;
        // No traffic has no errors; not measured stays not measured.
        let error_ratio = if m.in_rate_rps == 0.0 {
            0.0
        } else {
            m.errors_ps / m.in_rate_rps
        };
        [
            m.queued,
            m.queued / capacity,
            m.cpu_millicores / (ready * d.cpu_request_millicores),
            m.in_rate_rps / capacity,
            expected,
            expected / capacity,
            expected / (m.replicas_desired.max(1.0) * d.rate_per_replica),
            m.in_rate_rps,
            m.out_rate_rps,
            m.errors_ps,
            error_ratio,
            m.latency_p95_ms,
            m.latency_p95_ms / self.slo_ms,
            m.memory_mib / (ready * d.memory_request_mib),
            m.replicas_ready,
            m.replicas_desired,
            m.replicas_failed,
            m.replicas_pending,
            // `max` would turn an unmeasured count into 0.
            if missing < 0.0 { 0.0 } else { missing },
            m.restarts,
            d.min,
            d.max,
            d.rate_per_replica,
        ]
    }
}

/// Requests that reach each service per request at `entry`. The call graph has no cycles, which
/// the scenario's check holds; the depth is bounded all the same.
fn visits(scenario: &Scenario, entry: usize) -> Vec<f32> {
    let n = scenario.services.len();
    let mut total = vec![0.0; n];
    let mut wave = vec![0.0; n];
    wave[entry] = 1.0;
    for _ in 0..n {
        let mut next = vec![0.0; n];
        for (from, share) in wave.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            total[from] += share;
            for call in &scenario.services[from].calls {
                if let Some(to) = scenario.service_index(&call.to) {
                    next[to] += share * call.probability as f32;
                }
            }
        }
        wave = next;
    }
    total
}
