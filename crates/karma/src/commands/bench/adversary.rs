//! `karma bench adversary`: does a team that was trained against attackers that learn stand them
//! better than one that was trained against the contexts alone?

use std::{path::Path, sync::Arc};

use anyhow::anyhow;
use karma_cluster::{Scenario, Watch, seed::derive_seed};
use karma_evaluate::{Estimate, estimate};
use karma_marl::{
    Guides, MarlError,
    train::{
        Net, Trainer, TwinEnv,
        adversary::{Arena, Attacker},
        play_greedily,
    },
};
use karma_twin::Twin;
use serde::Serialize;

use super::{Temporary, recorded};
use crate::{
    args::{AdversaryBench, Output},
    console, interrupt,
    progress::Progress,
    status::{ExitStatus, Failure, Outcome},
    steps::trained,
    threads,
};

/// Games per context that teams are compared in.
const GAMES: usize = 16;

/// Trains both teams with every seed, lets them meet the same attackers, and prints both.
pub(crate) fn bench_adversary(args: &AdversaryBench) -> Outcome {
    interrupt::listen()?;
    threads::start(args.threads)?;
    let bench = Bench::load(args)?;
    let watch = Progress::start("bench adversary");
    let folder = Temporary::new();
    let mut rows = Vec::new();
    let first = args.first_seed;
    for seed in first..first + u64::from(args.seeds) {
        let row = bench.compare(seed, &folder.0.join(seed.to_string()), &watch)?;
        match args.output {
            Output::Json => console::row(&serde_json::to_value(&row).map_err(|e| anyhow!(e))?)?,
            Output::Text => console::data(row.text())?,
        }
        rows.push(row);
    }
    let summary = Summary::of(&rows);
    match args.output {
        Output::Json => console::row(&serde_json::to_value(summary).map_err(|e| anyhow!(e))?)?,
        Output::Text => console::data(summary.text())?,
    }
    Ok(ExitStatus::Done)
}

/// What both teams are trained in.
struct Bench {
    scenario: Scenario,
    guides: Guides,
    twin: Twin,
}

/// One team: mean reward per window of its greedy policy.
#[derive(Clone, Debug, Serialize)]
struct Stand {
    /// In the contexts, with nobody else.
    contexts: f64,
    /// In a calm cluster.
    nobody: f64,
    random: f64,
    /// Against its own best response, trained from scratch.
    best_response: f64,
    /// Least over the league: somebody random, the attackers of the adversarial training, and the best
    /// responses to both teams.
    worst: f64,
    /// Against each of the league.
    league: Vec<f64>,
    /// What the best response takes, or somebody random where that is more.
    exploitability: f64,
}

/// Both teams of one seed.
#[derive(Debug, Serialize)]
struct Row {
    seed: u64,
    attackers: usize,
    /// Trained against the contexts alone.
    before: Stand,
    /// Trained against attackers that learn, too.
    after: Stand,
}

/// Means over the seeds with 95 % intervals, and those of the differences.
#[derive(Debug, Serialize)]
struct Summary {
    seeds: usize,
    before: Figures,
    after: Figures,
    difference: Figures,
}

/// Takes one figure of a team.
type Figure = fn(&Stand) -> f64;

#[derive(Debug, Serialize)]
struct Figures {
    contexts: Option<Estimate>,
    nobody: Option<Estimate>,
    random: Option<Estimate>,
    best_response: Option<Estimate>,
    worst: Option<Estimate>,
    exploitability: Option<Estimate>,
}

impl Bench {
    /// The scenario and the twin of a run.
    fn load(args: &AdversaryBench) -> Outcome<Self> {
        let (mut scenario, guides, twin) = recorded(&args.run)?;
        if let Some(iterations) = args.iterations {
            scenario.train.iterations = iterations;
        }
        scenario.train.stop = None;
        let adversary = scenario.train.adversary.get_or_insert_default();
        if let Some(attackers) = args.attackers {
            adversary.attackers = attackers;
        }
        if let Some(fault) = scenario.first_fault() {
            return Err(Failure::refused(fault));
        }
        Ok(Self {
            scenario,
            guides,
            twin,
        })
    }

    /// Trains the team with `seed`, with attackers that learn or without.
    fn train(
        &self,
        is_adversarial: bool,
        seed: u64,
        folder: &Path,
        watch: &dyn Watch,
    ) -> Outcome<Trainer> {
        let mut settings = self.scenario.train;
        settings.adversary = settings.adversary.filter(|_| is_adversarial);
        let (twin, guides) = (&self.twin, &self.guides);
        let mut trainer = Trainer::new(twin, &self.scenario, guides, &settings, seed);
        std::fs::create_dir_all(folder)?;
        trained(trainer.run(watch, &mut |_| {}, folder))?;
        Ok(trainer)
    }

