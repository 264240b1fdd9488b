//! Hard rules that leave no choice together.

use super::{Compiler, Instance};
use crate::{
    Member, SpecFault,
    code::{
        bind::Binder,
        satisfy::{Answer, together},
    },
    guides::Effect,
};

impl Compiler<'_> {
    /// Hard rules of one agent that can fire together and leave no choice.
    pub(super) fn contradictions(
        &mut self,
        binder: &Binder<'_>,
        instances: &[Instance],
        team: &[Member],
    ) {
        let rules = &self.raw().rules;
        let mut told: Vec<(usize, usize)> = Vec::new();
        for member in team {
            let hard: Vec<(&Instance, Vec<Effect>)> = self
                .rules_of(instances, &member.role)
                .filter_map(|i| Some((i, self.mask(i)?)))
                .collect();
            for (n, (a, effects_a)) in hard.iter().enumerate() {
                for (b, effects_b) in &hard[n + 1..] {
                    let pair = (a.rule, b.rule);
                    let overlap = a.during.0.max(b.during.0) < a.during.1.min(b.during.1);
                    let disjoint = effects_a.iter().find(|x| {
                        let same = effects_b.iter().find(|y| y.head == x.head);
                        same.is_some_and(|y| x.choices & y.choices == 0)
                    });
                    let (Some(effect), true, false) = (disjoint, overlap, told.contains(&pair))
                    else {
                        continue;
                    };
                    if let Answer::Can(atoms) = together(&binder.graph, &[a.condition, b.condition])
                    {
                        told.push(pair);
                        let subject = &self.vocabulary.subjects[usize::from(effect.head)];
                        let when = if atoms.is_empty() {
                            "always".to_owned()
                        } else {
                            format!("e.g. when {}", atoms.join(" and "))
                        };
                        let message = format!(
                            "contradicts rule `{}` for {}: both can fire together and leave \
                             no choice for `{subject}`, {when}",
                            rules[a.rule].id, member.role
                        );
                        self.faults.push(SpecFault::new(
                            format!("rules[{}]", b.rule),
                            message,
                            "make the conditions exclude each other, or allow `hold` in both",
                        ));
                    }
                }
            }
        }
    }
}
