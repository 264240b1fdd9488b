use serde_json::{Value, json};

use crate::house::{check, team, vocabulary};

/// Path and message of every fault, whether the file alone shows it or the vocabulary does.
fn faults(organization: Value, roles: &[&str]) -> Vec<(String, String)> {
    let found = match check(organization) {
        Err(faults) => faults,
        Ok(organization) => match organization.compile(&vocabulary(), &team(roles)) {
            Err(faults) => faults,
            Ok(_) => Vec::new(),
        },
    };
    found
        .into_iter()
        .map(|f| (f.path.clone(), f.to_string()))
        .collect()
}

#[track_caller]
fn refused(organization: Value, path: &str, part: &str) {
    let found = faults(organization, &["host"]);
    assert!(
        found
            .iter()
            .any(|(p, text)| p == path && text.contains(part)),
        "expected {path}: {part}, found {found:#?}"
    );
}

fn rule(when: &str, then: Value) -> Value {
    json!({"roles": {"host": {}}, "rules": [{"id": "r", "role": "host", "each": "s", "when": when, "then": then}]})
}

fn allow(when: &str) -> Value {
    rule(when, json!({"allow": ["hold(s)"]}))
}

#[test]
fn a_sound_organization_has_no_fault() {
    assert_eq!(faults(allow("heat(s) > 20"), &["host"]), []);
}

#[test]
fn unknown_names_are_found_and_a_likely_one_is_named() {
    refused(
        allow("heta(s) > 20"),
        "rules[0].when",
        "did you mean `heat`?",
    );
    refused(allow("heat(t) > 20"), "rules[0].when", "unknown name `t`");
    refused(
        rule("heat(s) > 20", json!({"allow": ["hodl(s)"]})),
        "rules[0].then.allow[0]",
        "did you mean `hold(s)`?",
    );
    refused(
        rule("heat(s) > 20", json!({"allow": ["up_by(7, s)"]})),
        "rules[0].then.allow[0]",
        "unknown action",
    );
    refused(
        json!({"roles": {"host": {"inherits": ["hots"]}}}),
        "roles.host.inherits[0]",
        "did you mean `host`?",
    );
    let found = faults(json!({"roles": {"host": {}}}), &["hots"]);
    assert!(found[0].1.contains("agent0") && found[0].1.contains("`host`"));
}

#[test]
fn conditions_must_have_the_right_type() {
    refused(allow("heat(s)"), "rules[0].when", "expected true or false");
    refused(
        allow("heat(s) + true > 1"),
        "rules[0].when",
        "expected a number",
    );
    refused(allow("heat(any) > 1"), "rules[0].when", "needs a subject");
    refused(allow("heat(s) >"), "rules[0].when", "not an expression");
    refused(
        allow("delta(heat(s), 0) > 1"),
        "rules[0].when",
        "cannot look back",
    );
    refused(allow("goal(lunch)"), "rules[0].when", "unknown goal");
    refused(
        allow("beside(s).exists(t, heat(t))"),
        "rules[0].when",
        "true or false",
    );
}

#[test]
fn hardness_between_mask_and_penalty_is_refused_for_now() {
    let mut soft = allow("heat(s) > 20");
    soft["rules"][0]["hardness"] = 0.5.into();
    refused(
        soft,
        "rules[0].hardness",
        "soft mixtures are not supported yet",
    );
    let mut idle = allow("heat(s) > 20");
    idle["rules"][0]["hardness"] = 0.into();
    refused(idle, "rules[0]", "has no effect");
    let mut positive = allow("heat(s) > 20");
    positive["rules"][0]["penalty"] = 1.into();
    refused(positive, "rules[0].penalty", "must lie in [-1000, 0]");
    let mut pattern = allow("heat(s) > 20");
    pattern["rules"][0]["pattern"] = "[a,b](1,*)".into();
    refused(pattern, "rules[0].pattern", "not supported yet");
}

#[test]
fn numbers_too_large_to_train_on_are_refused() {
    let mut rule = allow("heat(s) > 20");
    rule["rules"][0]["penalty"] = (-1e308).into();
    refused(rule, "rules[0].penalty", "must lie in [-1000, 0]");
    let mut bound = allow("heat(s) > 20");
    bound["reward"] = json!({"bound": 1e308});
    refused(bound, "reward.bound", "must lie in [0, 1000]");
    let goal = |value: &str, weight: f64| {
        json!({"roles": {"host": {}}, "goals": {"g": {"when": "true", "value": value}},
            "missions": {"m": {"goals": [{"goal": "g", "weight": weight}]}}})
    };
    let says = "must lie in [-1000, 1000]";
    refused(goal("1", 1e308), "missions.m.goals[0].weight", says);
    refused(goal("-1e308", 1.0), "goals.g.value", says);
}

