//! The evaluation as a whole: calibrate, play the unseen seeds, search constants, sum up.

use karma_cluster::{Controller, Scenario, Watch, emulator::EpisodeRecord};
use rayon::prelude::*;

use crate::{
    aggregate::{Played, sum_up},
    arena::{Ground, Tally, play, play_all, seeds},
    bootstrap::RESAMPLES,
    calibrate::calibrate_hpa,
    constant::{Found, Search},
    contender::{Entrant, TeamFactory},
    error::Result,
    measure::measure,
    metric::{EpisodeMetrics, Metric},
    objective::Objective,
    summary::{Contender, ContextSummary, EpisodeCounts, EpisodeRow, Summary},
    timeline::timeline,
};

/// Plays every controller of `scenario` and sums up.
///
/// `team` makes the guarded team afresh for each episode; `seed` is the run's, from which the unseen
/// seeds of the episodes, the validation seeds of the baselines and the resamples are derived.
/// The result is the same at any number of threads.
///
/// # Errors
/// [`crate::EvaluateError::Interrupted`] when `watch` asks to stop.
pub fn evaluate(
    scenario: &Scenario,
    team: &(dyn Fn() -> Box<dyn Controller> + Sync),
    seed: u64,
    watch: &dyn Watch,
) -> Result<Summary> {
    let settings = &scenario.evaluate;
    let objective = Objective::new(scenario);
    let arena = Arena {
        grounds: Ground::of_every_context(scenario),
        seeds: seeds(seed, "evaluate", settings.seeds.max(1)),
        team,
        watch,
    };
    let validation = seeds(
        seed,
        "evaluate validation",
        settings.validation_seeds.max(1),
    );

    let (point, calibration, hpa_episodes) =
        calibrate_hpa(&arena.grounds, &objective, &validation, watch)?;
    let mut rounds = arena.play("unseen seeds", |_| {
        vec![
            Entrant::Team,
            Entrant::HpaShipped,
            Entrant::HpaCalibrated(point),
            Entrant::Static,
            Entrant::Bound,
        ]
    })?;
    let found =
        arena.search_constants(&rounds, &objective, &validation, settings.constant_episodes)?;
    let constants = arena.play("constant policies", |context| {
        let found = &found[context];
        let mut entrants = vec![Entrant::Constant(
            Contender::BestConstant,
            found.best.replicas.clone(),
        )];
        entrants.extend(found.affordable.as_ref().map(|policy| {
            Entrant::Constant(Contender::AffordableConstant, policy.replicas.clone())
        }));
        entrants
    })?;
    for (round, more) in rounds.iter_mut().zip(constants) {
        round.extend(more);
        round.sort_by_key(|result| result.contender);
    }

    let count = |rounds: &[Vec<Entry>]| -> usize {
        rounds
            .iter()
            .flatten()
            .map(|entry| entry.episodes.len())
            .sum()
    };
    Ok(Summary {
        format: 1,
        scenario: scenario.name.clone(),
        seed,
        resamples: RESAMPLES as u32,
        slo_latency_ms: 1000.0 * scenario.slo.latency.seconds(),
        timeout_ms: 1000.0 * scenario.slo.timeout.seconds(),
        duration_s: scenario.duration.seconds(),
        episodes_played: EpisodeCounts {
            evaluation: count(&rounds) as u32,
            hpa_calibration: hpa_episodes,
            constant_search: found.iter().map(|found| found.episodes).sum(),
        },
        calibration,
        episodes: arena.rows(&rounds),
        overall: sum_up(seed, &overall(&rounds)),
        contexts: arena.contexts(seed, rounds, found),
        seeds: arena.seeds,
    })
}

/// Who played one context, and how it went on every seed.
struct Entry {
    contender: Contender,
    settings: String,
    episodes: Vec<EpisodeMetrics>,
    /// What happened on the first seed.
    first: EpisodeRecord,
}

struct Arena<'a> {
    grounds: Vec<Ground>,
    seeds: Vec<u64>,
    team: TeamFactory<'a>,
    watch: &'a dyn Watch,
}

