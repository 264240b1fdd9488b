//! The organization that a team shows, in the form of the one that was asked for.

use std::collections::BTreeMap;

use karma_moise::{
    Cardinality, Goal as RawGoal, GoalKind, Group, Mission, MissionGoal, Norm, NormKind,
    Organization, Payout, RawOrganization, Rule, Then,
};

use crate::{goals::Goal, hierarchy::AbstractRole, roles::Role};

/// A label that covers this share of a habit becomes a condition, not only a preference.
const BINDING: f64 = 0.95;

/// What doing as inferred is worth: small beside a reward of order 1.
const PREFERENCE: f64 = -0.001;

/// Writes roles, rules, goals, missions and norms as an organization file says them. It reads back
/// and can guide the next training.
pub(crate) fn organization(
    name: &str,
    roles: &[Role],
    abstract_roles: &[AbstractRole],
    goals: &[Goal],
    specified: Option<&Organization>,
) -> RawOrganization {
    let mut inferred = RawOrganization {
        format: 1,
        name: name.to_owned(),
        description: "Inferred from what a trained team did. Rules of hardness 1 bind where a \
                      label covers at least 95 % of a habit."
            .to_owned(),
        labels: specified.map_or_else(BTreeMap::new, |o| o.raw().labels.clone()),
        ..RawOrganization::default()
    };
    let mut group = Group::default();
    for role in roles {
        inferred.roles.insert(
            role.name.clone(),
            karma_moise::Role {
                inherits: role.inherits.iter().cloned().collect(),
                description: role.summary.clone(),
            },
        );
        group
            .roles
            .insert(role.name.clone(), Cardinality::default());
        add_rules(&mut inferred.rules, role);
    }
    for role in abstract_roles {
        inferred.roles.insert(
            role.name.clone(),
            karma_moise::Role {
                inherits: role.inherits.iter().cloned().collect(),
                description: role.summary.clone(),
            },
        );
    }
    // A group that lists only what is played: the rest is abstract.
    inferred.groups.insert("team".to_owned(), group);
    for (index, goal) in goals.iter().filter(|g| g.is_goal).enumerate() {
        add_goal(&mut inferred, index, goal, roles);
    }
    inferred
}

fn add_rules(rules: &mut Vec<Rule>, role: &Role) {
    for evidence in &role.evidence {
        let (verb, service) = (
            if evidence.raises { "up" } else { "down" },
            &evidence.service,
        );
        let action = format!("{verb}_by({}, {service})", evidence.most);
        let rule = |suffix: &str, when: String, then: Then, hardness: f64| Rule {
            id: format!("{}_{verb}_{service}{suffix}", role.name),
            role: role.name.clone(),
            each: None,
            when: Some(when),
            pattern: None,
            during: None,
            then,
            hardness,
            penalty: if hardness == 1.0 { 0.0 } else { PREFERENCE },
            description: evidence.sentence.clone(),
        };
        let Some(label) = &evidence.label else {
            continue;
        };
        rules.push(rule("", label.clone(), Then::Prefer(vec![action]), 0.0));
        if evidence.covers.is_some_and(|covers| covers >= BINDING) {
            let other = Then::Forbid(vec![format!("{verb}({service})")]);
            rules.push(rule("_only", format!("!({label})"), other, 1.0));
        }
    }
}

/// A state becomes a goal to be in while its two most telling labels hold. All roles may pursue it.
fn add_goal(inferred: &mut RawOrganization, index: usize, goal: &Goal, roles: &[Role]) {
    let known: Vec<&str> = goal
        .labels
        .iter()
        .take(2)
        .map(|(l, _)| l.as_str())
        .collect();
    if known.is_empty() {
        return;
    }
    let (goal_id, mission) = (
        format!("state_{}", index + 1),
        format!("reach_{}", index + 1),
    );
    inferred.goals.insert(
        goal_id.clone(),
        RawGoal {
            description: goal.description.clone(),
            kind: GoalKind::Maintenance,
            when: Some(known.join(" && ")),
            payout: Payout::EveryStep,
            value: Some("0.001".to_owned()),
            ..RawGoal::default()
        },
    );
    inferred.missions.insert(
        mission.clone(),
        Mission {
            description: format!(
                "Visited by {:.0} % of the successful episodes.",
                100.0 * goal.visited_by_successful
            ),
            goals: vec![MissionGoal {
                goal: goal_id,
                weight: 1.0,
            }],
            agents: None,
        },
    );
    for role in roles {
        inferred.norms.push(Norm {
            id: format!("{}_{mission}", role.name),
            kind: NormKind::Permission,
            role: role.name.clone(),
            mission: mission.clone(),
            during: None,
        });
    }
}
