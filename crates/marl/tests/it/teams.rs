//! The team on a cluster, and its trajectories.

use karma_cluster::{
    Cluster, ClusterError, Controller, Observation, ServiceMetrics,
    action::{CHOICES, HOLD},
    scenario::RecurrentSettings,
};
use karma_marl::{Guides, Policy, Team, Trajectories, policy::PolicyScratch, record};
use karma_nn::Scratch;

use crate::{Folder, pipeline};

/// A cluster that does as it is told and fails now and then.
struct Obedient {
    window: u32,
    desired: Vec<u32>,
    /// Windows in which nothing can be observed.
    dark: Vec<u32>,
}

impl Obedient {
    fn new() -> Self {
        Self {
            window: 0,
            desired: vec![3; 4],
            dark: vec![],
        }
    }
}

impl Cluster for Obedient {
    fn observe(&mut self) -> Result<Observation, ClusterError> {
        if self.dark.contains(&self.window) {
            return Err(ClusterError::Api {
                operation: "observe".to_owned(),
            });
        }
        let load = 150.0 + 100.0 * (self.window as f32 * 0.3).sin();
        let services = self.desired.iter().map(|d| ServiceMetrics {
            replicas_desired: *d as f32,
            replicas_ready: *d as f32,
            in_rate_rps: load,
            out_rate_rps: load.min(*d as f32 * 80.0),
            ..ServiceMetrics::from_array([0.0; ServiceMetrics::COUNT])
        });
        Ok(Observation {
            window: self.window,
            time_s: f64::from(self.window) * 15.0,
            services: services.collect(),
            pods: vec![vec![]; 4],
            metrics_age_s: vec![1.0; 4],
        })
    }

    fn scale(&mut self, service: usize, replicas: u32) -> Result<(), ClusterError> {
        self.desired[service] = replicas;
        Ok(())
    }

    fn advance(&mut self) -> bool {
        self.window += 1;
        self.window < 30
    }
}

fn team(seed: u64) -> Team {
    let scenario = pipeline();
    let policy = Policy::untrained(&scenario, 32, seed);
    Team::new(policy, Guides::none(&scenario), &scenario)
}

#[test]
fn a_team_is_deterministic_and_stays_within_bounds() {
    let scenario = pipeline();
    let play = || {
        let (mut cluster, mut team) = (Obedient::new(), team(1));
        record(&mut cluster, &mut team, &scenario, "calm", 7).unwrap()
    };
    let played = play();
    assert_eq!(played.episodes, play().episodes);
    let windows = &played.episodes[0].windows;
    assert_eq!(windows.len(), 30);
    for step in windows {
        assert!(step.desired.iter().all(|d| (1..=12).contains(d)));
        assert!(step.reward.is_finite());
        for agent in &step.agents {
            assert_eq!(agent.choices, agent.unmasked);
        }
    }
}

#[test]
fn a_window_that_cannot_be_seen_is_passed_over() {
    let scenario = pipeline();
    let mut cluster = Obedient {
        dark: vec![0, 4, 5],
        ..Obedient::new()
    };
    let played = record(&mut cluster, &mut team(1), &scenario, "dark", 1).unwrap();
    let windows = &played.episodes[0].windows;
    assert_eq!(windows.len(), 27);
    assert!(windows[2].reward.is_nan() && windows[3].reward.is_finite());
}

#[test]
fn logits_that_are_not_finite_are_told_and_change_nothing() {
    let scenario = pipeline();
    let mut policy = Policy::untrained(&scenario, 32, 1);
    let (weights, mut biases) = policy.actors[0].layer(2);
    biases[5] = f32::NAN;
    policy.actors[0].set_layer(2, &weights, &biases);
    let mut team = Team::new(policy, Guides::none(&scenario), &scenario);
    let mut desired = vec![5; 4];
    team.decide(&Obedient::new().observe().unwrap(), &mut desired);
    assert!(!team.last.finite);
    assert_eq!(desired, [5; 4]);
    assert!(team.last.choices.iter().all(|c| *c == HOLD));
}

#[test]
fn a_reset_team_has_forgotten_the_episode_before() {
    let scenario = pipeline();
    let mut team = team(4);
    let first = record(&mut Obedient::new(), &mut team, &scenario, "a", 1).unwrap();
    let again = record(&mut Obedient::new(), &mut team, &scenario, "a", 1).unwrap();
    assert_eq!(first.episodes, again.episodes);
}

