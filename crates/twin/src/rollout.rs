//! One game as a cluster, so that any controller can play it.

use std::sync::Arc;

use karma_cluster::{
    Cluster, ClusterError, Observation, PodObservation, PodPhase, Scenario, ServiceMetrics, seed,
};

use crate::{
    dice::Dice,
    dynamics::{Dynamics, Frame, Scratch},
    episode::Episode,
    game::arrive,
    model::Twin,
    neural::Model,
    pods::Pods,
};

/// Share of a window without scrapes from which on nothing was measured.
const BLIND: f32 = 0.6;

/// A single game of the twin behind the `Cluster` trait, its pods made up from the counts so that
/// the HPA rule can read them.
#[derive(Clone, Debug)]
pub struct TwinCluster {
    model: Arc<Model>,
    episode: Episode,
    now: Vec<ServiceMetrics>,
    before: Vec<ServiceMetrics>,
    pods: Vec<Pods>,
    desired: Vec<u32>,
    names: Vec<String>,
    replicas: Vec<Vec<Replica>>,
    made: u64,
    blind_s: Vec<f64>,
    window: usize,
    window_s: f64,
    scrape_s: f64,
    member: u8,
    dice: Dice,
    scratch: Scratch,
}

/// A pod that was made up.
#[derive(Clone, Copy, Debug)]
struct Replica {
    number: u64,
    life: Life,
    started_s: Option<f64>,
    changed_s: f64,
}

/// What a made-up pod does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Ready,
    Starting,
    Unscheduled,
    BackOff,
    Failing,
}

impl TwinCluster {
    /// Starts an episode of `scenario` (one context). The arrivals are those that the emulator
    /// would draw for `seed`.
    ///
    /// # Panics
    /// If the twin was fitted to a scenario with other services.
    #[must_use]
    pub fn new(twin: &Twin, scenario: &Scenario, seed: u64) -> Self {
        assert!(
            twin.fits(scenario).is_ok(),
            "the twin has the services of the scenario"
        );
        let desired = scenario.initial_replicas();
        let now: Vec<ServiceMetrics> = desired
            .iter()
            .map(|r| ServiceMetrics::started(*r as f32))
            .collect();
        let mut cluster = Self {
            model: Arc::clone(&twin.model),
            episode: Episode::new(scenario, seed),
            before: now.clone(),
            now,
            pods: desired.iter().map(|r| Pods::all_ready(*r as f32)).collect(),
            names: scenario.services.iter().map(|s| s.name.clone()).collect(),
            replicas: vec![Vec::new(); desired.len()],
            made: 0,
            blind_s: vec![f64::INFINITY; desired.len()],
            window: 0,
            window_s: scenario.control.window.seconds(),
            scrape_s: scenario.control.scrape_interval.seconds(),
            member: (seed % twin.members().max(1) as u64) as u8,
            dice: Dice(seed::derive_seed(seed, "twin cluster", 0)),
            scratch: Scratch::default(),
            desired,
        };
        cluster.make_up(0.0);
        // The pods that an episode starts with have been ready for long.
        for replica in cluster.replicas.iter_mut().flatten() {
            replica.started_s = Some(-3600.0);
            replica.changed_s = -3600.0;
        }
        cluster
    }

    fn time_s(&self) -> f64 {
        self.window as f64 * self.window_s
    }

    /// A call to the API server.
    fn call(&mut self, operation: impl FnOnce() -> String) -> Result<(), ClusterError> {
        let window = self.window.min(self.episode.windows - 1);
        let fails = self.episode.api_errors[window];
        if fails > 0.0 && self.dice.uniform() < fails {
            return Err(ClusterError::Api {
                operation: operation(),
            });
        }
        Ok(())
    }

    /// Adjusts the made-up pods to the counts.
    fn make_up(&mut self, now_s: f64) {
        for (replicas, pods) in self.replicas.iter_mut().zip(&self.pods) {
            let wanted = [
                (Life::Ready, pods.ready),
                (Life::Failing, pods.failing),
                (Life::BackOff, pods.back_off),
                (Life::Starting, pods.starting.iter().sum()),
                (Life::Unscheduled, pods.unscheduled),
            ];
            // Too many of one life: the newest is free to become something else.
            let mut free = Vec::new();
            for (life, count) in wanted {
                let mut kept = 0;
                replicas.retain(|replica| {
                    let keep = replica.life != life || kept < count.round() as usize;
                    kept += usize::from(replica.life == life && keep);
                    if !keep {
                        free.push(*replica);
                    }
                    keep
                });
            }
            for (life, count) in wanted {
                let mut have = replicas.iter().filter(|r| r.life == life).count();
                while have < count.round() as usize {
                    have += 1;
                    let from = free.iter().position(|r| becomes(r.life, life));
                    let mut replica = from.map_or_else(
                        || {
                            self.made += 1;
                            Replica {
                                number: self.made,
                                life,
                                started_s: None,
                                changed_s: now_s,
                            }
                        },
                        |at| free.remove(at),
                    );
                    replica.life = life;
                    replica.changed_s = now_s;
                    if life != Life::Unscheduled {
                        replica
                            .started_s
                            .get_or_insert((now_s - self.window_s).max(0.0));
                    }
                    replicas.push(replica);
                }
            }
            replicas.sort_by_key(|replica| replica.number);
        }
    }

