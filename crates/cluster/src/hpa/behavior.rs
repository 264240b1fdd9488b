//! Stabilization and rate limits, without and with `spec.behavior`.

use super::{
    Behavior, Constants, Direction, Policy, PolicyKind, Reason, Recommendation, Rules, ScaleEvent,
    Select,
};

/// A count after limits, and the reason for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// Count.
    pub replicas: i32,
    /// `DesiredWithinRange` where no limit acted.
    pub reason: Reason,
}

impl Limited {
    const fn new(replicas: i32, reason: Reason) -> Self {
        Self { replicas, reason }
    }
}

/// Without `behavior`: the highest recommendation of the last `window_s`, `proposed` included,
/// which is logged. A recommendation exactly as old as the window still counts.
pub fn stabilize(log: &mut Vec<Recommendation>, window_s: f64, proposed: i32, now_s: f64) -> i32 {
    let outdated = |r: &Recommendation| now_s - r.at_s > window_s;
    let highest = log
        .iter()
        .filter(|r| !outdated(r))
        .fold(proposed, |highest, r| highest.max(r.replicas));
    record(log, proposed, now_s, outdated);
    highest
}

/// With `behavior`: `current` clamped between the lowest recommendation of the up window and the
/// highest of the down window, `proposed` part of both and logged. A recommendation counts while
/// strictly younger than its window.
pub fn stabilize_with_behavior(
    log: &mut Vec<Recommendation>,
    current: i32,
    proposed: i32,
    up_window_s: f64,
    down_window_s: f64,
    now_s: f64,
) -> i32 {
    let within = |window_s: f64| {
        log.iter()
            .filter(move |r| now_s - r.at_s < window_s)
            .map(|r| r.replicas)
    };
    let lowest = within(up_window_s).fold(proposed, i32::min);
    let highest = within(down_window_s).fold(proposed, i32::max);
    let longest_s = up_window_s.max(down_window_s);
    record(log, proposed, now_s, |r| now_s - r.at_s > longest_s);
    // Not `clamp`: with both windows open the lowest may not exceed the highest, but a reader need
    // not prove it.
    current.max(lowest).min(highest)
}

/// Logs a recommendation in the last outdated slot, or in a new one.
fn record(
    log: &mut Vec<Recommendation>,
    replicas: i32,
    now_s: f64,
    outdated: impl Fn(&Recommendation) -> bool,
) {
    let newest = Recommendation {
        replicas,
        at_s: now_s,
    };
    match log.iter_mut().rfind(|r| outdated(r)) {
        Some(slot) => *slot = newest,
        None => log.push(newest),
    }
}

/// Without `behavior`: the limit on one scale-up, then the bounds.
#[must_use]
pub fn limit_without_behavior(
    current: i32,
    desired: i32,
    min: i32,
    max: i32,
    constants: &Constants,
) -> Limited {
    let factor = constants.legacy_scale_up_limit_factor;
    let minimum = constants.legacy_scale_up_limit_minimum;
    let limit = (factor * f64::from(current)).max(minimum) as i32;
    let (highest, reason) = if max > limit {
        (limit, Reason::ScaleUpLimit)
    } else {
        (max, Reason::TooManyReplicas)
    };
    if desired < min {
        Limited::new(min, Reason::TooFewReplicas)
    } else if desired > highest {
        Limited::new(highest, reason)
    } else {
        Limited::new(desired, Reason::DesiredWithinRange)
    }
}

/// With `behavior`: the rate policies of the direction of change, then the bounds. `desired` is
/// already stabilized.
#[must_use]
pub fn limit_by_rate(
    current: i32,
    desired: i32,
    (min, max): (i32, i32),
    behavior: &Behavior,
    scale_ups: &[ScaleEvent],
    scale_downs: &[ScaleEvent],
    now_s: f64,
) -> Limited {
    let limit = |direction, rules| {
        limit_in_direction(current, direction, rules, scale_ups, scale_downs, now_s)
    };
    if desired > current {
        // A full period must pass before the count rises again; it never falls for it.
        let limit = limit(Direction::Up, &behavior.scale_up).max(current);
        let (highest, reason) = if max > limit {
            (limit, Reason::ScaleUpLimit)
        } else {
            (max, Reason::TooManyReplicas)
        };
        if desired > highest {
            return Limited::new(highest, reason);
        }
    } else if desired < current {
        let limit = limit(Direction::Down, &behavior.scale_down).min(current);
        let (lowest, reason) = if min < limit {
            (limit, Reason::ScaleDownLimit)
        } else {
            (min, Reason::TooFewReplicas)
        };
        if desired < lowest {
            return Limited::new(lowest, reason);
        }
    }
    Limited::new(desired, Reason::DesiredWithinRange)
}

/// The count that the rules of one direction allow, before bounds and before the rule that it
/// never moves past `current`.
#[must_use]
pub fn limit_in_direction(
    current: i32,
    direction: Direction,
    rules: &Rules,
    scale_ups: &[ScaleEvent],
    scale_downs: &[ScaleEvent],
    now_s: f64,
) -> i32 {
    let allowed = rules.policies.iter().map(|policy| {
        let added = change_in_period(scale_ups, policy.period_s, now_s);
        let removed = change_in_period(scale_downs, policy.period_s, now_s);
        let base = current.saturating_sub(added).saturating_add(removed);
        apply(policy, direction, base)
    });
    match (rules.select, direction) {
        (Select::Disabled, _) => current,
        (Select::Max, Direction::Up) => allowed.fold(i32::MIN, i32::max),
        (Select::Max, Direction::Down) => allowed.fold(i32::MAX, i32::min),
        (Select::Min, Direction::Up) => allowed.fold(i32::MAX, i32::min),
        (Select::Min, Direction::Down) => allowed.fold(i32::MIN, i32::max),
    }
}

/// The count that one policy allows, starting from `base`.
fn apply(policy: &Policy, direction: Direction, base: i32) -> i32 {
    let share = f64::from(policy.value) / 100.0;
    match (policy.kind, direction) {
        (PolicyKind::Pods, Direction::Up) => base.saturating_add(policy.value),
        (PolicyKind::Pods, Direction::Down) => base.saturating_sub(policy.value),
        // Rounded up, or a small count could never grow.
        (PolicyKind::Percent, Direction::Up) => (f64::from(base) * (1.0 + share)).ceil() as i32,
        (PolicyKind::Percent, Direction::Down) => (f64::from(base) * (1.0 - share)) as i32,
    }
}

/// Sum of the changes strictly younger than `period_s`.
#[must_use]
pub fn change_in_period(events: &[ScaleEvent], period_s: f64, now_s: f64) -> i32 {
    events
        .iter()
        .filter(|event| now_s - event.at_s < period_s)
        .fold(0, |sum: i32, event| sum.saturating_add(event.change))
}

/// Stores a scale event of one direction; `rules` is `None` without `behavior`, which stores
/// nothing. Events older than the longest period are marked outdated, and the last of them gives
/// its slot.
pub fn store_event(events: &mut Vec<ScaleEvent>, change: i32, rules: Option<&Rules>, now_s: f64) {
    let Some(rules) = rules else {
        return;
    };
    let longest_s = rules.longest_period_s();
    for event in events.iter_mut() {
        event.outdated |= now_s - event.at_s > longest_s;
    }
    let newest = ScaleEvent {
        change,
        at_s: now_s,
        outdated: false,
    };
    match events.iter_mut().rfind(|event| event.outdated) {
        Some(slot) => *slot = newest,
        None => events.push(newest),
    }
}
