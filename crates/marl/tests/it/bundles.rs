//! Policies in files.

use std::fs;

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
    fs::write(&manifest, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    assert!(fault().contains("format is 2, but the scenario has 1"));
}
