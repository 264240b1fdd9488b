//! A positive and a negative case of every axiom.

use karma_moise::{Closure, LinkKind, NormKind, RawOrganization, Scope};
use serde_json::json;

use crate::house::raw;

fn soccer() -> RawOrganization {
    raw(json!({
        "roles": {
            "player": {}, "coach": {}, "attacker": {"inherits": ["player"]},
            "leader": {"inherits": ["player"]}, "striker": {"inherits": ["attacker"]},
        },
        "groups": {"team": {
            "roles": {"coach": {"max": 1}},
            "links": [
                {"from": "coach", "to": "player", "kind": "authority", "extends_subgroups": true},
                {"from": "player", "to": "player", "kind": "acquaintance"},
            ],
            "compatibilities": [{"role": "leader", "with": "attacker", "both_ways": true, "extends_subgroups": true}],
            "groups": {"attack": {"roles": {"striker": {}, "leader": {}}}},
        }},
        "goals": {"score": {"when": "true"}},
        "missions": {"m1": {"goals": [{"goal": "score"}]}, "m2": {"goals": [{"goal": "score"}]}, "m3": {"goals": [{"goal": "score"}]}},
        "preferences": [{"prefer": "m1", "over": "m2"}, {"prefer": "m2", "over": "m3"}],
        "norms": [{"id": "n", "kind": "obligation", "role": "player", "mission": "m1"}],
    }))
}

fn links(closure: &Closure, group: &str, from: &str, to: &str) -> Vec<LinkKind> {
    closure
        .links
        .iter()
        .filter(|l| l.group == group && l.from == from && l.to == to && l.scope == Scope::Intra)
        .map(|l| l.kind)
        .collect()
}

fn compatible(closure: &Closure, group: &str, role: &str, with: &str) -> bool {
    closure
        .compatibilities
        .iter()
        .any(|c| c.group == group && c.role == role && c.with == with)
}

#[test]
fn inheritance_is_transitive() {
    let closure = Closure::of(&soccer());
    assert_eq!(closure.supers["striker"], ["striker", "attacker", "player"]);
    assert_eq!(closure.supers["player"], ["player"]);
}

#[test]
fn authority_implies_communication_and_acquaintance_but_not_conversely() {
    let closure = Closure::of(&soccer());
    assert_eq!(links(&closure, "team", "coach", "player").len(), 3);
    assert_eq!(
        links(&closure, "team", "player", "player"),
        [LinkKind::Acquaintance]
    );
}

#[test]
fn links_pass_to_sub_roles_and_where_declared_to_sub_groups() {
    let closure = Closure::of(&soccer());
    assert_eq!(links(&closure, "team", "coach", "striker").len(), 3);
    assert_eq!(links(&closure, "team/attack", "coach", "striker").len(), 3);
    assert_eq!(links(&closure, "team/attack", "player", "player"), []);
    assert_eq!(links(&closure, "team", "striker", "coach"), []);
}

#[test]
fn compatibilities_pass_to_sub_roles_both_ways_but_never_up_the_inheritance() {
    let closure = Closure::of(&soccer());
    assert!(compatible(&closure, "team", "leader", "striker"));
    assert!(compatible(&closure, "team/attack", "striker", "leader"));
    // leader ↔ attacker and leader ↔ striker would join striker and attacker by transitivity.
    assert!(!compatible(&closure, "team", "striker", "attacker"));
    assert!(!compatible(&closure, "team", "striker", "player"));
    assert!(!compatible(&closure, "team", "coach", "leader"));
}

#[test]
fn norms_bind_sub_roles_and_obligations_permit() {
    let closure = Closure::of(&soccer());
    let has = |role: &str, kind| closure.deontic.contains(&(role.into(), kind, "m1".into()));
    assert!(has("striker", NormKind::Obligation) && has("striker", NormKind::Permission));
    assert!(!has("coach", NormKind::Permission));
    assert_eq!(closure.norms["striker"], [0]);
}

#[test]
fn preference_is_transitive_and_has_a_direction() {
    let closure = Closure::of(&soccer());
    let prefers = |a: &str, b: &str| closure.preferences.contains(&(a.into(), b.into()));
    assert!(prefers("m1", "m3") && !prefers("m3", "m1") && !prefers("m1", "m1"));
}

#[test]
fn roles_that_no_group_lists_are_abstract() {
    let closure = Closure::of(&soccer());
    assert!(closure.playable.contains("striker") && !closure.playable.contains("player"));
}