    fn compare(&self, seed: u64, folder: &Path, watch: &dyn Watch) -> Outcome<Row> {
        let before = self.train(false, seed, &folder.join("before"), watch)?;
        let after = self.train(true, seed, &folder.join("after"), watch)?;
        let adversary = self.scenario.train.adversary.unwrap_or_default();
        let seed_of = derive_seed(seed, "bench adversary", 0);
        let arena = Arena::new(
            &self.twin,
            &self.scenario,
            &self.guides,
            &adversary,
            seed_of,
        );
        let learned = |mlp| Attacker::Learned(Arc::new(mlp));
        let teams = [before.team(), after.team()];
        let mut responses = Vec::new();
        for (team, number) in teams.iter().zip(0..) {
            responses.push(learned(arena.respond(team, number, watch)?));
        }
        let mut league = Attacker::league(after.attackers());
        league.extend(responses.iter().cloned());
        let mut stands = Vec::new();
        for (team, response) in teams.iter().zip(&responses) {
            let values = league.iter().map(|attacker| arena.value(team, attacker));
            let values = values.collect::<Result<Vec<f64>, MarlError>>()?;
            let nobody = arena.value(team, &Attacker::Nobody)?;
            let best_response = arena.value(team, response)?;
            let random = arena.value(team, &Attacker::Random)?;
            stands.push(Stand {
                contexts: self.in_contexts(team, seed_of)?,
                nobody,
                random,
                best_response,
                worst: values.iter().copied().fold(f64::INFINITY, f64::min),
                league: values,
                exploitability: nobody - best_response.min(random),
            });
        }
        Ok(Row {
            seed,
            attackers: league.len(),
            after: stands.swap_remove(1),
            before: stands.swap_remove(0),
        })
    }

    /// What `team` is paid in variants of the contexts.
    fn in_contexts(&self, team: &[Net], seed: u64) -> Outcome<f64> {
        let games = GAMES * self.scenario.contexts.len().max(1);
        let seed = derive_seed(seed, "context games", 0);
        let mut games = TwinEnv::parts(&self.twin, &self.scenario, &self.guides, games, seed);
        let windows = self.scenario.windows() as usize;
        play_greedily(&mut games, team, windows).map_err(|fault| {
            let (step, term) = (fault.step, fault.term);
            Failure::from(anyhow!("stopped at step {step}: {term} is not finite"))
        })
    }
}

impl Row {
    fn text(&self) -> String {
        let of = |name: &str, stand: &Stand| {
            format!(
                "seed {:<3} {name:<7} contexts {:.4}  nobody {:.4}  random {:.4}  best response {:.4}  \
                 worst of {} {:.4}  exploitability {:.4}",
                self.seed,
                stand.contexts,
                stand.nobody,
                stand.random,
                stand.best_response,
                self.attackers,
                stand.worst,
                stand.exploitability,
            )
        };
        format!(
            "{}\n{}",
            of("before", &self.before),
            of("after", &self.after)
        )
    }
}

impl Summary {
    fn of(rows: &[Row]) -> Self {
        Self {
            seeds: rows.len(),
            before: Figures::of(rows, |row, of| of(&row.before)),
            after: Figures::of(rows, |row, of| of(&row.after)),
            difference: Figures::of(rows, |row, of| of(&row.after) - of(&row.before)),
        }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "reward per window over {} seeds, mean [95 % interval]\n{:<15}{:<26}{:<26}after - before",
            self.seeds, "", "before", "after"
        );
        let all = self.before.named().into_iter();
        let all = all.zip(self.after.named()).zip(self.difference.named());
        for (((name, before), (_, after)), (_, difference)) in all {
            text += &format!(
                "\n{name:<15}{:<26}{:<26}{}",
                words_of(before),
                words_of(after),
                words_of(difference)
            );
        }
        text
    }
}

impl Figures {
    /// `from` takes a figure of one of both teams, or their difference.
    fn of(rows: &[Row], from: fn(&Row, Figure) -> f64) -> Self {
        let over_seeds = |of: Figure| {
            let values: Vec<f64> = rows.iter().map(|row| from(row, of)).collect();
            estimate(&values, 0)
        };
        Self {
            contexts: over_seeds(|s| s.contexts),
            nobody: over_seeds(|s| s.nobody),
            random: over_seeds(|s| s.random),
            best_response: over_seeds(|s| s.best_response),
            worst: over_seeds(|s| s.worst),
            exploitability: over_seeds(|s| s.exploitability),
        }
    }

    fn named(&self) -> [(&'static str, Option<Estimate>); 6] {
        [
            ("contexts", self.contexts),
            ("nobody", self.nobody),
            ("random", self.random),
            ("best response", self.best_response),
            ("worst", self.worst),
            ("exploitability", self.exploitability),
        ]
    }
}

fn words_of(estimate: Option<Estimate>) -> String {
    match estimate {
        Some(Estimate {
            mean,
            low: Some(low),
            high: Some(high),
        }) => format!("{mean:.4} [{low:.4}, {high:.4}]"),
        Some(Estimate { mean, .. }) => format!("{mean:.4}"),
        None => "-".to_owned(),
    }
}
