//! How much an episode asks for, and how much is too much: every request is played one by one.

use std::fmt;

use super::{attack_rates, capacity, capacity::flow, shape_rates};
use crate::{
    emulator::RETRY_PAUSE_S,
    scenario::{Effect, Scenario, Shape},
};

/// Most requests per second, from outside.
pub(crate) const MOST_RPS: f64 = 1e6;

/// Most requests in an episode, at all services together: minutes of work for a core.
const MOST_REQUESTS: f64 = 1e9;

/// Fewest requests in an episode, from outside.
const LEAST_REQUESTS: f64 = 1.0;

/// Why a load cannot be played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unplayable {
    /// So many requests per second at its peak.
    Peak(f64),
    /// So many requests in an episode, at all services, where every call is tried as often as it may.
    Requests(f64),
    /// So few requests in an episode.
    Nothing(f64),
}

impl fmt::Display for Unplayable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Peak(rps) => write!(
                f,
                "the load peaks at {} requests/s, more than {}",
                count(rps),
                count(MOST_RPS)
            ),
            Self::Requests(requests) => write!(
                f,
                "an episode brings all services {} requests, with every retry, more than {}",
                count(requests),
                count(MOST_REQUESTS)
            ),
            Self::Nothing(requests) => write!(
                f,
                "an episode brings {} requests: there is nothing to learn from",
                count(requests)
            ),
        }
    }
}

impl Unplayable {
    /// What to do about it.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Peak(_) => "every request is played one by one: lower the load",
            Self::Requests(_) => {
                "every request is played one by one: lower the load, the retries or the duration"
            }
            Self::Nothing(_) => "raise the rate",
        }
    }
}

/// Whether the load of `scenario` (one context) can be played, its attacks included. Nothing is said
/// of a trace that is not loaded.
pub(crate) fn check(scenario: &Scenario) -> Result<(), Unplayable> {
    if let Shape::Trace(trace) = &scenario.workload.shape
        && trace.rates.is_empty()
    {
        return Ok(());
    }
    let seconds = super::episode_seconds(scenario);
    let legitimate = shape_rates(scenario, seconds);
    let total: f64 = legitimate.iter().sum();
    if total < LEAST_REQUESTS {
        return Err(Unplayable::Nothing(total));
    }
    // Clients whose requests fail ask more often than they would otherwise.
    let failing = match scenario.workload.shape {
        Shape::Closed {
            clients,
            think_time,
        } => f64::from(clients) / think_time.seconds().max(RETRY_PAUSE_S),
        _ => 0.0,
    };
    let attack = attack_rates(scenario, &legitimate);
    let rates = legitimate.iter().zip(attack).enumerate();
    let rates = rates.map(|(second, (legitimate, attack))| {
        legitimate.max(failing) + attack + connections(scenario, second as f64)
    });
    let (mut peak, mut sum) = (0.0_f64, 0.0);
    for rate in rates {
        peak = peak.max(rate);
        sum += rate;
    }
    let tries = flow(scenario, &scenario.entries(), |call| {
        call.probability * f64::from(1 + call.retries)
    });
    let requests = sum * tries.iter().sum::<f64>();
    if peak > MOST_RPS {
        Err(Unplayable::Peak(peak))
    } else if requests > MOST_REQUESTS {
        Err(Unplayable::Requests(requests))
    } else {
        Ok(())
    }
}

/// Mean legitimate requests per second in the first window of an episode of `scenario` (one
/// context), without noise. Clients of a closed loop send no more than is served, so they have none.
pub(crate) fn load_at_start(scenario: &Scenario) -> Option<f64> {
    if matches!(scenario.workload.shape, Shape::Closed { .. }) {
        return None;
    }
    let window = scenario.control.window.seconds().ceil().max(1.0) as usize;
    let rates = shape_rates(scenario, window);
    Some(rates.iter().sum::<f64>() / rates.len() as f64)
}

/// Slow connections that are opened in the second from `second` on.
fn connections(scenario: &Scenario, second: f64) -> f64 {
    scenario
        .faults
        .iter()
        .map(|fault| match fault.effect {
            Effect::SlowConnections { rate, .. }
                if (0.0..fault.duration.seconds()).contains(&(second - fault.at.seconds())) =>
            {
                rate
            }
            _ => 0.0,
        })
        .sum()
}

/// What the services of `scenario` serve at their upper bounds, where that is too much: parts of a
/// run play loads up to there.
pub(crate) fn excessive_capacity(scenario: &Scenario) -> Option<f64> {
    let most = capacity(scenario);
    (most.is_finite() && most > MOST_RPS).then_some(most)
}

/// A number of requests as people read it.
pub(crate) fn count(number: f64) -> String {
    if number > 1e7 {
        let short: f64 = format!("{number:.1e}").parse().unwrap_or(number);
        format!("{short:e}")
    } else if number < 1.0 && number > 0.0 {
        "less than 1".to_owned()
    } else {
        format!("{number:.0}")
    }
}
