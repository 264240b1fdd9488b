//! Which roles the agents really play, from `analyze/roles.json`.

use serde::Serialize;
use serde_json::Value;

use super::{
    fidelity::list,
    format::{float, number, text, words},
};

/// Habits and labels told per role and per state; the file has all.
const LINES: usize = 5;
/// States told.
const STATES: usize = 6;

#[derive(Debug, Serialize)]
pub(super) struct RolesView {
    figures: Vec<Figure>,
    roles: Vec<Role>,
    states: Vec<State>,
}

/// A figure of the trained team beside the untrained one's.
#[derive(Debug, Serialize)]
struct Figure {
    name: &'static str,
    note: &'static str,
    trained: String,
    untrained: String,
}

/// A role as it was played.
#[derive(Debug, Serialize)]
struct Role {
    name: String,
    players: String,
    /// Whether the agents of the specified role, and only they, play it.
    is_pure: bool,
    figures: String,
    evidence: Vec<String>,
}

/// A state that the team passes through.
#[derive(Debug, Serialize)]
struct State {
    description: String,
    share: String,
    is_goal: bool,
}

/// Figures: path in the file, name, what it says, factor to percent.
type FigurePath = (&'static [&'static str], &'static str, &'static str, f64);

const FIGURES: [FigurePath; 4] = [
    (
        &["alignment", "percent"],
        "Alignment",
        "Where a guide fired, the choice the policy would make without masks is allowed.",
        1.0,
    ),
    (
        &["purity_percent"],
        "Purity",
        "Share of a cluster of behavior that belongs to one role.",
        1.0,
    ),
    (
        &["structural", "score"],
        "Structural fit",
        "How much more alike the players of a role act than by chance.",
        100.0,
    ),
    (
        &["functional", "score"],
        "Functional fit",
        "How much more alike the states are that they pass through.",
        100.0,
    ),
];

pub(super) fn view(roles: &Value) -> RolesView {
    RolesView {
        figures: FIGURES
            .iter()
            .filter_map(|path| figure(roles, path))
            .collect(),
        roles: list(roles, "roles").into_iter().map(role).collect(),
        states: list(roles, "goals")
            .into_iter()
            .take(STATES)
            .map(state)
            .collect(),
    }
}

fn figure(roles: &Value, (path, name, note, factor): &FigurePath) -> Option<Figure> {
    let of = |team: &str| {
        let value = path
            .iter()
            .try_fold(roles.get(team)?, |value, key| value.get(key));
        Some(percent(value?.as_f64()? * factor, 1))
    };
    Some(Figure {
        name,
        note,
        trained: of("trained")?,
        untrained: of("untrained").unwrap_or_default(),
    })
}

fn role(role: &Value) -> Role {
    let specified = text(role, &["specified"]).unwrap_or_default();
    let member = |member: &&Value| {
        let share = float(member, "share")?;
        let agent = words(text(member, &["agent"])?);
        Some(if share >= 0.995 {
            agent
        } else {
            format!("{agent} in {} of its histories", percent(100.0 * share, 0))
        })
    };
    let members: Vec<String> = list(role, "members").iter().filter_map(member).collect();
    let purity = float(role, "purity").unwrap_or_default();
    let figures = [
        Some(format!(
            "{} {}",
            percent(100.0 * purity, 0),
            words(specified)
        )),
        float(role, "holds").map(|holds| {
            format!(
                "changes nothing in {} of windows",
                percent(100.0 * holds, 0)
            )
        }),
        float(role, "histories").map(|count| format!("{} histories", number(count, 0))),
    ];
    Role {
        name: words(text(role, &["name"]).unwrap_or("unnamed")),
        players: members.join(", "),
        is_pure: purity >= 0.995,
        figures: figures
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" · "),
        evidence: list(role, "evidence")
            .into_iter()
            .take(LINES)
            .filter_map(|evidence| text(evidence, &["sentence"]).map(str::to_owned))
            .collect(),
    }
}

fn state(goal: &Value) -> State {
    let time = |key| float(goal, key).map(|share| percent(100.0 * share, 0));
    let good = time("time_of_successful").map(|t| format!("{t} of successful episodes"));
    let other = time("time_of_others").map(|t| format!("{t} of the others"));
    State {
        description: text(goal, &["description"]).unwrap_or_default().to_owned(),
        share: good.into_iter().chain(other).collect::<Vec<_>>().join(", "),
        is_goal: goal
            .get("is_goal")
            .and_then(Value::as_bool)
            .unwrap_or(false),
    }
}

fn percent(value: f64, digits: usize) -> String {
    format!("{} %", number(value, digits))
}
