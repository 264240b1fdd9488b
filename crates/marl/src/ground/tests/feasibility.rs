//! Whether the default organization's masks leave a team what it needs: a hand-written team that
//! knows the capacity plays the pipeline within its masks, beside the HPA.

use karma_cluster::{
    ActionSpace, Cluster, Controller, Scenario,
    action::{change, index},
    emulator::{Emulator, EpisodeRecord},
    hpa::HpaController,
};

use super::{Guidance, Guides, History, organization, pipeline};

/// The allowed choice nearest to `wanted`.
fn nearest(mask: u8, wanted: i32) -> u8 {
    (0..7)
        .filter(|c| (mask >> c) & 1 == 1)
        .min_by_key(|c| (change(*c) - wanted).abs())
        .unwrap_or(index(0))
}

fn play(scenario: &Scenario, guides: &Guides, seed: u64, target: f32) -> EpisodeRecord {
    let mut cluster = Emulator::new(scenario, seed);
    let mut history: History = guides.history();
    let mut guidance = Guidance::default();
    let space = ActionSpace::new(scenario);
    let services = scenario.services.len();
    loop {
        let Ok(observation) = cluster.observe() else {
            cluster.advance();
            continue;
        };
        guides.observe(&mut history, &observation.services);
        guides.guidance(&history, 0, &mut guidance);
        let rate = observation.services[0].in_rate_rps;
        let mut desired: Vec<u32> = observation
            .services
            .iter()
            .map(|s| s.replicas_desired as u32)
            .collect();
        let mut choices = vec![index(0); guides.agents() * services];
        for (s, service) in scenario.services.iter().enumerate() {
            let needed = rate / service.rate_per_replica as f32 / target;
            let mut open = if needed.is_nan() {
                0
            } else {
                needed.ceil() as i32 - desired[s] as i32
            };
            for agent in 0..guides.agents() {
                let choice = nearest(guidance.masks[agent * services + s], open.clamp(-3, 3));
                choices[agent * services + s] = choice;
                open -= change(choice);
            }
        }
        let before = desired.clone();
        space.apply(&choices, &mut desired);
        for (s, replicas) in desired.iter().enumerate() {
            if *replicas != before[s] {
                let _ = cluster.scale(s, *replicas);
            }
        }
        if !cluster.advance() {
            return cluster.record().clone();
        }
    }
}

fn play_hpa(scenario: &Scenario, seed: u64) -> EpisodeRecord {
    let mut cluster = Emulator::new(scenario, seed);
    let mut hpa = HpaController::as_shipped(scenario);
    hpa.reset(scenario, seed);
    loop {
        let Ok(observation) = cluster.observe() else {
            cluster.advance();
            continue;
        };
        let before: Vec<u32> = observation
            .services
            .iter()
            .map(|s| s.replicas_desired as u32)
            .collect();
        let mut desired = before.clone();
        hpa.decide(&observation, &mut desired);
        for (s, replicas) in desired.iter().enumerate() {
            if *replicas != before[s] {
                let _ = cluster.scale(s, *replicas);
            }
        }
        if !cluster.advance() {
            return cluster.record().clone();
        }
    }
}

#[test]
fn within_its_masks_a_team_that_knows_the_capacity_beats_the_hpa() {
    let whole = pipeline();
    let guides = Guides::new(&organization(), &whole).unwrap();
    let contexts = whole.in_every_context();
    for (name, target) in [("bottleneck", 0.7), ("ddos", 0.8)] {
        let (_, scenario) = contexts.iter().find(|(n, _)| n == name).unwrap();
        let hpa = play_hpa(scenario, 9);
        let team = play(scenario, &guides, 9, target);
        let figures = format!(
            "{name}: {} with {} pods, HPA {} with {}",
            team.success(),
            team.average_pods(),
            hpa.success(),
            hpa.average_pods()
        );
        assert!(team.success() > hpa.success(), "{figures}");
        assert!(team.compliance() > hpa.compliance(), "{figures}");
        assert!(team.average_pods() < hpa.average_pods(), "{figures}");
    }
}
