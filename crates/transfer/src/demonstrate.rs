//! Breaking things on purpose, to see that they are survived.

use karma_cluster::{
    Interrupted, Scenario, Watch, Watched,
    emulator::Emulator,
    scenario::{Effect, Fault as ScenarioFault, Point, Shape, Window},
    seed::derive_seed,
    units::Seconds,
    workload,
};
use serde::{Deserialize, Serialize};

use crate::{
    check::{Violation, violations},
    decide::{Mode, State},
    decider::Decider,
    decision::{Decision, Reason, Source},
    error::TransferError,
    guarded::Guarded,
    inject::{Injected, InjectedKind},
    run::run_controller,
};

/// One fault on purpose and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Demonstration {
    /// Name, e.g. `policy_killed`.
    pub name: String,
    /// What was done, and when.
    pub injected: Injected,
    /// The reasons that are right for it.
    pub expected: Vec<Reason>,
    /// Seconds from the onset to the first window in which the fallback decided for that reason;
    /// absent where it never did.
    pub noticed_after_s: Option<f64>,
    /// Whether the policy acted before the fault.
    pub acted_before: bool,
    /// Services whose desired replicas fell in the fault's window.
    pub fell: Vec<usize>,
    /// Every decision.
    pub decisions: Vec<Decision>,
    /// Invariants that did not hold.
    pub violations: Vec<Violation>,
}

impl Demonstration {
    /// Whether the fault ended in fallback with its reason, nothing fell meanwhile, and every
    /// invariant held.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.acted_before
            && self.noticed_after_s.is_some()
            && self.fell.is_empty()
            && self.violations.is_empty()
    }
}

/// Onset of the fault: when the load has just fallen and replicas are due to follow, and just after
/// an observation, so that every window of the fault sees it.
const AT_S: f64 = 406.0;

/// Length of the fault.
const DURATION_S: f64 = 120.0;

/// Length of an episode: past the end of one stabilization window after the fault.
const EPISODE_S: f64 = 900.0;

/// Share of the capacity that the load takes at the start.
const LOAD: f64 = 0.1;

/// Kills the policy, makes it answer NaN, and takes the metrics away, each in an episode of its own
/// on the emulator, just as the load falls.
///
/// # Errors
/// [`TransferError::Interrupted`] when `watch` says so.
pub fn demonstrate<D: Decider>(
    scenario: &Scenario,
    decider: &dyn Fn() -> D,
    seed: u64,
    watch: &dyn Watch,
) -> Result<Vec<Demonstration>, TransferError> {
    let missing = vec![Reason::MetricsMissing, Reason::MetricsStale];
    let planned = [
        (
            "policy_killed",
            InjectedKind::PolicyKilled,
            vec![Reason::PolicyDead],
        ),
        (
            "policy_not_finite",
            InjectedKind::PolicyNotFinite,
            vec![Reason::PolicyNotFinite],
        ),
        (
            "metric_outage",
            InjectedKind::MetricOutage { service: None },
            missing,
        ),
    ];
    let total = planned.len() as u64;
    watch.progress("demonstrate", 0, total, "");
    let mut shown = Vec::new();
    for (name, kind, expected) in planned {
        if watch.stopped() {
            return Err(Interrupted.into());
        }
        let injected = Injected {
            at_s: AT_S,
            duration_s: DURATION_S,
            kind,
        };
        shown.push(play(
            scenario,
            decider(),
            seed,
            watch,
            name,
            injected,
            expected,
        )?);
        watch.progress("demonstrate", shown.len() as u64, total, name);
    }
    Ok(shown)
}

fn play<D: Decider>(
    scenario: &Scenario,
    mut decider: D,
    seed: u64,
    watch: &dyn Watch,
    name: &str,
    injected: Injected,
    expected: Vec<Reason>,
) -> Result<Demonstration, TransferError> {
    let stage = stage(scenario, &injected);
    let mut cluster = Emulator::new(&stage, derive_seed(seed, "demonstration", 0));
    decider.reset(&stage, seed);
    let mut guarded = Guarded::new(decider, &stage, Mode::Active);
    // The emulator loses its scrapes by itself; a broken policy is the loop's to play.
    let by_the_loop: &[Injected] = if injected.kind.is_of_policy() {
        std::slice::from_ref(&injected)
    } else {
        &[]
    };
    let mut watched = Watched::new(&mut cluster, watch);
    let decisions = run_controller(&mut watched, &mut guarded, by_the_loop);
    watched.finished()?;
    let settings = *guarded.guard().settings();
    let of_fault = |d: &&Decision| injected.on(d.time_s);
    Ok(Demonstration {
        name: name.to_owned(),
        injected,
        noticed_after_s: decisions
            .iter()
            .filter(of_fault)
            .find(|d| d.state == State::Fallback && expected.contains(&d.reason))
            .map(|d| d.time_s - injected.at_s),
        acted_before: decisions
            .iter()
            .any(|d| d.time_s < injected.at_s && d.source == Source::Policy),
        fell: (0..stage.services.len())
            .filter(|service| {
                decisions
                    .iter()
                    .filter(of_fault)
                    .any(|d| d.desired[*service] < d.current[*service])
            })
            .collect(),
        violations: violations(&decisions, &stage, &settings, by_the_loop),
        expected,
        decisions,
    })
}

/// The scenario's cluster under a load that rises, then falls just before the fault.
fn stage(scenario: &Scenario, injected: &Injected) -> Scenario {
    let mut stage = scenario.clone();
    stage.contexts = Vec::new();
    stage.faults = Vec::new();
    stage.duration = Seconds(EPISODE_S);
    stage.disturbance = Some(Window {
        at: Seconds(AT_S),
        duration: Seconds(DURATION_S),
    });
    let point = |at, factor| Point {
        at: Seconds(at),
        factor,
    };
    stage.workload.shape = Shape::Points {
        rate: workload::capacity(scenario) * LOAD,
        points: vec![
            point(120.0, 1.0),
            point(180.0, 3.0),
            point(AT_S - 60.0, 3.0),
            point(AT_S - 15.0, 0.5),
        ],
    };
    if let InjectedKind::MetricOutage { service } = injected.kind {
        stage.faults.push(ScenarioFault {
            at: Seconds(injected.at_s),
            duration: Seconds(injected.duration_s),
            effect: Effect::MetricOutage {
                service: service.map(|s| stage.services[s].name.clone()),
            },
        });
    }
    stage
}
