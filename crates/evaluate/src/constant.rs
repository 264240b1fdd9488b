//! Searches constant policies on validation seeds, for each context by itself: what anybody could
//! have who knew the context beforehand and never scaled.
//!
//! The search screens on the first validation seed: replicas balanced for several request rates,
//! then coordinate descent from the best for the objective, then coordinate descent and exchanges
//! from the best that spends no more pod-hours than the team. The best few of each are confirmed on the other
//! validation seeds.

use std::collections::BTreeMap;

use karma_cluster::workload::{capacity, visits};
use rayon::prelude::*;

use crate::{
    arena::{Ground, Tally, play},
    contender::Constant,
    error::Result,
    objective::{Objective, Outcome},
    summary::ConstantPolicy,
};

/// Request rates that the search starts from, at most: equal steps up to the scenario's capacity.
const LEVELS: u32 = 8;
/// Policies confirmed on the other validation seeds, per choice.
const FINALISTS: usize = 3;

/// What a search found.
pub(crate) struct Found {
    pub(crate) best: ConstantPolicy,
    pub(crate) affordable: Option<ConstantPolicy>,
    pub(crate) frontier: Vec<ConstantPolicy>,
    pub(crate) episodes: u32,
}

/// A search in one context.
pub(crate) struct Search<'a> {
    ground: &'a Ground,
    objective: &'a Objective,
    seeds: &'a [u64],
    /// Pod-hours of the team in one episode.
    limit_hours: f64,
    /// Episodes left for screening.
    left: u32,
    tried: BTreeMap<Vec<u32>, Outcome>,
    tally: &'a Tally<'a>,
}

/// How good a policy is: the first number counts, the second breaks ties.
type Score = (f64, f64);

/// Scores an outcome; `None` for one that is out of the question.
type ScoreOf<'s, 'a> = &'s dyn Fn(&Search<'a>, Outcome) -> Option<Score>;

impl<'a> Search<'a> {
    /// A search of at most `budget` episodes.
    pub(crate) fn new(
        ground: &'a Ground,
        objective: &'a Objective,
        seeds: &'a [u64],
        limit_hours: f64,
        budget: u32,
        tally: &'a Tally<'a>,
    ) -> Self {
        let confirming = 2 * FINALISTS as u32 * (seeds.len() as u32 - 1);
        Self {
            ground,
            objective,
            seeds,
            limit_hours,
            left: budget.saturating_sub(confirming).max(1),
            tried: BTreeMap::new(),
            tally,
        }
    }

    /// Searches.
    pub(crate) fn run(mut self) -> Result<Found> {
        let all = self.left;
        let levels = LEVELS.min(all.div_ceil(2));
        for level in 1..=levels {
            let rate = capacity(&self.ground.scenario) * f64::from(level) / f64::from(levels);
            self.outcome(&self.balanced(rate))?;
        }
        // Half of what is left for each choice; what the first leaves over, the second may use.
        let reserved = self.left / 2;
        let objective = |search: &Search<'a>, outcome| Some(search.value(outcome));
        self.climb(reserved, false, &objective)?;
        let affordable = |search: &Search<'a>, outcome| search.affordable(outcome);
        if let Some(start) = self.largest_affordable() {
            self.outcome(&start)?;
            self.climb(0, true, &affordable)?;
        }

        let frontier = frontier(&self.tried);
        let screened = all - self.left;
        let confirming = self.confirm(&[&objective, &affordable])?;
        let policy = |replicas: &Vec<u32>| policy(replicas, self.tried[replicas]);
        let best = self.ranked(&objective).first().map(policy);
        Ok(Found {
            best: best.unwrap_or_default(),
            affordable: self.ranked(&affordable).first().map(policy),
            frontier,
            episodes: screened + confirming,
        })
    }

