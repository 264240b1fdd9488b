//! A small vocabulary, about rooms and not services: the crate must not care.

use karma_moise::{Action, Member, Organization, RawOrganization, SpecFault, Vocabulary};

/// Three rooms in a row, two numbers each and one for the house. Choices: lower, keep, raise.
pub(crate) fn vocabulary() -> Vocabulary {
    let action = |name: &str, number, choices| Action {
        name: name.to_owned(),
        number,
        choices,
    };
    Vocabulary {
        subjects: ["hall", "kitchen", "attic"].map(str::to_owned).to_vec(),
        features: ["heat", "people"].map(str::to_owned).to_vec(),
        globals: vec!["hour".to_owned()],
        facts: vec![("door".to_owned(), vec![true, false, false])],
        sets: vec![("doors".to_owned(), vec![0])],
        relations: vec![("beside".to_owned(), vec![vec![1], vec![0, 2], vec![1]])],
        actions: vec![
            action("down", None, 0b001),
            action("hold", None, 0b010),
            action("up", None, 0b100),
            action("up_by", Some(1), 0b100),
        ],
        choices: 3,
    }
}

pub(crate) const DOWN: u8 = 0b001;
pub(crate) const HOLD: u8 = 0b010;
pub(crate) const UP: u8 = 0b100;

/// Reads an organization; the header may be left out.
pub(crate) fn raw(mut value: serde_json::Value) -> RawOrganization {
    value["format"] = 1.into();
    value["name"] = "house".into();
    serde_json::from_value(value).unwrap()
}

pub(crate) fn check(value: serde_json::Value) -> Result<Organization, Vec<SpecFault>> {
    Organization::check(raw(value))
}

pub(crate) fn team(roles: &[&str]) -> Vec<Member> {
    let member = |(i, role): (usize, &&str)| Member {
        name: format!("agent{i}"),
        role: (*role).to_owned(),
    };
    roles.iter().enumerate().map(member).collect()
}

/// Numbers of one step of one game: heat and people of each room, and the hour.
pub(crate) fn numbers(rooms: [[f32; 2]; 3], hour: f32) -> Vec<[f32; 1]> {
    let mut all: Vec<f32> = rooms.concat();
    all.push(hour);
    all.into_iter().map(|number| [number]).collect()
}