impl Arena<'_> {
    /// Plays the entrants of every context on every seed.
    fn play(
        &self,
        step: &str,
        entrants: impl Fn(usize) -> Vec<Entrant>,
    ) -> Result<Vec<Vec<Entry>>> {
        let entrants: Vec<(usize, Entrant)> = (0..self.grounds.len())
            .flat_map(|context| entrants(context).into_iter().map(move |e| (context, e)))
            .collect();
        let jobs: Vec<(&Ground, &Entrant, usize)> = entrants
            .iter()
            .flat_map(|(context, entrant)| {
                (0..self.seeds.len()).map(move |index| (&self.grounds[*context], entrant, index))
            })
            .collect();
        let results = play_all(self.watch, step, &jobs, |(ground, entrant, index)| {
            let (mut controller, altered) = entrant.enter(&ground.scenario, self.team);
            let scenario = altered.as_ref().unwrap_or(&ground.scenario);
            let seed = self.seeds[*index];
            let record = play(scenario, controller.as_mut(), seed, self.watch)?;
            let metrics = measure(&record, ground.disturbance);
            Ok((metrics, (*index == 0).then_some(record)))
        })?;

        let mut rounds: Vec<Vec<Entry>> = self.grounds.iter().map(|_| Vec::new()).collect();
        let mut results = results.into_iter();
        for (context, entrant) in &entrants {
            let (episodes, records): (Vec<_>, Vec<_>) =
                results.by_ref().take(self.seeds.len()).unzip();
            rounds[*context].push(Entry {
                contender: entrant.contender(),
                settings: entrant.settings(&self.grounds[*context].scenario),
                episodes,
                first: records.into_iter().flatten().next().unwrap_or_default(),
            });
        }
        Ok(rounds)
    }

    /// Searches the constant policies of every context.
    fn search_constants(
        &self,
        rounds: &[Vec<Entry>],
        objective: &Objective,
        validation: &[u64],
        budget: u32,
    ) -> Result<Vec<Found>> {
        let total = u64::from(budget) * self.grounds.len() as u64;
        let tally = Tally::new(self.watch, "search constant policies", total);
        self.grounds
            .par_iter()
            .zip(rounds)
            .with_max_len(1)
            .map(|(ground, round)| {
                let limit = team_pod_hours(round);
                let search = Search::new(ground, objective, validation, limit, budget, &tally);
                let found = search.run()?;
                // What the search did not need is done, too.
                tally.add(u64::from(budget.saturating_sub(found.episodes)));
                Ok(found)
            })
            .collect()
    }

    fn rows(&self, rounds: &[Vec<Entry>]) -> Vec<EpisodeRow> {
        let mut rows = Vec::new();
        for (ground, round) in self.grounds.iter().zip(rounds) {
            for entry in round {
                for (index, (metrics, seed)) in entry.episodes.iter().zip(&self.seeds).enumerate() {
                    rows.push(EpisodeRow {
                        context: ground.name.clone(),
                        contender: entry.contender,
                        index: index as u32,
                        seed: *seed,
                        metrics: *metrics,
                    });
                }
            }
        }
        rows
    }

    fn contexts(
        &self,
        seed: u64,
        rounds: Vec<Vec<Entry>>,
        found: Vec<Found>,
    ) -> Vec<ContextSummary> {
        let contexts = self.grounds.iter().zip(rounds).zip(found);
        contexts
            .map(|((ground, round), found)| {
                let records: Vec<_> = round
                    .iter()
                    .filter(|entry| entry.contender != Contender::Bound)
                    .map(|entry| (entry.contender, &entry.first))
                    .collect();
                let timeline = timeline(&ground.scenario, self.seeds[0], &records);
                let played: Vec<Played> = round
                    .into_iter()
                    .map(|entry| Played {
                        contender: entry.contender,
                        settings: entry.settings,
                        episodes: entry.episodes,
                    })
                    .collect();
                let mut summary = ContextSummary {
                    name: ground.name.clone(),
                    disturbance: ground.disturbance,
                    controllers: sum_up(seed, &played),
                    best_constant: found.best,
                    affordable_constant: found.affordable,
                    constant_frontier: found.frontier,
                    claim: None,
                    timeline,
                };
                summary.claim = Some(summary.deployment_claim());
                summary
            })
            .collect()
    }
}

/// Every contender's means over the contexts, seed by seed; of those who played in all of them.
fn overall(rounds: &[Vec<Entry>]) -> Vec<Played> {
    let entries_of = |contender| -> Option<Vec<&Entry>> {
        let in_round = |round: &'_ Vec<Entry>| round.iter().position(|e| e.contender == contender);
        rounds
            .iter()
            .map(|round| Some(&round[in_round(round)?]))
            .collect()
    };
    Contender::ALL
        .into_iter()
        .filter_map(|contender| {
            let entries = entries_of(contender)?;
            let seeds = entries.iter().map(|e| e.episodes.len()).min()?;
            let is_same = entries.iter().all(|e| e.settings == entries[0].settings);
            Some(Played {
                contender,
                settings: if is_same {
                    entries[0].settings.clone()
                } else {
                    String::new()
                },
                episodes: (0..seeds)
                    .map(|seed| {
                        let over_contexts: Vec<_> =
                            entries.iter().map(|e| e.episodes[seed]).collect();
                        EpisodeMetrics::mean(&over_contexts)
                    })
                    .collect(),
            })
        })
        .collect()
}

/// Mean pod-hours of the team in one context.
fn team_pod_hours(round: &[Entry]) -> f64 {
    let hours: Vec<f64> = round
        .iter()
        .filter(|entry| entry.contender == Contender::Team)
        .flat_map(|entry| {
            entry
                .episodes
                .iter()
                .filter_map(|e| e.get(Metric::PodHours))
        })
        .collect();
    hours.iter().sum::<f64>() / hours.len() as f64
}
