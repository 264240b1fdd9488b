//! The organization file, from text to the guides of a team; faults get their lines here.

use std::path::Path;

use karma_cluster::{
    Scenario,
    yaml::{self, Fault, Refusals},
};
use karma_marl::ground::{GroundError, Guides};
use karma_moise::{Organization, RawOrganization, SpecFault};

use crate::status::{Blame, Outcome};

/// Reads the organization in `text`, which came from `origin`.
pub(crate) fn read(text: &str, origin: &Path) -> Result<Organization, Refusals> {
    let raw: RawOrganization = yaml::read(text, origin)?;
    Organization::check(raw).map_err(|faults| located(faults, origin))
}

/// Checks the organization in `text`, which came from `origin`, against `scenario`.
pub(crate) fn check(text: &str, origin: &Path, scenario: &Scenario) -> Result<Guides, Refusals> {
    Guides::new(&read(text, origin)?, scenario).map_err(|error| match error {
        GroundError::Organization(faults) => located(faults, origin),
    })
}

/// The guides of the team of `scenario`; none where it has no organization.
pub(crate) fn guides(text: Option<&str>, scenario: &Scenario) -> Outcome<Guides> {
    let origin = scenario.team.organization.as_deref().unwrap_or_default();
    text.map_or_else(
        || Ok(Guides::none(scenario)),
        |text| check(text, Path::new(origin), scenario).refuse(),
    )
}

fn located(faults: Vec<SpecFault>, origin: &Path) -> Refusals {
    let fault = |fault: SpecFault| Fault {
        file: origin.to_owned(),
        line: 0,
        column: 0,
        path: fault.path,
        message: fault.message,
        hint: Some(fault.hint).filter(|hint| !hint.is_empty()),
    };
    Refusals(faults.into_iter().map(fault).collect())
}
