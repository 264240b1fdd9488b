//! What a wish may become: the rules that are applied to it, one after another.

use std::collections::VecDeque;

use karma_cluster::{ALPHA, ActionSpace};

use crate::decision::{Refusal, Rule};

/// Turns of one service: changes of direction of its desired replicas.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns {
    last: i64,
    at_s: VecDeque<f64>,
}

impl Turns {
    /// Forgets turns that are `memory_s` old or older at `now_s`.
    fn forget(&mut self, now_s: f64, memory_s: f64) {
        while self.at_s.front().is_some_and(|at| now_s - at >= memory_s) {
            self.at_s.pop_front();
        }
    }

    fn turns(&self, change: i64) -> bool {
        change.signum() * self.last.signum() < 0
    }

    /// Takes in what became of desired replicas.
    pub(crate) fn record(&mut self, now_s: f64, change: i64) {
        if self.turns(change) {
            self.at_s.push_back(now_s);
        }
        if change != 0 {
            self.last = change;
        }
    }
}

/// The rules for one service in one window.
pub(crate) struct Limits<'a> {
    pub(crate) service: usize,
    pub(crate) current: u32,
    /// Whether the newest metrics begin to age.
    pub(crate) aging: bool,
    pub(crate) space: &'a ActionSpace,
    pub(crate) refused: &'a mut Vec<Refusal>,
}

impl Limits<'_> {
    fn refuse(&mut self, rule: Rule, wanted: i64, allowed: i64) -> i64 {
        if wanted != allowed {
            self.refused.push(Refusal {
                service: self.service,
                rule,
                wanted,
                allowed,
            });
        }
        allowed
    }

    /// The policy's wish: rate, flap budget, bounds.
    pub(crate) fn policy(
        &mut self,
        wanted: i64,
        turns: &mut Turns,
        now_s: f64,
        (budget, memory_s): (usize, f64),
    ) -> u32 {
        let current = i64::from(self.current);
        let alpha = i64::from(ALPHA);
        let rated = self.refuse(
            Rule::Rate,
            wanted,
            wanted.clamp(current - alpha, current + alpha),
        );
        turns.forget(now_s, memory_s);
        let spent = turns.at_s.len() >= budget;
        let steady = if rated < current && spent && turns.turns(rated - current) {
            self.refuse(Rule::FlapBudget, rated, current)
        } else {
            rated
        };
        self.fresh(steady)
    }

    /// The fallback's wish: in a fault's window it does not fall, then bounds.
    pub(crate) fn fallback(&mut self, wanted: u32, held: bool) -> u32 {
        let wanted = i64::from(wanted);
        let floor = if held { i64::from(self.current) } else { 0 };
        let kept = self.refuse(Rule::FaultWindow, wanted, wanted.max(floor));
        self.fresh(kept)
    }

    /// No fall on metrics that begin to age, then bounds.
    fn fresh(&mut self, wanted: i64) -> u32 {
        let floor = if self.aging {
            i64::from(self.current)
        } else {
            i64::MIN
        };
        let kept = self.refuse(Rule::AgingMetrics, wanted, wanted.max(floor));
        self.bound(kept)
    }

    /// Bounds come last: they hold whatever else happens.
    fn bound(&mut self, wanted: i64) -> u32 {
        let allowed = self.space.bound(self.service, wanted);
        self.refuse(Rule::Bounds, wanted, i64::from(allowed));
        allowed
    }
}
