//! Policies in files.

use std::fs;

use karma_cluster::{
    Scenario,
    scenario::{Algorithm, RecurrentSettings, Sharing},
};
use karma_marl::{MarlError, Policy, bundle};

use crate::{Folder, pipeline};

#[test]
fn a_policy_survives_the_round_trip_bit_by_bit() {
    let (folder, scenario) = (Folder::new("bundle"), pipeline());
    let policy = Policy::untrained(&scenario, 64, 3);
    bundle::save(&policy, &scenario, "text", folder.path()).unwrap();
    let first = fs::read(folder.path().join("policy.json")).unwrap();
    assert_eq!(
        bundle::load(folder.path(), &scenario, "text").unwrap(),
        policy
    );
    bundle::save(&policy, &scenario, "text", folder.path()).unwrap();
    assert_eq!(first, fs::read(folder.path().join("policy.json")).unwrap());
}

#[test]
fn a_mismatch_names_the_first_difference() {
    let (folder, scenario) = (Folder::new("mismatch"), pipeline());
    let policy = Policy::untrained(&scenario, 16, 3);
    bundle::save(&policy, &scenario, "text", folder.path()).unwrap();
    let load = |change: &dyn Fn(&mut karma_cluster::Scenario), organization| {
        let mut other = scenario.clone();
        change(&mut other);
        match bundle::load(folder.path(), &other, organization) {
            Err(MarlError::Mismatch {
                what,
                found,
                expected,
                ..
            }) => [what, found, expected],
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        load(&|s| s.services[1].rate_per_replica = 81.5, "text"),
        ["services.1.rate_per_replica", "80.0", "81.5"]
    );
    assert_eq!(
        load(&|s| s.services[0].replicas.max = 9, "text"),
        ["services.0.max_replicas", "12", "9"]
    );
    assert_eq!(
        load(&|s| s.services.truncate(3), "text"),
        ["services.length", "4", "3"]
    );
    assert_eq!(
        load(&|s| s.team.agents[2].role = "idle".to_owned(), "text"),
        ["agents.2.role", "\"failure_manager\"", "\"idle\""]
    );
    assert_eq!(
        load(&|s| s.control.window.0 = 30.0, "text"),
        ["window_s", "15.0", "30.0"]
    );
    assert_eq!(load(&|_| {}, "other")[0], "sha256 of the organization");
    // What does not change the meaning of a number does not matter.
    let mut other = scenario.clone();
    other.evaluate.seeds = 99;
    other.reward.cost = 5.0;
    bundle::load(folder.path(), &other, "text").unwrap();
}

#[test]
fn damaged_files_are_refused_with_their_name() {
    let (folder, scenario) = (Folder::new("damaged"), pipeline());
    let policy = Policy::untrained(&scenario, 16, 3);
    let (weights, manifest) = (
        folder.path().join("policy.safetensors"),
        folder.path().join("policy.json"),
    );
    let fault = || {
        let fault = bundle::load(folder.path(), &scenario, "").unwrap_err();
        fault.to_string()
    };
    assert!(fault().contains("policy.json"));
    bundle::save(&policy, &scenario, "", folder.path()).unwrap();
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    assert!(fault().contains("policy.safetensors"));
    fs::write(&weights, &bytes).unwrap();
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, &text[..100]).unwrap();
    assert!(fault().contains("policy.json"));
    fs::write(&manifest, text.replace("\"format\": 2", "\"format\": 3")).unwrap();
    assert!(fault().contains("format is 3, but the scenario has 2"));
}

/// Policies with one actor for all, several, and one that decides for all agents.
pub(crate) fn kinds() -> Vec<(Scenario, Policy)> {
    let remembers = Some(RecurrentSettings::default());
    [
        (Algorithm::Mappo, Sharing::All, None),
        (Algorithm::Mappo, Sharing::Role, None),
        (Algorithm::Ippo, Sharing::Agent, None),
        (Algorithm::Ppo, Sharing::All, None),
        (Algorithm::Mappo, Sharing::Role, remembers),
        (Algorithm::Ppo, Sharing::All, remembers),
    ]
    .map(|(algorithm, sharing, recurrent)| {
        let mut scenario = pipeline();
        // The first and the last have one role.
        scenario.team.agents[3].role = scenario.team.agents[0].role.clone();
        (scenario.train.algorithm, scenario.train.sharing) = (algorithm, sharing);
        scenario.train.recurrent = recurrent;
        let policy = Policy::untrained(&scenario, 16, 3);
        (scenario, policy)
    })
    .to_vec()
}

#[test]
fn several_actors_and_one_for_all_survive_the_round_trip() {
    let folder = Folder::new("kinds");
    let mut sharing = Vec::new();
    for (scenario, policy) in kinds() {
        bundle::save(&policy, &scenario, "", folder.path()).unwrap();
        let read = bundle::load(folder.path(), &scenario, "").unwrap();
        assert_eq!(read, policy);
        // Who shares is the policy's own affair: it plays where training would share otherwise.
        bundle::load(folder.path(), &kinds()[0].0, "").unwrap();
        sharing.push((policy.layout.sharing, policy.actors.len()));
    }
    let expected = [
        (vec![0; 4], 1),
        (vec![0, 1, 2, 0], 3),
        (vec![0, 1, 2, 3], 4),
        (vec![0; 4], 1),
        (vec![0, 1, 2, 0], 3),
        (vec![0; 4], 1),
    ];
    assert_eq!(sharing, expected);
}

#[test]
fn a_bundle_from_before_there_were_several_actors_is_still_read() {
    let (folder, scenario) = (Folder::new("before"), pipeline());
    let policy = Policy::untrained(&scenario, 16, 3);
    bundle::save(&policy, &scenario, "", folder.path()).unwrap();
    let manifest = folder.path().join("policy.json");
    let mut raw: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&manifest).unwrap()).unwrap();
    raw["format"] = 1.into();
    let layout = raw["layout"].as_object_mut().unwrap();
    assert!(layout.remove("sharing").is_some() && layout.remove("joint").is_some());
    fs::write(&manifest, raw.to_string()).unwrap();
    assert_eq!(bundle::load(folder.path(), &scenario, "").unwrap(), policy);
}

#[test]
fn a_manifest_that_shares_what_is_not_there_is_damaged() {
    let (folder, (scenario, policy)) = (Folder::new("shares"), kinds().remove(1));
    let manifest = folder.path().join("policy.json");
    for (key, value) in [
        ("sharing", serde_json::json!([0, 1, 2])),
        ("sharing", serde_json::json!([0, 2, 1, 0])),
        ("sharing", serde_json::json!([0, 1, 2, u64::MAX])),
        ("sharing", serde_json::json!([0, 1, 2, 3])),
        ("joint", true.into()),
    ] {
        bundle::save(&policy, &scenario, "", folder.path()).unwrap();
        let mut raw: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&manifest).unwrap()).unwrap();
        raw["layout"][key] = value.clone();
        fs::write(&manifest, raw.to_string()).unwrap();
        let fault = bundle::load(folder.path(), &scenario, "").unwrap_err();
        let is_damage = matches!(fault, MarlError::Broken { .. });
        assert!(is_damage, "{key} {value}: {fault}");
    }
}