    /// Keeps the best few by each score, with their means over all validation seeds. Returns the
    /// episodes played.
    fn confirm(&mut self, scores: &[ScoreOf<'_, 'a>]) -> Result<u32> {
        let mut finalists: Vec<Vec<u32>> = scores.iter().flat_map(|s| self.ranked(s)).collect();
        finalists.sort();
        finalists.dedup();
        let mut confirmed = BTreeMap::new();
        let mut episodes = 0;
        for replicas in finalists {
            let mut outcomes = self.play(&replicas, &self.seeds[1..])?;
            episodes += outcomes.len() as u32;
            outcomes.push(self.tried[&replicas]);
            confirmed.insert(replicas, Outcome::mean(&outcomes));
        }
        self.tried = confirmed;
        Ok(episodes)
    }

    fn value(&self, outcome: Outcome) -> Score {
        (self.objective.value(outcome), -outcome.average_pods)
    }

    fn affordable(&self, outcome: Outcome) -> Option<Score> {
        (outcome.pod_hours <= self.limit_hours)
            .then_some((outcome.success_pct, -outcome.average_pods))
    }

    /// The best few policies tried, best first.
    fn ranked(&self, score: ScoreOf<'_, 'a>) -> Vec<Vec<u32>> {
        let mut scored: Vec<(Score, &Vec<u32>)> = self
            .tried
            .iter()
            .filter_map(|(replicas, outcome)| Some((score(self, *outcome)?, replicas)))
            .collect();
        scored.sort_by(|(a, _), (b, _)| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)));
        scored
            .into_iter()
            .take(FINALISTS)
            .map(|(_, replicas)| replicas.clone())
            .collect()
    }

    /// Coordinate descent from the best policy tried, and exchanges of one replica between two
    /// services if asked for, until nothing gets better or only `reserved` episodes are left.
    fn climb(&mut self, reserved: u32, exchange: bool, score: ScoreOf<'_, 'a>) -> Result<()> {
        let Some(mut best) = self.ranked(score).into_iter().next() else {
            return Ok(());
        };
        let moves = moves(best.len(), exchange);
        let mut since_better = 0;
        for change in moves.iter().cycle() {
            if since_better == moves.len() || self.left <= reserved {
                break;
            }
            // A move that helped is tried again at once.
            while let Some(candidate) = self.moved(&best, change, exchange) {
                if self.left <= reserved && !self.tried.contains_key(&candidate) {
                    break;
                }
                let outcome = self.outcome(&candidate)?;
                let is_better = score(self, outcome)
                    .zip(score(self, self.tried[&best]))
                    .is_some_and(|(new, old)| new > old);
                if !is_better {
                    break;
                }
                best = candidate;
                since_better = 0;
            }
            since_better += 1;
        }
        Ok(())
    }

    /// `replicas` after `change`, if within bounds and, where only the affordable is looked for, not
    /// sure to cost too much.
    fn moved(&self, replicas: &[u32], change: &[i64], affordable: bool) -> Option<Vec<u32>> {
        let mut moved = Vec::with_capacity(replicas.len());
        for ((replicas, change), service) in replicas
            .iter()
            .zip(change)
            .zip(&self.ground.scenario.services)
        {
            let range = service.replicas;
            let wanted = u32::try_from(i64::from(*replicas) + change).ok()?;
            moved.push(
                (range.min..=range.max)
                    .contains(&wanted)
                    .then_some(wanted)?,
            );
        }
        (!affordable || self.expected_hours(&moved) <= self.limit_hours).then_some(moved)
    }

    /// Pod-hours where every pod finds a place at once and stays.
    fn expected_hours(&self, replicas: &[u32]) -> f64 {
        f64::from(replicas.iter().sum::<u32>()) * self.ground.scenario.duration.seconds() / 3600.0
    }

    /// The largest balanced policy that costs no more than the team.
    fn largest_affordable(&self) -> Option<Vec<u32>> {
        let capacity = capacity(&self.ground.scenario);
        (0..=100)
            .rev()
            .map(|percent| self.balanced(capacity * f64::from(percent) / 100.0))
            .find(|replicas| self.expected_hours(replicas) <= self.limit_hours)
    }

    /// Just enough replicas of every service for `rate` requests per second.
    fn balanced(&self, rate: f64) -> Vec<u32> {
        let scenario = &self.ground.scenario;
        visits(scenario)
            .iter()
            .zip(&scenario.services)
            .map(|(visits, service)| {
                let enough = (rate * visits / service.rate_per_replica).ceil() as u32;
                enough.clamp(service.replicas.min, service.replicas.max)
            })
            .collect()
    }

    /// What `replicas` come to on the first validation seed.
    fn outcome(&mut self, replicas: &[u32]) -> Result<Outcome> {
        if let Some(outcome) = self.tried.get(replicas) {
            return Ok(*outcome);
        }
        let outcome = Outcome::mean(&self.play(replicas, &self.seeds[..1])?);
        self.left = self.left.saturating_sub(1);
        self.tried.insert(replicas.to_vec(), outcome);
        Ok(outcome)
    }

    fn play(&self, replicas: &[u32], seeds: &[u64]) -> Result<Vec<Outcome>> {
        seeds
            .par_iter()
            .with_max_len(1)
            .map(|seed| {
                self.tally.check()?;
                let scenario = &self.ground.scenario;
                let mut constant = Constant(replicas.to_vec());
                let record = play(scenario, &mut constant, *seed, self.tally.watch)?;
                self.tally.add(1);
                Ok(Outcome::of(&record))
            })
            .collect()
    }
}

