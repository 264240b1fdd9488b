//! An organization that was checked and closed.

use crate::{
    Guides, RawOrganization, SpecFault, Vocabulary, check, closure::Closure, compile::Compiler,
};

/// An agent and the role it plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Name of the agent.
    pub name: String,
    /// Role, as the organization names it.
    pub role: String,
}

/// An organization without faults in itself; names of the vocabulary are checked by
/// [`Organization::compile`].
#[derive(Clone, Debug, PartialEq)]
pub struct Organization {
    raw: RawOrganization,
    closure: Closure,
}

impl Organization {
    /// Checks everything that can be checked without a vocabulary and computes the closure.
    ///
    /// # Errors
    /// Every fault found.
    pub fn check(raw: RawOrganization) -> Result<Self, Vec<SpecFault>> {
        let faults = check::faults(&raw);
        if faults.is_empty() {
            let closure = Closure::of(&raw);
            Ok(Self { raw, closure })
        } else {
            Err(faults)
        }
    }

    /// The organization as written.
    #[must_use]
    pub fn raw(&self) -> &RawOrganization {
        &self.raw
    }

    /// What the organization implies.
    #[must_use]
    pub fn closure(&self) -> &Closure {
        &self.closure
    }

    /// Compiles the guides of a team.
    ///
    /// # Errors
    /// Every unknown name, contradiction and rule that cannot fire.
    ///
    /// # Panics
    /// If the vocabulary itself is malformed: heads of more than 8 choices, facts or relations that
    /// do not cover the subjects.
    pub fn compile(
        &self,
        vocabulary: &Vocabulary,
        team: &[Member],
    ) -> Result<Guides, Vec<SpecFault>> {
        vocabulary.assert_well_formed();
        Compiler::new(self, vocabulary).compile(team)
    }
}
