//! Goals, plans, missions, preferences and norms.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, MOST};
use crate::{Goal, NormKind, Payout, RawOrganization};

impl Checker<'_> {
    pub(super) fn goals(&mut self) {
        let raw = self.raw;
        let planned: BTreeSet<&str> = raw.plans.iter().map(|p| p.goal.as_str()).collect();
        let in_mission: BTreeSet<&str> = raw
            .missions
            .values()
            .flat_map(|m| m.goals.iter().map(|g| g.goal.as_str()))
            .collect();
        for (name, goal) in &raw.goals {
            let path = format!("goals.{name}");
            if let Some(when) = &goal.when {
                self.expression(&format!("{path}.when"), when);
            }
            if goal.pattern.is_some() {
                self.no_patterns(&format!("{path}.pattern"));
            }
            self.goal_value(&path, goal);
            let has_plan = planned.contains(name.as_str());
            if goal.when.is_some() && has_plan {
                self.fault(
                    &path,
                    "has a condition and a plan",
                    "a planned goal is reached when its plan is: drop `when`",
                );
            }
            if goal.when.is_none()
                && goal.pattern.is_none()
                && !has_plan
                && goal.payout != Payout::Dense
            {
                self.fault(
                    &path,
                    "can never be reached: it has neither a condition nor a plan",
                    "add `when`, or a plan for it",
                );
            }
            if !in_mission.contains(name.as_str()) && !has_mission_above(raw, name) {
                self.fault(
                    &path,
                    "is in no mission",
                    "add it to the goals of a mission",
                );
            }
        }
    }

    fn goal_value(&mut self, path: &str, goal: &Goal) {
        let path = format!("{path}.value");
        match (&goal.value, goal.payout) {
            (None, Payout::Dense) => self.fault(
                path,
                "a dense goal needs the expression that it pays",
                "e.g. `-sum(any.map(s, queued_s(s))) / 10`",
            ),
            (None, _) => {}
            (Some(text), payout) => {
                if payout == Payout::Dense {
                    self.expression(&path, text);
                    return;
                }
                let constant = text.trim().parse::<f64>().ok();
                if let Some(number) = constant.filter(|number| number.is_finite()) {
                    self.size(path, number);
                } else {
                    self.fault(
                        path,
                        "is not a number",
                        "only dense goals pay an expression",
                    );
                }
            }
        }
    }

    /// Faults a factor on the reward that is no number or too large.
    fn size(&mut self, path: String, number: f64) {
        if !(-MOST..=MOST).contains(&number) {
            let message = format!("must lie in [-{MOST}, {MOST}]");
            self.fault(path, message, "the team's own reward is of order 1");
        }
    }

    pub(super) fn plans(&mut self) {
        let raw = self.raw;
        let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (index, plan) in raw.plans.iter().enumerate() {
            let path = format!("plans[{index}]");
            self.known(&format!("{path}.goal"), "goal", &plan.goal, &raw.goals);
            for (i, goal) in plan.goals.iter().enumerate() {
                self.known(&format!("{path}.goals[{i}]"), "goal", goal, &raw.goals);
            }
            if plan.goals.is_empty() {
                self.fault(
                    format!("{path}.goals"),
                    "a plan needs sub-goals",
                    "list at least one goal",
                );
            }
            if !(0.0..=1.0).contains(&plan.success) {
                self.fault(format!("{path}.success"), "must lie in [0, 1]", "");
            }
            let parts = plan.goals.iter().map(String::as_str).collect();
            if edges.insert(&plan.goal, parts).is_some() {
                self.fault(
                    format!("{path}.goal"),
                    format!("goal `{}` has two plans", plan.goal),
                    "one operator per goal; mix operators through auxiliary goals",
                );
            }
        }
        if let Some((goal, cycle)) = Self::cycle(&edges) {
            let index = raw.plans.iter().position(|p| p.goal == goal);
            self.fault(
                format!("plans[{}].goals", index.unwrap_or_default()),
                format!("plans go round: {cycle}"),
                "a goal cannot be its own sub-goal",
            );
        }
    }

    pub(super) fn missions(&mut self) {
        let raw = self.raw;
        for (name, mission) in &raw.missions {
            let path = format!("missions.{name}");
            if mission.goals.is_empty() {
                self.fault(format!("{path}.goals"), "a mission needs goals", "");
            }
            for (index, goal) in mission.goals.iter().enumerate() {
                let path = format!("{path}.goals[{index}]");
                self.known(&format!("{path}.goal"), "goal", &goal.goal, &raw.goals);
                self.size(format!("{path}.weight"), goal.weight);
            }
            if let Some(agents) = mission.agents {
                self.cardinality(&format!("{path}.agents"), agents);
            }
        }
    }

    pub(super) fn preferences(&mut self) {
        let raw = self.raw;
        let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (index, preference) in raw.preferences.iter().enumerate() {
            let path = format!("preferences[{index}]");
            let (prefer, over) = (&preference.prefer, &preference.over);
            self.known(&format!("{path}.prefer"), "mission", prefer, &raw.missions);
            self.known(&format!("{path}.over"), "mission", over, &raw.missions);
            edges.entry(prefer).or_default().push(over);
        }
        if let Some((_, cycle)) = Self::cycle(&edges) {
            self.fault(
                "preferences",
                format!("preferences go round: {cycle}"),
                "drop one of them",
            );
        }
    }

    pub(super) fn norms(&mut self) {
        let raw = self.raw;
        self.unique("norms", raw.norms.iter().map(|n| n.id.as_str()));
        for (index, norm) in raw.norms.iter().enumerate() {
            let path = format!("norms[{index}]");
            self.known(&format!("{path}.role"), "role", &norm.role, &raw.roles);
            let mission_path = format!("{path}.mission");
            self.known(&mission_path, "mission", &norm.mission, &raw.missions);
            self.during(&path, norm.during);
            let nobody = raw
                .missions
                .get(&norm.mission)
                .and_then(|m| m.agents)
                .is_some_and(|a| a.max == Some(0));
            if nobody && norm.kind == NormKind::Obligation {
                self.fault(
                    mission_path,
                    format!(
                        "nobody may commit to mission `{}` (max 0), yet it is an obligation",
                        norm.mission
                    ),
                    "raise the mission's agents.max, or drop the norm",
                );
            }
        }
    }
}

/// Whether a goal above `name` in the plans is in a mission.
fn has_mission_above(raw: &RawOrganization, name: &str) -> bool {
    let mut above = BTreeSet::from([name]);
    loop {
        let more: Vec<&str> = raw
            .plans
            .iter()
            .filter(|p| p.goals.iter().any(|g| above.contains(g.as_str())))
            .map(|p| p.goal.as_str())
            .filter(|g| !above.contains(g))
            .collect();
        if more.is_empty() {
            break;
        }
        above.extend(more);
    }
    raw.missions
        .values()
        .flat_map(|m| &m.goals)
        .any(|g| above.contains(g.goal.as_str()))
}