#[test]
fn cycles_are_found_with_their_way_round() {
    refused(
        json!({"roles": {"host": {"inherits": ["guest"]}, "guest": {"inherits": ["host"]}}}),
        "roles.guest.inherits",
        "guest → host → guest",
    );
    refused(
        json!({"roles": {"host": {}}, "labels": {"x": {"when": "y"}, "y": {"when": "!x"}}}),
        "labels.x.when",
        "x → y → x",
    );
    refused(
        json!({"roles": {"host": {}}, "goals": {"g": {}, "h": {}}, "missions": {"m": {"goals": [{"goal": "g"}]}},
            "plans": [{"goal": "g", "operator": "choice", "goals": ["h"]}, {"goal": "h", "operator": "choice", "goals": ["g"]}]}),
        "plans[0].goals",
        "go round",
    );
    refused(
        json!({"roles": {"host": {}}, "goals": {"g": {"when": "true"}},
            "missions": {"m": {"goals": [{"goal": "g"}]}, "n": {"goals": [{"goal": "g"}]}},
            "preferences": [{"prefer": "m", "over": "n"}, {"prefer": "n", "over": "m"}]}),
        "preferences",
        "m → n → m",
    );
}

#[test]
fn rules_that_contradict_each_other_are_explained() {
    let contradiction = json!({"roles": {"host": {}}, "rules": [
        {"id": "warm", "role": "host", "each": "s", "when": "people(s) > 0", "then": {"allow": ["up(s)"]}},
        {"id": "save", "role": "host", "each": "s", "when": "heat(s) > 20", "then": {"forbid": ["up(s)"]}},
    ]});
    refused(contradiction.clone(), "rules[1]", "contradicts rule `warm`");
    refused(
        contradiction.clone(),
        "rules[1]",
        "0 < people(hall) and 20 < heat(hall)",
    );
    let mut exclusive = contradiction.clone();
    exclusive["rules"][0]["when"] = "people(s) > 0 && heat(s) < 18".into();
    assert_eq!(faults(exclusive, &["host"]), []);
    let mut apart = contradiction;
    apart["rules"][0]["during"] = json!({"to": 5});
    apart["rules"][1]["during"] = json!({"from": 5});
    assert_eq!(faults(apart, &["host"]), []);
}

#[test]
fn rules_that_cannot_fire_or_leave_no_choice_are_faults() {
    refused(
        allow("heat(s) > 20 && heat(s) < 10"),
        "rules[0].when",
        "can never hold",
    );
    refused(
        rule("true", json!({"forbid": ["down(s)", "up(s)", "hold(s)"]})),
        "rules[0].then.forbid",
        "leaves no choice",
    );
    refused(
        rule("true", json!({"allow": []})),
        "rules[0].then.allow",
        "lists no action",
    );
    let mut never = allow("true");
    never["rules"][0]["during"] = json!({"from": 5, "to": 5});
    refused(never, "rules[0].during", "is empty");
    // A fact may rule out all subjects of one vocabulary; that is no fault of the file.
    assert_eq!(faults(allow("door(s) && !door(s)"), &["host"]), []);
}

#[test]
fn structure_and_norms_are_checked() {
    let base = json!({"roles": {"host": {}, "guest": {}}, "goals": {"g": {"when": "true"}},
        "missions": {"m": {"goals": [{"goal": "g"}]}}});
    let with = |key: &str, value: Value| {
        let mut organization = base.clone();
        organization[key] = value;
        organization
    };
    refused(
        with(
            "groups",
            json!({"home": {"roles": {"host": {"min": 3, "max": 1}}}}),
        ),
        "groups.home.roles.host",
        "min 3 is above max 1",
    );
    refused(
        with("groups", json!({"home": {"roles": {"host": {"min": 2}}}})),
        "groups.home.roles.host",
        "1 agents play `host`",
    );
    refused(
        with("groups", json!({"home": {"roles": {"guest": {}}}})),
        "roles.host",
        "is abstract",
    );
    let norm = |id: &str, mission: &str| json!({"id": id, "kind": "obligation", "role": "host", "mission": mission});
    refused(
        with("norms", json!([norm("n", "k")])),
        "norms[0].mission",
        "unknown mission",
    );
    refused(
        with("norms", json!([norm("n", "m"), norm("n", "m")])),
        "norms[1].id",
        "used twice",
    );
    let mut nobody = with("norms", json!([norm("n", "m")]));
    nobody["missions"]["m"]["agents"] = json!({"max": 0});
    refused(nobody, "norms[0].mission", "nobody may commit");
    refused(
        with(
            "goals",
            json!({"g": {"when": "true"}, "h": {"when": "true"}}),
        ),
        "goals.h",
        "in no mission",
    );
    refused(
        with("goals", json!({"g": {}})),
        "goals.g",
        "can never be reached",
    );
    refused(
        with("goals", json!({"g": {"payout": "dense"}})),
        "goals.g.value",
        "dense",
    );
    refused(
        with("labels", json!({"heat": {"when": "true"}})),
        "labels.heat",
        "already means",
    );
}

#[test]
fn keys_that_nobody_knows_are_refused_and_scripts_stay_text() {
    let script = json!({"format": 1, "name": "x", "roles": {"host": {"script_rules": ["rm"]}}});
    let result: Result<karma_moise::RawOrganization, _> = serde_json::from_value(script);
    assert!(result.unwrap_err().to_string().contains("script_rules"));
    assert!(check(json!({"format": 1, "name": "x"})).is_ok());
    let mut future = crate::house::raw(json!({}));
    future.format = 2;
    let faults = karma_moise::Organization::check(future).unwrap_err();
    assert_eq!(faults[0].path, "format");
}
