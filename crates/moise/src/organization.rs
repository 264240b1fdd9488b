//! An organisation that was checked and closed.

use crate::{Guides, RawOrganization, SpecFault, Vocabulary};

/// An agent and the role it plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Name of the agent.
    pub name: String,
    /// Role, as the organisation names it.
    pub role: String,
}

/// An organisation without faults in itself; names of the vocabulary are checked by
/// [`Organization::compile`].
#[derive(Clone, Debug)]
pub struct Organization {
    raw: RawOrganization,
}

impl Organization {
    /// Checks everything that can be checked without a vocabulary and computes the closure.
    ///
    /// # Errors
    /// Every fault found.
    pub fn check(raw: RawOrganization) -> Result<Self, Vec<SpecFault>> {
        Ok(Self { raw })
    }

    /// The organisation as written.
    #[must_use]
    pub fn raw(&self) -> &RawOrganization {
        &self.raw
    }

    /// Compiles the guides of a team.
    ///
    /// # Errors
    /// Every unknown name, contradiction and rule that cannot fire.
    pub fn compile(
        &self,
        _vocabulary: &Vocabulary,
        _team: &[Member],
    ) -> Result<Guides, Vec<SpecFault>> {
        Err(vec![SpecFault::new("", "not compiled yet", "")])
    }
}
