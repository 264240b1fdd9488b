//! Which roles the agents really play, from `analyze/roles.json`.

use serde::Serialize;
use serde_json::Value;

use super::{
    fidelity::list,
    format::{float, number, text, words},
};

#[derive(Debug, Serialize)]
pub(super) struct RolesView {
    figures: Vec<Figure>,
    agents: Vec<Agent>,
    goals: Vec<Goal>,
}

/// A figure of the trained team beside the untrained one's.
#[derive(Debug, Serialize)]
struct Figure {
    name: &'static str,
    note: &'static str,
    trained: String,
    untrained: String,
}

#[derive(Debug, Serialize)]
struct Agent {
    name: String,
    specified: String,
    inferred: String,
    is_same: bool,
    figures: Vec<String>,
    evidence: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Goal {
    name: String,
    share: String,
    evidence: Vec<String>,
}

const FIGURES: [(&str, &str, &str); 2] = [
    (
        "alignment_pct",
        "Alignment",
        "where a guide fired, the unmasked policy's choice is allowed",
    ),
    (
        "purity_pct",
        "Purity",
        "clusters of behavior that belong to one role",
    ),
];

pub(super) fn view(roles: &Value) -> RolesView {
    let untrained = roles.get("untrained");
    let percent = |value: f64| format!("{} %", number(value, 1));
    RolesView {
        figures: FIGURES
            .iter()
            .filter_map(|(key, name, note)| {
                Some(Figure {
                    name,
                    note,
                    trained: percent(float(roles, key)?),
                    untrained: untrained
                        .and_then(|u| float(u, key))
                        .map(percent)
                        .unwrap_or_default(),
                })
            })
            .collect(),
        agents: list(roles, "agents").into_iter().map(agent).collect(),
        goals: list(roles, "goals").into_iter().map(goal).collect(),
    }
}

fn agent(agent: &Value) -> Agent {
    let role = |keys: &[&str]| text(agent, keys).map(words).unwrap_or_default();
    let (specified, inferred) = (
        role(&["specified_role", "specified", "role"]),
        role(&["inferred_role", "inferred"]),
    );
    let figure = |(key, name, _): &(&str, &str, &str)| {
        Some(format!(
            "{} {} %",
            name.to_lowercase(),
            number(float(agent, key)?, 1)
        ))
    };
    Agent {
        name: role(&["agent", "name"]),
        is_same: specified == inferred,
        specified,
        inferred,
        figures: FIGURES.iter().filter_map(figure).collect(),
        evidence: evidence(agent),
    }
}

fn goal(goal: &Value) -> Goal {
    Goal {
        name: text(goal, &["id", "name"]).map(words).unwrap_or_default(),
        share: float(goal, "share_pct")
            .map(|share| format!("{} % of the time", number(share, 0)))
            .unwrap_or_default(),
        evidence: evidence(goal),
    }
}

/// Sentences; one or several.
fn evidence(value: &Value) -> Vec<String> {
    match value.get("evidence") {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(lines)) => lines
            .iter()
            .filter_map(|line| line.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}
