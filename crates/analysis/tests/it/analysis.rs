use karma_analysis::{Analysis, AnalysisError, analyze};
use karma_marl::Trajectories;
use karma_moise::{Action, Member, Organization, Vocabulary};

use crate::planted::{Behavior, ROLES, SERVICES, team};

fn run(trained: &Trajectories, untrained: &Trajectories) -> Analysis {
    analyze(trained, untrained, None, 1).unwrap()
}

#[test]
fn planted_roles_are_recovered_with_their_evidence() {
    let found = run(&team(Behavior::Planted, 4, 1), &team(Behavior::Noise, 4, 2));
    assert_eq!(found.roles.len(), 3, "{:#?}", found.roles);
    assert_eq!(found.trained.purity_percent, 100.0);
    assert_eq!(found.trained.adjusted_rand_index, 1.0);
    assert!(found.trained.structural.score.unwrap() > 0.5);
    assert!(found.trained.structural.p_value <= 0.01);
    let mut names: Vec<&str> = found.roles.iter().map(|r| r.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["guard", "saver", "scaler"]);
    let role = |name: &str| found.roles.iter().find(|r| r.name == name).unwrap();
    let scaler = &role("scaler").evidence[0];
    assert!(
        scaler
            .sentence
            .starts_with("raises c by up to 3 while queue_high(c); 100 % of its raises"),
        "{}",
        scaler.sentence
    );
    assert!((0.8..1.0).contains(&scaler.given_label.unwrap()));
    assert!(
        role("saver").evidence[0]
            .sentence
            .starts_with("lowers a by 1 while idle(a)")
    );
    assert_eq!(role("guard").evidence.len(), 2);
    assert_eq!(role("guard").members.len(), 1);
    assert_eq!(role("guard").members[0].share, 1.0);
    // Three roles hang on two abstract ones, the root of which inherits nothing.
    assert_eq!(found.abstract_roles.len(), 2);
    assert_eq!(found.abstract_roles[0].inherits, None);
    assert_eq!(
        found.abstract_roles[1].inherits.as_deref(),
        Some("common_1")
    );
    assert!(found.roles.iter().all(|r| r.inherits.is_some()));
    assert!(
        role("guard")
            .common
            .iter()
            .any(|(action, count)| action == "raises a b" && *count >= 15)
    );
}

#[test]
fn noise_has_no_roles_and_fits_no_better_than_chance() {
    let noise = team(Behavior::Noise, 4, 3);
    let found = run(&noise, &noise);
    assert_eq!(found.roles.len(), 1, "{:#?}", found.roles);
    let fit = &found.trained.structural;
    assert!(fit.raw.unwrap().abs() < 0.1, "{fit:?}");
    assert!(fit.p_value > 0.01);
    assert!((found.trained.purity_percent - 100.0 / 3.0).abs() < 1e-9);
}

#[test]
fn states_become_goals_described_by_their_labels() {
    let trained = team(Behavior::Planted, 4, 1);
    let found = run(&trained, &trained);
    assert!(found.goals.len() >= 2);
    assert!(found.goals.iter().any(|g| g.is_goal));
    assert!(
        found.goals.iter().any(|g| g
            .labels
            .iter()
            .any(|(l, share)| l == "surge" && *share > 0.9)),
        "{:#?}",
        found.goals
    );
    let time: f64 = found.goals.iter().map(|g| g.time_of_successful).sum();
    assert!((time - 1.0).abs() < 1e-9);
    assert!(found.trained.functional.raw.is_some());
}

