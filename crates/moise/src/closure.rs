//! Everything an organization implies: the closure of MOISE+ under its axioms.
//!
//! Axioms are numbered as in Hübner's specification of the model: inheritance is transitive (A1),
//! authority implies communication implies acquaintance (A2), links and compatibilities pass to
//! sub-roles (A3, A5) but never join a role with its super-role (A6), compatibility is reflexive and
//! transitive (A4), both pass to sub-groups and the other way where declared (A7), an obligation
//! implies the permission (A8), norms bind sub-roles (A9), preference is transitive (A10), abstract
//! roles have no players (A11).

use std::collections::{BTreeMap, BTreeSet};

use crate::{Group, LinkKind, NormKind, RawOrganization, Scope};

/// A link that holds in a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImpliedLink {
    /// Path of the group, names joined by `/`.
    pub group: String,
    /// Role of the source.
    pub from: String,
    /// Role of the target.
    pub to: String,
    /// Kind.
    pub kind: LinkKind,
    /// Scope.
    pub scope: Scope,
}

/// A compatibility that holds in a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImpliedCompatibility {
    /// Path of the group, names joined by `/`.
    pub group: String,
    /// Role held.
    pub role: String,
    /// Role that may be adopted.
    pub with: String,
    /// Scope.
    pub scope: Scope,
}

/// What an organization implies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Closure {
    /// Super-roles of each role, nearest first, itself included.
    pub supers: BTreeMap<String, Vec<String>>,
    /// Roles that some group lists as playable; every role where there is no group.
    pub playable: BTreeSet<String>,
    /// Links.
    pub links: BTreeSet<ImpliedLink>,
    /// Compatibilities between different roles; each role is compatible with itself.
    pub compatibilities: BTreeSet<ImpliedCompatibility>,
    /// Norms that bind each role, own and inherited: indices into the file's norms.
    pub norms: BTreeMap<String, Vec<usize>>,
    /// Whether a role may and must commit to a mission; an obligation is in both.
    pub deontic: BTreeSet<(String, NormKind, String)>,
    /// Pairs of missions, the preferred one first.
    pub preferences: BTreeSet<(String, String)>,
}

impl Closure {
    /// Computes the closure. Dangling names are ignored: they are faults of their own.
    #[must_use]
    pub fn of(raw: &RawOrganization) -> Self {
        let supers: BTreeMap<String, Vec<String>> = raw
            .roles
            .keys()
            .map(|role| (role.clone(), super_roles(raw, role)))
            .collect();
        let mut closure = Self {
            supers,
            ..Self::default()
        };
        for (name, group) in &raw.groups {
            closure.add_group(name, group, &[], &[]);
        }
        if raw.groups.is_empty() {
            closure.playable = raw.roles.keys().cloned().collect();
        }
        for (role, supers) in &closure.supers {
            let bound = (0..raw.norms.len()).filter(|i| supers.contains(&raw.norms[*i].role));
            closure.norms.insert(role.clone(), bound.collect());
        }
        for (role, norms) in &closure.norms {
            for norm in norms.iter().map(|i| &raw.norms[*i]) {
                let mut add = |kind| {
                    closure
                        .deontic
                        .insert((role.clone(), kind, norm.mission.clone()))
                };
                add(norm.kind);
                add(NormKind::Permission);
            }
        }
        let pairs = raw
            .preferences
            .iter()
            .map(|p| (p.prefer.clone(), p.over.clone()));
        closure.preferences = transitive(pairs.collect());
        closure
    }

    /// Whether `role` is `other` or one of its sub-roles.
    fn is_a(&self, role: &str, other: &str) -> bool {
        self.supers
            .get(role)
            .is_some_and(|supers| supers.iter().any(|s| s == other))
    }

    /// A role and its sub-roles.
    fn sub_roles(&self, role: &str) -> Vec<String> {
        self.supers
            .keys()
            .filter(|r| self.is_a(r, role))
            .cloned()
            .collect()
    }