    fn pods_of(&self, service: usize) -> Vec<PodObservation> {
        let metrics = &self.now[service];
        let ready = metrics.replicas_ready.max(1.0);
        let per_pod = f64::from(metrics.cpu_millicores / ready);
        let now_s = self.time_s();
        self.replicas[service]
            .iter()
            .map(|replica| {
                let cpu = match replica.life {
                    Life::Ready if per_pod.is_finite() => Some(per_pod),
                    Life::Starting | Life::Failing => Some(0.0),
                    _ => None,
                };
                let cpu = cpu.filter(|_| self.blind_s[service] < self.window_s);
                PodObservation {
                    name: format!("{}-{}", self.names[service], replica.number),
                    phase: match replica.life {
                        Life::Unscheduled => PodPhase::Pending,
                        Life::BackOff => PodPhase::Failed,
                        _ => PodPhase::Running,
                    },
                    ready: (replica.life != Life::Unscheduled)
                        .then_some(replica.life == Life::Ready),
                    ready_changed_s_ago: now_s - replica.changed_s,
                    started_s_ago: replica.started_s.map(|at| now_s - at),
                    deleted: false,
                    cpu_millicores: cpu,
                    sample_s_ago: cpu.map_or(f64::NAN, |_| self.blind_s[service]),
                    sample_window_s: cpu.map_or(f64::NAN, |_| self.scrape_s),
                }
            })
            .collect()
    }
}

/// Whether a pod of one life may go on as one of another; else it is a new pod.
fn becomes(from: Life, to: Life) -> bool {
    match to {
        Life::Ready => matches!(from, Life::Starting | Life::Failing),
        Life::Failing => from == Life::Ready,
        Life::BackOff => from == Life::Ready,
        Life::Starting => matches!(from, Life::Unscheduled | Life::BackOff),
        Life::Unscheduled => false,
    }
}

impl Cluster for TwinCluster {
    fn observe(&mut self) -> Result<Observation, ClusterError> {
        self.call(|| "list pods".to_owned())?;
        let blind = |service: usize| self.blind_s[service] >= self.window_s;
        Ok(Observation {
            window: self.window as u32,
            time_s: self.time_s(),
            services: self
                .now
                .iter()
                .enumerate()
                .map(|(service, m)| if blind(service) { m.unscraped() } else { *m })
                .collect(),
            pods: (0..self.now.len()).map(|s| self.pods_of(s)).collect(),
            metrics_age_s: self.blind_s.clone(),
        })
    }

    fn scale(&mut self, service: usize, replicas: u32) -> Result<(), ClusterError> {
        if service >= self.desired.len() {
            return Err(ClusterError::UnknownService { service });
        }
        let name = self.names[service].clone();
        self.call(|| format!("scale service {name}"))?;
        self.desired[service] = replicas;
        Ok(())
    }

    fn advance(&mut self) -> bool {
        if self.window >= self.episode.windows {
            return false;
        }
        let mut inflow = vec![f32::NAN; self.now.len()];
        arrive(
            &self.model,
            &self.episode,
            self.window,
            (&self.now, &[]),
            &mut self.dice,
            &mut inflow,
        );
        let given = self.episode.given(self.window);
        let member = [self.member];
        self.model.advance(
            &mut Frame {
                now: &mut self.now,
                before: &mut self.before,
                pods: &mut self.pods,
                desired: &self.desired,
                given,
                inflow: &inflow,
                nodes: &[self.episode.nodes],
                dice: Some(std::slice::from_mut(&mut self.dice)),
                members: (!self.model.members.is_empty()).then_some(&member),
            },
            &mut self.scratch,
        );
        for (blind_s, given) in self.blind_s.iter_mut().zip(given) {
            *blind_s = if given.outage > BLIND {
                *blind_s + self.window_s
            } else {
                0.5 * self.scrape_s
            };
        }
        self.window += 1;
        self.make_up(self.time_s());
        self.window < self.episode.windows
    }
}