#[test]
fn trajectories_survive_the_round_trip_through_parquet() {
    let (folder, scenario) = (Folder::new("trajectories"), pipeline());
    let mut team = team(2);
    let mut played = record(&mut Obedient::new(), &mut team, &scenario, "one", 1).unwrap();
    for (context, seed) in [("two", 2), ("two", 3)] {
        let more = record(&mut Obedient::new(), &mut team, &scenario, context, seed).unwrap();
        played.extend(more);
    }
    played.labels = vec!["queue_high(a)".to_owned(), "calm".to_owned()];
    for (i, step) in played
        .episodes
        .iter_mut()
        .flat_map(|e| &mut e.windows)
        .enumerate()
    {
        step.labels = vec![i % 2 == 0, i % 3 == 0];
    }
    // What is not measured is null in the file, and NaN is not equal to itself.
    played.episodes[1].windows[3].metrics[2].queued = f32::NAN;
    let path = folder.path().join("trajectories.parquet");
    played.write_parquet(&path).unwrap();
    let mut read = Trajectories::read_parquet(&path).unwrap();
    for trajectories in [&mut read, &mut played] {
        let queued = &mut trajectories.episodes[1].windows[3].metrics[2].queued;
        assert!(queued.is_nan());
        *queued = 0.0;
    }
    assert_eq!(read, played);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let fault = Trajectories::read_parquet(&path).unwrap_err().to_string();
    assert!(fault.contains("trajectories.parquet"), "{fault}");
}

#[test]
fn every_agent_is_decided_for_by_its_own_actor() {
    for (_, policy) in crate::bundles::kinds() {
        let layout = &policy.layout;
        let (services, width) = (4, layout.services.len() * layout.per_service);
        let observation: Vec<f32> = (0..width).map(|i| (i as f32).sin()).collect();
        let mut logits = Vec::new();
        let mut state: Vec<f32> = (0..layout.state()).map(|i| (i as f32).cos()).collect();
        let before = state.clone();
        policy.logits(
            &observation,
            &mut state,
            &mut PolicyScratch::default(),
            &mut logits,
        );
        assert_eq!(logits.len(), 4 * services * CHOICES);
        let width = layout.shape.state();
        let row = layout.shape.outputs;
        for asker in 0..layout.askers() {
            let mut input = observation.clone();
            input.extend((0..layout.askers()).map(|a| f32::from(u8::from(a == asker))));
            let mut alone = vec![0.0; row];
            let (actor, scratch) = (
                &policy.actors[layout.sharing[asker]],
                &mut Scratch::default(),
            );
            let of_asker = asker * width..(asker + 1) * width;
            let mut after = before[of_asker.clone()].to_vec();
            if width > 0 {
                actor.step(&input, 1, &mut after, scratch, &mut alone);
            } else {
                actor.forward(&input, 1, scratch, &mut alone);
            }
            assert_eq!(logits[asker * row..(asker + 1) * row], alone);
            assert_eq!(state[of_asker], after);
        }
    }
}

/// A team whose actors remember, with heads that tell states apart.
fn remembering() -> Team {
    let mut scenario = pipeline();
    scenario.train.recurrent = Some(RecurrentSettings::default());
    let mut policy = Policy::untrained(&scenario, 32, 2);
    let head = policy.actors[0].layers() - 1;
    let (mut weights, biases) = policy.actors[0].layer(head);
    weights.iter_mut().for_each(|w| *w *= 100.0);
    policy.actors[0].set_layer(head, &weights, &biases);
    Team::new(policy, Guides::none(&scenario), &scenario)
}

#[test]
fn a_team_that_remembers_begins_every_episode_anew() {
    let (scenario, mut team) = (pipeline(), remembering());
    let mut play = || {
        let mut cluster = Obedient::new();
        record(&mut cluster, &mut team, &scenario, "a", 1).unwrap()
    };
    let first = play();
    assert_eq!(first.episodes, play().episodes);
    // It does remember: the same window twice is not the same to it.
    let mut team = remembering();
    let mut logits = Vec::new();
    for _ in 0..2 {
        let observation = Obedient::new().observe().unwrap();
        team.decide(&observation, &mut [5; 4]);
        logits.push(team.logits().to_vec());
    }
    assert_ne!(logits[0], logits[1]);
}
