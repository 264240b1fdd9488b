//! Gate and comparison in one sentence. That a team does no harm is one thing, that it does better than
//! what is there another: beside each other without a word, 'passed' and 'no' seem to contradict.

use karma_evaluate::Summary;

/// In how many contexts the team is worth deploying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Worth {
    /// Contexts in which it is.
    pub(crate) held: usize,
    /// All contexts.
    pub(crate) contexts: usize,
}

impl Worth {
    /// Counts the contexts of `summary`.
    pub(crate) fn of(summary: &Summary) -> Self {
        let claims = summary.contexts.iter().map(|c| c.deployment_claim());
        Self {
            held: claims.filter(|claim| claim.holds).count(),
            contexts: summary.contexts.len(),
        }
    }
}

/// What to do with the team: `passed` is of the gate, absent where it was not asked; `worth` is absent
/// where nothing was compared.
pub(crate) fn advice(passed: Option<bool>, worth: Option<Worth>) -> String {
    match (passed, worth) {
        (None, _) => "No verdict yet.".to_owned(),
        (Some(false), _) => "The team stays in Observe.".to_owned(),
        (Some(true), None) => "The team may act.".to_owned(),
        (Some(true), Some(Worth { held, contexts })) => match (held, contexts) {
            (0, 1) => {
                "Safe to act, but not worth it here: the comparison says what to do.".to_owned()
            }
            (0, _) => "Safe to act, but worth it in no context: the comparison says what to do."
                .to_owned(),
            (1, 1) => "Safe to act, and worth it.".to_owned(),
            (held, all) if held == all => "Safe to act, and worth it in every context.".to_owned(),
            (held, all) => format!("Safe to act, and worth it in {held} of {all} contexts."),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_safe_team_that_is_not_worth_it_is_told_apart_from_one_that_is() {
        let told = |passed, held, contexts| advice(Some(passed), Some(Worth { held, contexts }));
        assert_eq!(
            told(true, 5, 5),
            "Safe to act, and worth it in every context."
        );
        assert_eq!(
            told(true, 2, 5),
            "Safe to act, and worth it in 2 of 5 contexts."
        );
        for contexts in [1, 5] {
            let none = told(true, 0, contexts);
            assert!(none.starts_with("Safe to act, but"), "{none}");
            assert!(none.ends_with("the comparison says what to do."), "{none}");
            assert_eq!(
                told(false, contexts, contexts),
                "The team stays in Observe."
            );
        }
    }
}
