//! Faults of an organization that can be seen without a vocabulary.

mod functional;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Cardinality, During, Group, RawOrganization, Rule, SpecFault, Then,
    code::syntax::{Term, parse},
    error::did_you_mean,
};

/// Largest number that enters a reward, as large as the weights of the team's own reward may be:
/// sums and squares of larger ones leave the numbers that training reckons with.
const MOST: f64 = 1000.0;

/// Collects faults.
pub(crate) struct Checker<'a> {
    raw: &'a RawOrganization,
    faults: Vec<SpecFault>,
}

/// Every fault of `raw`.
pub(crate) fn faults(raw: &RawOrganization) -> Vec<SpecFault> {
    let mut checker = Checker {
        raw,
        faults: Vec::new(),
    };
    checker.header();
    checker.roles();
    for (name, group) in &raw.groups {
        checker.group(&format!("groups.{name}"), group);
    }
    checker.labels();
    checker.goals();
    checker.plans();
    checker.missions();
    checker.preferences();
    checker.norms();
    checker.rules();
    checker.faults
}

impl Checker<'_> {
    fn fault(
        &mut self,
        path: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.faults.push(SpecFault::new(path, message, hint));
    }

    /// Faults a name that is not a key of `known`.
    fn known<T>(&mut self, path: &str, kind: &str, name: &str, known: &BTreeMap<String, T>) {
        if !known.contains_key(name) {
            let hint = did_you_mean(name, known.keys().map(String::as_str));
            self.fault(path, format!("unknown {kind} `{name}`"), hint);
        }
    }

    fn unique<'b>(&mut self, list: &str, ids: impl Iterator<Item = &'b str>) {
        let mut seen = BTreeSet::new();
        for (index, id) in ids.enumerate() {
            if !seen.insert(id) {
                self.fault(
                    format!("{list}[{index}].id"),
                    format!("`{id}` is used twice"),
                    "give every entry its own id",
                );
            }
        }
    }

    /// A cycle through the keys of a relation, as text.
    fn cycle<'b>(edges: &BTreeMap<&'b str, Vec<&'b str>>) -> Option<(&'b str, String)> {
        for start in edges.keys() {
            let mut path = vec![*start];
            if closes(edges, &mut path) {
                let text = path.join(" → ");
                return Some((start, text));
            }
        }
        None
    }

    fn header(&mut self) {
        if self.raw.format != 1 {
            self.fault(
                "format",
                format!("format {} is not known", self.raw.format),
                "this version reads format 1",
            );
        }
        let reward = self.raw.reward;
        if !(0.0..=MOST).contains(&reward.bound) {
            let message = format!("must lie in [0, {MOST}]");
            self.fault("reward.bound", message, "try 0.1");
        }
        if !(reward.epsilon >= 0.01 && reward.epsilon <= 1.0) {
            self.fault(
                "reward.epsilon",
                "must lie in [0.01, 1]",
                "an obligation pays 1/ε times its value: 0.1 gives 10",
            );
        }
    }

    fn roles(&mut self) {
        let raw = self.raw;
        let mut edges = BTreeMap::new();
        for (name, role) in &raw.roles {
            for (index, parent) in role.inherits.iter().enumerate() {
                let path = format!("roles.{name}.inherits[{index}]");
                self.known(&path, "role", parent, &raw.roles);
            }
            let parents: Vec<&str> = role.inherits.iter().map(String::as_str).collect();
            edges.insert(name.as_str(), parents);
        }
        if let Some((role, cycle)) = Self::cycle(&edges) {
            self.fault(
                format!("roles.{role}.inherits"),
                format!("inheritance goes round: {cycle}"),
                "a role cannot be its own ancestor",
            );
        }
    }

    fn cardinality(&mut self, path: &str, count: Cardinality) {
        if let Some(max) = count.max.filter(|max| *max < count.min) {
            self.fault(
                path,
                format!("min {} is above max {max}", count.min),
                "raise max or lower min",
            );
        }
    }

    fn group(&mut self, path: &str, group: &Group) {
        let raw = self.raw;
        for (role, count) in &group.roles {
            let path = format!("{path}.roles.{role}");
            self.known(&path, "role", role, &raw.roles);
            self.cardinality(&path, *count);
        }
        for (name, count) in &group.group_cardinalities {
            let path = format!("{path}.group_cardinalities.{name}");
            self.known(&path, "sub-group", name, &group.groups);
            self.cardinality(&path, *count);
        }
        for (index, link) in group.links.iter().enumerate() {
            let path = format!("{path}.links[{index}]");
            self.known(&format!("{path}.from"), "role", &link.from, &raw.roles);
            self.known(&format!("{path}.to"), "role", &link.to, &raw.roles);
        }
        for (index, pair) in group.compatibilities.iter().enumerate() {
            let path = format!("{path}.compatibilities[{index}]");
            self.known(&format!("{path}.role"), "role", &pair.role, &raw.roles);
            self.known(&format!("{path}.with"), "role", &pair.with, &raw.roles);
        }
        for (name, sub_group) in &group.groups {
            self.group(&format!("{path}.groups.{name}"), sub_group);
        }
    }

    /// Reads an expression, faulting it where it cannot be read.
    fn expression(&mut self, path: &str, text: &str) -> Option<Term> {
        match parse(text) {
            Ok(term) => Some(term),
            Err(message) => {
                self.fault(
                    path,
                    message,
                    "conditions use && || ! comparisons, arithmetic, labels and features, e.g. \
                     `queue_high(s) && ready(s) > 1`",
                );
                None
            }
        }
    }

    fn labels(&mut self) {
        let raw = self.raw;
        let mut edges = BTreeMap::new();
        for (name, label) in &raw.labels {
            let Some(term) = self.expression(&format!("labels.{name}.when"), &label.when) else {
                continue;
            };
            let mut used = Vec::new();
            term.names(&mut |n| used.extend(raw.labels.get_key_value(n).map(|(k, _)| k.as_str())));
            edges.insert(name.as_str(), used);
        }
        if let Some((label, cycle)) = Self::cycle(&edges) {
            self.fault(
                format!("labels.{label}.when"),
                format!("labels are defined by each other: {cycle}"),
                "define one of them by features alone",
            );
        }
    }

    fn no_patterns(&mut self, path: &str) {
        self.fault(
            path,
            "trajectory patterns are not supported yet",
            "write a condition with `when`, `delta` and `mean`",
        );
    }

    fn during(&mut self, path: &str, during: Option<During>) {
        if let Some(During { from, to: Some(to) }) = during
            && to <= from
        {
            self.fault(
                format!("{path}.during"),
                format!("the time window from {from} to before {to} is empty"),
                "`to` is the first step that is no longer in",
            );
        }
    }

    fn rules(&mut self) {
        let raw = self.raw;
        self.unique("rules", raw.rules.iter().map(|r| r.id.as_str()));
        for (index, rule) in raw.rules.iter().enumerate() {
            let path = format!("rules[{index}]");
            self.known(&format!("{path}.role"), "role", &rule.role, &raw.roles);
            self.during(&path, rule.during);
            if let Some(when) = &rule.when {
                self.expression(&format!("{path}.when"), when);
            }
            if rule.pattern.is_some() {
                self.no_patterns(&format!("{path}.pattern"));
            }
            self.rule_strength(&path, rule);
            let (verb, actions) = rule.then.parts();
            if actions.is_empty() {
                self.fault(
                    format!("{path}.then.{verb}"),
                    "lists no action",
                    "list at least one, e.g. `hold(any)`",
                );
            }
            for (i, action) in actions.iter().enumerate() {
                self.expression(&format!("{path}.then.{verb}[{i}]"), action);
            }
        }
    }

    fn rule_strength(&mut self, path: &str, rule: &Rule) {
        let hardness = rule.hardness;
        let masks = matches!(rule.then, Then::Allow(_) | Then::Forbid(_));
        if !(0.0..=1.0).contains(&hardness) {
            self.fault(
                format!("{path}.hardness"),
                "must be 0 or 1",
                "1 masks, 0 only costs the penalty",
            );
        } else if masks && hardness > 0.0 && hardness < 1.0 {
            self.fault(
                format!("{path}.hardness"),
                "soft mixtures are not supported yet",
                "use 1 (mask) or 0 (penalty only)",
            );
        }
        if !(-MOST..=0.0).contains(&rule.penalty) {
            self.fault(
                format!("{path}.penalty"),
                format!("must lie in [-{MOST}, 0]"),
                "a penalty is added to the reward",
            );
        }
        if rule.penalty == 0.0 && (hardness == 0.0 || !masks) {
            self.fault(
                path,
                "has no effect: it masks nothing and costs nothing",
                "set hardness 1, or a penalty below 0",
            );
        }
    }
}

impl Then {
    /// The verb and the actions it governs.
    #[must_use]
    pub fn parts(&self) -> (&'static str, &[String]) {
        match self {
            Self::Allow(actions) => ("allow", actions),
            Self::Forbid(actions) => ("forbid", actions),
            Self::Prefer(actions) => ("prefer", actions),
            Self::Avoid(actions) => ("avoid", actions),
        }
    }
}

/// Whether a path through `edges` can be continued to its own start.
fn closes<'b>(edges: &BTreeMap<&'b str, Vec<&'b str>>, path: &mut Vec<&'b str>) -> bool {
    let last = path[path.len() - 1];
    for next in edges.get(last).into_iter().flatten() {
        if *next == path[0] {
            path.push(next);
            return true;
        }
        if !path.contains(next) {
            path.push(next);
            if closes(edges, path) {
                return true;
            }
            path.pop();
        }
    }
    false
}
