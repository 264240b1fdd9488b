//! The organization file, from text to the guides of a team; faults get their lines here.

use std::path::Path;

use karma_cluster::{
    Scenario,
    yaml::{self, Document, Fault, Refusals},
};
use karma_marl::ground::{GroundError, Guides};
use karma_moise::{Organization, RawOrganization, SpecFault};

use crate::status::{Blame, Outcome};

/// Reads the organization in `text`, which came from `origin`.
pub(crate) fn read(text: &str, origin: &Path) -> Result<Organization, Refusals> {
    let raw: RawOrganization = yaml::read(text, origin)
        .map_err(|faults| no_organization(text, origin).unwrap_or(faults))?;
    Organization::check(raw).map_err(|faults| located(faults, text, origin))
}

/// The one fault to tell of a scenario where an organization should be.
fn no_organization(text: &str, origin: &Path) -> Option<Refusals> {
    const OF_SCENARIOS: &str = "services";
    let document = Document::parse(text).ok()?;
    document.root.get(OF_SCENARIOS)?;
    let place = document.place(OF_SCENARIOS);
    let message = "this is a scenario, where an organization should be";
    let fault = Fault::at(origin, place, OF_SCENARIOS, message);
    let hint = "team.organization names a file such as organizations/karma.yaml";
    Some(Refusals(vec![fault.hint(hint)]))
}

/// Checks the organization in `text`, which came from `origin`, against `scenario`.
pub(crate) fn check(text: &str, origin: &Path, scenario: &Scenario) -> Result<Guides, Refusals> {
    Guides::new(&read(text, origin)?, scenario).map_err(|error| match error {
        GroundError::Organization(faults) => located(faults, text, origin),
    })
}

/// The organization of the team of `scenario`, where it has one.
pub(crate) fn of(text: Option<&str>, scenario: &Scenario) -> Outcome<Option<Organization>> {
    text.map(|text| read(text, origin(scenario)).refuse())
        .transpose()
}

/// The guides of the team of `scenario`; none where it has no organization.
pub(crate) fn guides(text: Option<&str>, scenario: &Scenario) -> Outcome<Guides> {
    text.map_or_else(
        || Ok(Guides::none(scenario)),
        |text| check(text, origin(scenario), scenario).refuse(),
    )
}

fn origin(scenario: &Scenario) -> &Path {
    Path::new(scenario.team.organization.as_deref().unwrap_or_default())
}

/// Adds the lines of `text` to `faults`, which know only key paths.
fn located(faults: Vec<SpecFault>, text: &str, origin: &Path) -> Refusals {
    let document = Document::parse(text);
    let locate = |fault: SpecFault| {
        let place = document
            .as_ref()
            .map(|document| document.place(&fault.path));
        let located = place.map_or_else(
            |_| Fault::of_file(origin, &fault.message),
            |place| Fault::at(origin, place, &fault.path, &fault.message),
        );
        located.hint(fault.hint)
    };
    Refusals(faults.into_iter().map(locate).collect())
}
