//! Agents against roles, abstract roles and cardinalities.

use std::collections::BTreeMap;

use super::Compiler;
use crate::{Group, Member, error::did_you_mean};

impl Compiler<'_> {
    /// Checks agents against roles, abstract roles and cardinalities.
    pub(super) fn team(&mut self, team: &[Member]) {
        let raw = self.raw();
        for member in team {
            let role = &member.role;
            if !raw.roles.contains_key(role) {
                let hint = did_you_mean(role, raw.roles.keys().map(String::as_str));
                self.fault(
                    "roles",
                    format!(
                        "agent `{}` has role `{role}`, which is not here",
                        member.name
                    ),
                    hint,
                );
            } else if !self.organization.closure().playable.contains(role) {
                self.fault(
                    format!("roles.{role}"),
                    format!("is abstract, yet agent `{}` plays it", member.name),
                    "list it among the roles of a group",
                );
            }
        }
        let mut ranges: BTreeMap<&str, (String, u32, Option<u32>)> = BTreeMap::new();
        for (name, group) in &raw.groups {
            add_ranges(&format!("groups.{name}"), group, &mut ranges);
        }
        for (role, (path, min, max)) in ranges {
            let players = team.iter().filter(|m| m.role == role).count() as u32;
            if players < min || max.is_some_and(|max| players > max) {
                let most = max.map_or("any number".to_owned(), |max| max.to_string());
                self.fault(
                    path,
                    format!("{players} agents play `{role}`, {min} to {most} may"),
                    "change the range, or the agents of the team",
                );
            }
        }
    }
}

/// Sums the cardinalities of each role over a group and its sub-groups.
fn add_ranges<'a>(
    path: &str,
    group: &'a Group,
    ranges: &mut BTreeMap<&'a str, (String, u32, Option<u32>)>,
) {
    for (role, count) in &group.roles {
        let path = format!("{path}.roles.{role}");
        let range = ranges.entry(role).or_insert((path, 0, Some(0)));
        range.1 = range.1.saturating_add(count.min);
        range.2 = range.2.zip(count.max).map(|(a, b)| a.saturating_add(b));
    }
    for (name, sub_group) in &group.groups {
        add_ranges(&format!("{path}.groups.{name}"), sub_group, ranges);
    }
}