/// One replica more or less of each service, and one from each to each other service.
fn moves(services: usize, exchange: bool) -> Vec<Vec<i64>> {
    let step = |up: Option<usize>, down: Option<usize>| {
        (0..services)
            .map(|s| i64::from(up == Some(s)) - i64::from(down == Some(s)))
            .collect()
    };
    let mut moves = Vec::new();
    for service in 0..services {
        moves.push(step(Some(service), None));
        moves.push(step(None, Some(service)));
    }
    for to in (0..services).filter(|_| exchange) {
        for from in (0..services).filter(|from| *from != to) {
            moves.push(step(Some(to), Some(from)));
        }
    }
    moves
}

fn policy(replicas: &[u32], outcome: Outcome) -> ConstantPolicy {
    ConstantPolicy {
        replicas: replicas.to_vec(),
        success_pct: outcome.success_pct,
        pod_hours: outcome.pod_hours,
    }
}

/// The policies that no cheaper one equals in success, cheapest first.
fn frontier(tried: &BTreeMap<Vec<u32>, Outcome>) -> Vec<ConstantPolicy> {
    let mut policies: Vec<ConstantPolicy> = tried.iter().map(|(r, o)| policy(r, *o)).collect();
    policies.sort_by(|a, b| {
        a.pod_hours
            .total_cmp(&b.pod_hours)
            .then(b.success_pct.total_cmp(&a.success_pct))
    });
    let mut most = f64::NEG_INFINITY;
    policies.retain(|policy| {
        let is_better = policy.success_pct > most;
        most = most.max(policy.success_pct);
        is_better
    });
    policies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frontier_holds_what_no_cheaper_policy_equals() {
        let outcome = |success_pct, pods: f64| Outcome {
            success_pct,
            pod_hours: pods,
            average_pods: pods,
        };
        let tried = BTreeMap::from([
            (vec![1, 1], outcome(50.0, 2.0)),
            (vec![1, 2], outcome(80.0, 3.0)),
            (vec![2, 1], outcome(50.0, 3.0)),
            (vec![2, 2], outcome(80.0, 4.0)),
            (vec![3, 3], outcome(99.0, 6.0)),
        ]);
        let kept: Vec<Vec<u32>> = frontier(&tried).into_iter().map(|p| p.replicas).collect();
        assert_eq!(kept, [vec![1, 1], vec![1, 2], vec![3, 3]]);
    }
}
