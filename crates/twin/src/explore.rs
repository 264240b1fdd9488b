//! Policies that explore: between them they visit what a policy in training will visit.

use karma_cluster::{
    ActionSpace, Controller, Observation, Scenario,
    action::ALPHA,
    hpa::{HpaController, HpaSpec},
    seed::{self, Stream},
    workload,
};
use rand::Rng;

/// A policy that plays one episode of a recording.
pub(crate) struct Explorer {
    style: Style,
    space: ActionSpace,
    /// Replicas of each service that serve one request per second from outside.
    need: Vec<f64>,
    entries: Vec<usize>,
    stream: Stream,
    /// Replicas that the style is after, where it keeps such.
    goal: Vec<f64>,
    /// Drift of the random walk.
    drift: Vec<i32>,
    rates: Vec<f64>,
    windows: u32,
}

enum Style {
    /// Levels that are held for minutes, low and high.
    Levels,
    /// The HPA rule with some target.
    Hpa(Box<HpaController>),
    /// A walk whose direction persists.
    Walk,
    /// Long quiet, then everything at once.
    Bursts { until: u32, high: bool },
    /// What the load of some windows ago asked for.
    Lagging { windows: usize, margin: f64 },
    /// The whole chain sized for the load at the entries, with some margin.
    Chain { margin: f64 },
}

/// Number of styles.
pub(crate) const STYLES: u64 = 6;

impl Explorer {
    /// The explorer of style `style % STYLES`.
    pub(crate) fn new(scenario: &Scenario, style: u64, seed: u64) -> Self {
        let mut stream = seed::derive(seed, "explorer", style);
        let visits = workload::visits(scenario);
        let need: Vec<f64> = scenario
            .services
            .iter()
            .zip(&visits)
            .map(|(service, visits)| visits / service.rate_per_replica)
            .collect();
        let style = match style % STYLES {
            0 => Style::Levels,
            1 => {
                let target = stream.gen_range(35..95);
                let spec = HpaSpec::cpu_utilization(1, i32::MAX, target);
                Style::Hpa(Box::new(HpaController::new(scenario, spec)))
            }
            2 => Style::Walk,
            3 => Style::Bursts {
                until: 0,
                high: true,
            },
            4 => Style::Lagging {
                windows: stream.gen_range(2..10),
                margin: stream.gen_range(0.6..1.6),
            },
            _ => Style::Chain {
                margin: stream.gen_range(0.7..2.0),
            },
        };
        Self {
            style,
            space: ActionSpace::new(scenario),
            goal: vec![0.0; need.len()],
            drift: vec![0; need.len()],
            need,
            entries: scenario.entries(),
            stream,
            rates: Vec::new(),
            windows: 0,
        }
    }

    /// Writes desired replicas; `desired` holds the current ones on entry.
    pub(crate) fn decide(&mut self, seen: &Observation, desired: &mut [u32]) {
        let rate: f64 = self
            .entries
            .iter()
            .map(|&entry| f64::from(seen.services[entry].in_rate_rps))
            .map(|rate| if rate.is_nan() { 0.0 } else { rate })
            .sum();
        // Before the first scrape, and while it is lost, the last load is what is known.
        let rate = if rate > 0.0 {
            rate
        } else {
            self.rates.last().copied().unwrap_or(0.0)
        };
        self.rates.push(rate);
        match &mut self.style {
            Style::Hpa(hpa) => hpa.decide(seen, desired),
            Style::Walk => self.walk(desired),
            _ => {
                self.aim();
                self.approach(desired);
            }
        }
        // Nobody in a cluster is perfectly consistent: now and then something else happens.
        if self.stream.r#gen::<f64>() < 0.05 {
            let service = self.stream.gen_range(0..desired.len());
            let change = i64::from(self.stream.gen_range(-ALPHA..=ALPHA));
            desired[service] = self
                .space
                .bound(service, i64::from(desired[service]) + change);
        }
        self.windows += 1;
    }

    fn sized(&self, rate: f64, margin: f64) -> Vec<f64> {
        self.need
            .iter()
            .map(|need| (need * rate * margin).ceil())
            .collect()
    }

    /// Renews the goal of the styles that have one.
    fn aim(&mut self) {
        let rate = self.rates.last().copied().unwrap_or(0.0);
        match &mut self.style {
            Style::Levels => {
                if self.windows == 0 || self.stream.r#gen::<f64>() < 0.06 {
                    let need = self.sized(rate.max(1.0), 1.0);
                    for (goal, need) in self.goal.iter_mut().zip(need) {
                        *goal = (need * self.stream.gen_range(0.4..2.2)).round();
                    }
                }
            }
            Style::Bursts { until, high } => {
                if self.windows >= *until {
                    *high = !*high;
                    *until = self.windows + self.stream.gen_range(6..24);
                    let margin = self.stream.gen_range(0.8..1.2);
                    let (high, low) = (*high, self.sized(rate, margin));
                    for (goal, low) in self.goal.iter_mut().zip(low) {
                        *goal = if high { f64::from(u16::MAX) } else { low };
                    }
                }
            }
            Style::Lagging { windows, margin } => {
                let at = self.rates.len().saturating_sub(1 + *windows);
                let margin = *margin;
                self.goal = self.sized(self.rates[at], margin);
            }
            Style::Chain { margin } => {
                let margin = *margin;
                self.goal = self.sized(rate, margin);
            }
            Style::Hpa(_) | Style::Walk => {}
        }
    }

    /// Takes as large a step to the goal as a team may.
    fn approach(&mut self, desired: &mut [u32]) {
        for (service, desired) in desired.iter_mut().enumerate() {
            let goal = self.goal[service].clamp(0.0, 1e6) as i64;
            let step = (goal - i64::from(*desired)).clamp(-i64::from(ALPHA), i64::from(ALPHA));
            *desired = self.space.bound(service, i64::from(*desired) + step);
        }
    }

    fn walk(&mut self, desired: &mut [u32]) {
        for (service, desired) in desired.iter_mut().enumerate() {
            if self.stream.r#gen::<f64>() < 0.2 {
                self.drift[service] = self.stream.gen_range(-ALPHA..=ALPHA);
            }
            if self.stream.r#gen::<f64>() < 0.35 {
                let change = i64::from(self.drift[service].signum());
                let step = change * i64::from(self.stream.gen_range(1..=ALPHA));
                *desired = self.space.bound(service, i64::from(*desired) + step);
            }
        }
    }
}