    fn add_group(
        &mut self,
        path: &str,
        group: &Group,
        links: &[crate::Link],
        compatibilities: &[crate::Compatibility],
    ) {
        self.playable.extend(
            group
                .roles
                .iter()
                .filter(|(_, count)| count.max != Some(0))
                .map(|(role, _)| role.clone()),
        );
        let links: Vec<_> = group.links.iter().chain(links).cloned().collect();
        let compatibilities: Vec<_> = group
            .compatibilities
            .iter()
            .chain(compatibilities)
            .cloned()
            .collect();
        for link in &links {
            self.add_link(path, link);
        }
        self.add_compatibilities(path, &compatibilities);
        let passed_links: Vec<_> = links.into_iter().filter(|l| l.extends_subgroups).collect();
        let passed: Vec<_> = compatibilities
            .into_iter()
            .filter(|c| c.extends_subgroups)
            .collect();
        for (name, sub_group) in &group.groups {
            self.add_group(&format!("{path}/{name}"), sub_group, &passed_links, &passed);
        }
    }

    fn add_link(&mut self, group: &str, link: &crate::Link) {
        let kinds = [
            LinkKind::Acquaintance,
            LinkKind::Communication,
            LinkKind::Authority,
        ];
        let mut ends = vec![(link.from.as_str(), link.to.as_str())];
        if link.both_ways {
            ends.push((&link.to, &link.from));
        }
        for (from, to) in ends {
            for from in self.sub_roles(from) {
                for to in self.sub_roles(to) {
                    for kind in kinds.into_iter().filter(|kind| *kind <= link.kind) {
                        self.links.insert(ImpliedLink {
                            group: group.to_owned(),
                            from: from.clone(),
                            to: to.clone(),
                            kind,
                            scope: link.scope,
                        });
                    }
                }
            }
        }
    }

    fn add_compatibilities(&mut self, group: &str, all: &[crate::Compatibility]) {
        for scope in [Scope::Intra, Scope::Inter] {
            let mut pairs = BTreeSet::new();
            for compatibility in all.iter().filter(|c| c.scope == scope) {
                let mut ends = vec![(&compatibility.role, &compatibility.with)];
                if compatibility.both_ways {
                    ends.push((&compatibility.with, &compatibility.role));
                }
                for (role, with) in ends {
                    for role in self.sub_roles(role) {
                        for with in self.sub_roles(with) {
                            pairs.insert((role.clone(), with));
                        }
                    }
                }
            }
            let declared: BTreeSet<_> = all
                .iter()
                .flat_map(|c| [(&c.role, &c.with), (&c.with, &c.role)])
                .collect();
            for (role, with) in transitive(pairs) {
                // A6: a declaration may join a role with its super-role, inheritance may not.
                let related = self.is_a(&role, &with) || self.is_a(&with, &role);
                if role != with && (!related || declared.contains(&(&role, &with))) {
                    self.compatibilities.insert(ImpliedCompatibility {
                        group: group.to_owned(),
                        role,
                        with,
                        scope,
                    });
                }
            }
        }
    }
}

/// A role and its super-roles, nearest first; each once, cycles cut.
fn super_roles(raw: &RawOrganization, role: &str) -> Vec<String> {
    let mut found = vec![role.to_owned()];
    let mut next = 0;
    while next < found.len() {
        if let Some(role) = raw.roles.get(&found[next]) {
            for parent in &role.inherits {
                if raw.roles.contains_key(parent) && !found.contains(parent) {
                    found.push(parent.clone());
                }
            }
        }
        next += 1;
    }
    found
}

/// The transitive closure of a relation.
fn transitive(mut pairs: BTreeSet<(String, String)>) -> BTreeSet<(String, String)> {
    loop {
        let more: Vec<_> = pairs
            .iter()
            .flat_map(|(a, b)| {
                pairs
                    .iter()
                    .filter(move |(c, _)| c == b)
                    .map(move |(_, d)| (a.clone(), d.clone()))
            })
            .filter(|pair| !pairs.contains(pair))
            .collect();
        if more.is_empty() {
            return pairs;
        }
        pairs.extend(more);
    }
}
