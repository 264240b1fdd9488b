//! Faults: when each begins, strikes and ends, and what that does to services and pods.

use super::{
    Emulator,
    pod::Life,
    queue::{Event, Kind},
    service::Disturbance,
};
use crate::scenario::{Effect, Scenario};

/// Time between two looks for pods above their memory limit.
const OUT_OF_MEMORY_CHECK_S: f64 = 1.0;

/// One fault of the scenario, its service resolved.
#[derive(Clone, Debug)]
pub(super) struct Timed {
    at: f64,
    ends: f64,
    effect: Effect,
    /// The service it is aimed at; `None` for all, or for none.
    service: Option<usize>,
    active: bool,
    /// Pods that it made to stand still: record and number.
    victims: Vec<(u32, u64)>,
}

/// The faults of a scenario in its order.
pub(super) fn timeline(scenario: &Scenario) -> Vec<Timed> {
    scenario
        .faults
        .iter()
        .map(|fault| {
            let aimed_at = match &fault.effect {
                Effect::PodKill { service, .. }
                | Effect::PodFailure { service, .. }
                | Effect::StressCpu { service, .. }
                | Effect::StressMemory { service, .. }
                | Effect::NetworkDelay { service, .. }
                | Effect::NetworkLoss { service, .. } => Some(service),
                Effect::MetricOutage { service } => service.as_ref(),
                _ => None,
            };
            let service = aimed_at.map(|name| {
                let index = scenario.service_index(name);
                assert!(
                    index.is_some(),
                    "a fault is aimed at {name}, which is not there"
                );
                index.unwrap_or(0)
            });
            let at = fault.at.seconds();
            Timed {
                at,
                ends: at + fault.duration.seconds(),
                effect: fault.effect.clone(),
                service,
                active: false,
                victims: Vec::new(),
            }
        })
        .collect()
}

impl Emulator {
    /// Puts onset and end of every fault on the calendar. Floods are part of the arrivals.
    pub(super) fn plan_faults(&mut self) {
        for (number, fault) in self.faults.iter().enumerate() {
            let number = number as u32;
            self.events
                .push(fault.at, Event::new(Kind::Onset, number, 0));
            if fault.ends > fault.at {
                self.events
                    .push(fault.ends, Event::new(Kind::Relief, number, 0));
            }
        }
    }

    pub(super) fn on_onset(&mut self, number: usize) {
        self.begin(number);
        if self.faults[number].ends <= self.faults[number].at {
            self.on_relief(number);
        }
    }

    fn begin(&mut self, number: usize) {
        let fault = &mut self.faults[number];
        fault.active = true;
        let Some(service) = fault.service else {
            return self.disturb();
        };
        match fault.effect {
            Effect::PodKill { .. } => self.on_strike(number),
            Effect::PodFailure { count, .. } => {
                for pod in self.random_ready(service, count) {
                    let victim = (pod, self.pods[pod as usize].number);
                    self.faults[number].victims.push(victim);
                    self.fail(pod);
                }
            }
            Effect::StressMemory { .. } => {
                self.disturb();
                self.on_out_of_memory();
            }
            _ => self.disturb(),
        }
    }

    /// A pod-kill strikes, for the first time or again.
    pub(super) fn on_strike(&mut self, number: usize) {
        let fault = &self.faults[number];
        let Effect::PodKill { count, every, .. } = fault.effect else {
            return;
        };
        let Some(service) = fault.service else {
            return;
        };
        if let Some(every) = every.map(crate::units::Seconds::seconds) {
            let next = self.now + every;
            if every > 0.0 && next < fault.ends {
                self.events
                    .push(next, Event::new(Kind::Strike, number as u32, 0));
            }
        }
        for pod in self.random_ready(service, count) {
            self.kill_pod(pod);
        }
        self.reconcile(service);
    }

    pub(super) fn on_relief(&mut self, number: usize) {
        self.faults[number].active = false;
        for (pod, name) in std::mem::take(&mut self.faults[number].victims) {
            let victim = &self.pods[pod as usize];
            if victim.number == name && victim.life == Life::Failing {
                self.recover(pod);
            }
        }
        self.disturb();
    }

    /// Works out anew what the active faults do to every service.
    fn disturb(&mut self) {
        for service in 0..self.services.len() {
            let mut sum = Disturbance::default();
            for fault in self.faults.iter().filter(|f| f.active) {
                let here = fault.service.is_none_or(|s| s == service);
                match fault.effect {
                    Effect::StressCpu { load, .. } if here => {
                        sum.cpu_load = 1.0 - (1.0 - sum.cpu_load) * (1.0 - load);
                    }
                    Effect::StressMemory { size, .. } if here => {
                        sum.memory_mib += size.mebibytes();
                    }
                    Effect::NetworkDelay {
                        latency, jitter, ..
                    } if here => {
                        sum.delay_s += latency.seconds();
                        sum.jitter_s += jitter.seconds();
                    }
                    Effect::NetworkLoss { loss, .. } if here => {
                        sum.loss = 1.0 - (1.0 - sum.loss) * (1.0 - loss);
                    }
                    Effect::MetricOutage { .. } if here => sum.unseen = true,
                    _ => {}
                }
            }
            let before = self.services[service].disturbance.cpu_load;
            self.services[service].disturbance = sum;
            if sum.cpu_load != before {
                for at in 0..self.services[service].pods.len() {
                    self.set_speed(self.services[service].pods[at]);
                }
            }
        }
        self.api_errors = self
            .faults
            .iter()
            .filter(|f| f.active)
            .map(|f| match f.effect {
                Effect::ApiErrors { probability } => probability,
                _ => 0.0,
            })
            .fold(0.0, f64::max);
    }

    /// Kills every container above its memory limit, and looks again later while memory is stressed.
    pub(super) fn on_out_of_memory(&mut self) {
        let mut stressed = false;
        for service in 0..self.services.len() {
            if self.services[service].disturbance.memory_mib <= 0.0 {
                continue;
            }
            stressed = true;
            let limit = self.services[service].memory_limit;
            for pod in self.services[service].pods.clone() {
                if self.memory_mib(pod) > limit && self.pods[pod as usize].life != Life::Terminating
                {
                    self.crash(pod);
                }
            }
        }
        if stressed && !self.watching_memory {
            self.events.push(
                self.now + OUT_OF_MEMORY_CHECK_S,
                Event::new(Kind::OutOfMemory, 0, 0),
            );
        }
        self.watching_memory = stressed;
    }
}
