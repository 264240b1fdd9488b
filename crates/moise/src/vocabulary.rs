//! The words that conditions and actions may use, given by the user of the crate.

/// What can be observed and done, as names and shapes.
///
/// Numbers reach the guides as one flat array: first one row per *subject* with the subject
/// features in their order, then the global features. See [`Vocabulary::width`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vocabulary {
    /// What rules are about. Each subject has one action head.
    pub subjects: Vec<String>,
    /// Names of the numbers of each subject, used as `name(subject)`.
    pub features: Vec<String>,
    /// Names of numbers without a subject, used as `name`.
    pub globals: Vec<String>,
    /// Facts about subjects that never change, used as `name(subject)`; one value per subject.
    pub facts: Vec<(String, Vec<bool>)>,
    /// Named sets of subjects, used as `name.exists(x, …)` and in actions.
    pub sets: Vec<(String, Vec<usize>)>,
    /// Named relations between subjects, used as `name(subject).exists(x, …)` and in actions; for
    /// each subject the related ones.
    pub relations: Vec<(String, Vec<Vec<usize>>)>,
    /// What can be done to a subject.
    pub actions: Vec<Action>,
    /// Number of choices of each head, at most 8.
    pub choices: usize,
}

/// A name for some choices of a head: `up(s)`, or with a number `up_by(2, s)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Name.
    pub name: String,
    /// The number that goes before the subject, if the name takes one.
    pub number: Option<i64>,
    /// Choices meant, bit c for choice c.
    pub choices: u8,
}

impl Vocabulary {
    /// Length of the array of numbers that guides read.
    #[must_use]
    pub fn width(&self) -> usize {
        self.subjects.len() * self.features.len() + self.globals.len()
    }

    /// A mask with all choices of a head.
    #[must_use]
    pub fn all_choices(&self) -> u8 {
        ((1_u16 << self.choices) - 1) as u8
    }

    /// Asserts what the types cannot say.
    pub(crate) fn assert_well_formed(&self) {
        let subjects = self.subjects.len();
        assert!((1..=8).contains(&self.choices), "a mask has 8 bits");
        assert!(self.facts.iter().all(|(_, of)| of.len() == subjects));
        let covers = |of: &[usize]| of.iter().all(|s| *s < subjects);
        assert!(self.sets.iter().all(|(_, set)| covers(set)));
        let related = |of: &Vec<Vec<usize>>| of.len() == subjects && of.iter().all(|r| covers(r));
        assert!(self.relations.iter().all(|(_, of)| related(of)));
    }
}
