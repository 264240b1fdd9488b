//! How long work reports progress and is asked to stop, without knowing who listens.

/// Listens to long work.
pub trait Watch: Sync {
    /// `done` of `total` parts of `step` are finished; `note` is a short figure worth showing.
    fn progress(&self, step: &str, done: u64, total: u64, note: &str);

    /// Whether the work should stop at the next point from which it can be resumed.
    fn stopped(&self) -> bool;
}

/// Listens to nothing and never stops.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Watch for Silent {
    fn progress(&self, _: &str, _: u64, _: u64, _: &str) {}

    fn stopped(&self) -> bool {
        false
    }
}

/// The work was asked to stop and did; what it wrote so far can be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;
