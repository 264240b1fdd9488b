//! Numbers that are not finite.

use super::logits::NotFinite;

/// A number that is not finite, and where it first appeared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Step of the rollout, or minibatch of the update.
    pub step: usize,
    /// Agent; `None` for all.
    pub agent: Option<usize>,
    /// What it was.
    pub term: &'static str,
}

impl Fault {
    pub(super) fn of_logits(step: usize, NotFinite(agent): NotFinite) -> Self {
        Self {
            step,
            agent: Some(agent),
            term: "logits",
        }
    }

    /// What parts that played side by side brought, in their order; or the first fault in time,
    /// whichever thread met it.
    pub(super) fn first_of<T>(played: Vec<Result<T, Self>>) -> Result<Vec<T>, Self> {
        let faults = played.iter().filter_map(|part| part.as_ref().err());
        if let Some(fault) = faults.min_by_key(|fault| fault.step) {
            return Err(*fault);
        }
        played.into_iter().collect()
    }
}