#[test]
fn alignment_counts_the_unmasked_choice_where_a_guide_fired() {
    let mut trained = team(Behavior::Planted, 2, 1);
    // The guard may only hold at a: its unmasked raises of a stray, the others' actions do not.
    for window in trained.episodes.iter_mut().flat_map(|e| &mut e.windows) {
        let guard = &mut window.agents[1];
        guard.masks[0] = 0b1000;
        guard.choices[0] = 3;
    }
    let found = run(&trained, &team(Behavior::Planted, 2, 1));
    let alignment = &found.trained.alignment;
    assert_eq!(alignment.per_agent[0], Some(100.0));
    assert_eq!(alignment.per_agent[1], Some(0.0));
    assert!((alignment.percent.unwrap() - 200.0 / 3.0).abs() < 1e-9);
    assert_eq!(found.trained.mask_violations, 0);
    assert_eq!(found.untrained.alignment.percent, Some(100.0));
    trained.episodes[0].windows[0].agents[1].choices[0] = 6;
    assert_eq!(run(&trained, &trained).trained.mask_violations, 1);
}

#[test]
fn the_order_of_agents_and_episodes_reaches_no_result() {
    let trained = team(Behavior::Planted, 3, 1);
    let noise = team(Behavior::Noise, 3, 2);
    let turn = |mut team: Trajectories| {
        team.agents.reverse();
        team.roles.reverse();
        team.episodes.reverse();
        for window in team.episodes.iter_mut().flat_map(|e| &mut e.windows) {
            window.agents.reverse();
        }
        team
    };
    let a = run(&trained, &noise);
    let b = run(&turn(trained), &turn(noise));
    assert_eq!(a.trained.structural, b.trained.structural);
    assert_eq!(a.trained.purity_percent, b.trained.purity_percent);
    assert_eq!(a.roles, b.roles);
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let (trained, noise) = (team(Behavior::Planted, 2, 1), team(Behavior::Noise, 2, 2));
    let with = |threads: usize| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| serde_json::to_string(&run(&trained, &noise)).unwrap())
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn the_inferred_organization_can_guide_a_team() {
    let found = run(&team(Behavior::Planted, 4, 1), &team(Behavior::Noise, 4, 2));
    let mut inferred = found.inferred;
    assert_eq!(inferred.roles.len(), 5);
    assert!(inferred.rules.iter().any(|r| r.id == "scaler_up_c"));
    // The labels come with the specified organization; here they are made up.
    for (name, each) in [
        ("queue_high", true),
        ("idle", true),
        ("surge", false),
        ("calm", false),
    ] {
        inferred.labels.insert(
            name.to_owned(),
            karma_moise::Label {
                each: each.then(|| "s".to_owned()),
                when: if each {
                    "load(s) > 1"
                } else {
                    "any.exists(s, load(s) > 2)"
                }
                .to_owned(),
                description: String::new(),
            },
        );
    }
    let organization = Organization::check(inferred).unwrap();
    let numbered = |name: &str, n: i64, choices: u8| Action {
        name: name.to_owned(),
        number: Some(n),
        choices,
    };
    let plain = |name: &str, choices: u8| Action {
        name: name.to_owned(),
        number: None,
        choices,
    };
    let vocabulary = Vocabulary {
        subjects: SERVICES.map(str::to_owned).to_vec(),
        features: vec!["load".to_owned()],
        actions: vec![
            plain("up", 0b111_0000),
            plain("down", 0b111),
            numbered("up_by", 2, 0b11_0000),
            numbered("up_by", 3, 0b111_0000),
            numbered("down_by", 1, 0b100),
        ],
        choices: 7,
        ..Vocabulary::default()
    };
    let members: Vec<Member> = ROLES
        .iter()
        .map(|role| Member {
            name: (*role).to_owned(),
            role: (*role).to_owned(),
        })
        .collect();
    organization.compile(&vocabulary, &members).unwrap();
}

#[test]
fn what_cannot_be_analyzed_is_refused() {
    let trained = team(Behavior::Planted, 1, 1);
    let nothing = Trajectories::default();
    assert_eq!(
        analyze(&nothing, &trained, None, 1),
        Err(AnalysisError::Empty)
    );
    let mut other = trained.clone();
    other.labels.pop();
    assert_eq!(
        analyze(&trained, &other, None, 1),
        Err(AnalysisError::Different("labels"))
    );
    assert!(analyze(&trained, &trained, None, 1).is_ok());
}
