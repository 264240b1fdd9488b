//! Why an analysis is impossible.

/// Why an analysis is impossible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnalysisError {
    /// There is nothing to analyze.
    #[error("there are no episodes with at least one window to analyze")]
    Empty,
    /// The two teams cannot be compared.
    #[error("the trained and the untrained team differ in {0}")]
    Different(&'static str),
    /// The states could not be clustered.
    #[error("the states could not be clustered: {0}")]
    States(String),
}
