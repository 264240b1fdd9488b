//! Transitions of single services.

use crate::trace::{Number, Trace};

/// What one instant of one service shows; NaN where nothing was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Instant {
    pub(super) cpu_cores: f64,
    /// ln(latency in s + 0.001).
    pub(super) log_latency: f64,
    pub(super) pods: f64,
    pub(super) rps: f64,
}

/// Three instants in a row. In the first transition of a run the earlier one is the one now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Transition {
    pub(super) earlier: Instant,
    pub(super) now: Instant,
    pub(super) next: Instant,
}

/// A service with its transitions.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) training: Vec<Transition>,
    pub(super) validation: Vec<Transition>,
}

impl Service {
    /// Fewest and most pods in the training runs, of the instants that show them.
    pub(super) fn pods(&self) -> (u32, u32) {
        let measured = self
            .training
            .iter()
            .map(|t| t.next.pods)
            .filter(|pods| pods.is_finite());
        let pods = measured.map(|pods| pods as u32);
        (pods.clone().min().unwrap_or(0), pods.max().unwrap_or(0))
    }

    /// Whether the training runs show what a replica does.
    pub(super) fn identified(&self) -> bool {
        let (least, most) = self.pods();
        least != most
    }
}

/// Every service that shows load, pods, processor use and latency, by name.
pub(super) fn services(trace: &Trace, validation: &[String]) -> Vec<Service> {
    let mut services: Vec<Service> = Vec::new();
    for series in trace.series() {
        let instants: Vec<Instant> = series.rows.iter().map(|row| instant(trace, *row)).collect();
        let whole = instants
            .iter()
            .any(|i| i.cpu_cores.is_finite() && i.pods.is_finite() && i.rps.is_finite());
        if !whole || series.service == "__app__" {
            continue;
        }
        let place = services.iter().position(|s| s.name == series.service);
        let place = place.unwrap_or_else(|| {
            services.push(Service {
                name: series.service.clone(),
                training: Vec::new(),
                validation: Vec::new(),
            });
            services.len() - 1
        });
        let into = if validation.contains(&series.run) {
            &mut services[place].validation
        } else {
            &mut services[place].training
        };
        for t in 1..instants.len() {
            into.push(Transition {
                earlier: instants[t.saturating_sub(2)],
                now: instants[t - 1],
                next: instants[t],
            });
        }
    }
    services.sort_by(|a, b| a.name.cmp(&b.name));
    services
}

fn instant(trace: &Trace, row: usize) -> Instant {
    let get = |field| trace.get(field, row).unwrap_or(f64::NAN);
    // Pods that take traffic where they are known, else all that exist.
    let pods = trace
        .get(Number::Ready, row)
        .or_else(|| trace.get(Number::Total, row));
    Instant {
        cpu_cores: get(Number::Cpu),
        log_latency: (get(Number::LatMean) / 1000.0 + 0.001).ln(),
        pods: pods.unwrap_or(f64::NAN),
        rps: get(Number::Rps),
    }
}
