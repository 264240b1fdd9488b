//! Trajectories as a table: one row per episode, window and agent.
//!
//! Names of services and labels are in the names of columns: `choice.SERVICE`, `unmasked.SERVICE`,
//! `mask.SERVICE`, `desired.SERVICE`, `SERVICE.METRIC`, `label.NAME`, `observation.N`. A metric that
//! was not measured is null.

use std::path::Path;

use karma_cluster::ServiceMetrics;
use karma_twin::parquet;
use polars::prelude::*;

use super::{AgentStep, Episode, Step, Trajectories};
use crate::error::{MarlError, Result};

/// One row's place: episode, window, agent.
type Place<'a> = (usize, &'a Episode, usize, &'a Step, usize);

/// What the agent of a row did.
fn own<'a>(place: &Place<'a>) -> &'a AgentStep {
    &place.3.agents[place.4]
}

/// Every row in order.
fn places(t: &Trajectories) -> Vec<Place<'_>> {
    let mut places = Vec::new();
    for (e, episode) in t.episodes.iter().enumerate() {
        for (w, step) in episode.windows.iter().enumerate() {
            places.extend((0..step.agents.len()).map(|agent| (e, episode, w, step, agent)));
        }
    }
    places
}

pub(super) fn write(t: &Trajectories, path: &Path) -> Result<()> {
    let mut bytes = Vec::new();
    frame(t)
        .and_then(|mut frame| ParquetWriter::new(&mut bytes).finish(&mut frame))
        .map_err(|e| MarlError::broken(path, e))?;
    Ok(parquet::write(path, bytes)?)
}

fn frame(t: &Trajectories) -> PolarsResult<DataFrame> {
    let places = places(t);
    let known = |value: f32| (!value.is_nan()).then_some(value);
    let whole = |name: String, of: &dyn Fn(&Place<'_>) -> u32| {
        Column::new(name.into(), places.iter().map(of).collect::<Vec<u32>>())
    };
    let real = |name: String, of: &dyn Fn(&Place<'_>) -> f32| {
        let values: Vec<Option<f32>> = places.iter().map(|p| known(of(p))).collect();
        Column::new(name.into(), values)
    };
    let truth = |name: String, of: &dyn Fn(&Place<'_>) -> bool| {
        Column::new(name.into(), places.iter().map(of).collect::<Vec<bool>>())
    };
    let agent = |name: &str, names: &[String]| {
        let values: Vec<&str> = places.iter().map(|p| names[p.4].as_str()).collect();
        Column::new(name.into(), values)
    };
    let seeds: Vec<u64> = places.iter().map(|p| p.1.seed).collect();
    let times: Vec<f64> = places.iter().map(|p| p.3.time_s).collect();
    let contexts: Vec<&str> = places.iter().map(|p| p.1.context.as_str()).collect();
    let mut columns = vec![
        whole("episode".into(), &|p| p.0 as u32),
        Column::new("context".into(), contexts),
        Column::new("seed".into(), seeds),
        whole("window".into(), &|p| p.2 as u32),
        Column::new("time_s".into(), times),
        agent("agent", &t.agents),
        agent("role", &t.roles),
        real("reward".into(), &|p| p.3.reward),
        real("guide_reward".into(), &|p| own(p).guide_reward),
        truth("fired".into(), &|p| own(p).fired),
    ];
    for (s, name) in t.services.iter().enumerate() {
        columns.push(whole(format!("choice.{name}"), &|p| {
            own(p).choices[s].into()
        }));
        columns.push(whole(format!("unmasked.{name}"), &|p| {
            own(p).unmasked[s].into()
        }));
        columns.push(whole(format!("mask.{name}"), &|p| own(p).masks[s].into()));
        columns.push(whole(format!("desired.{name}"), &|p| p.3.desired[s]));
    }
    for (l, name) in t.labels.iter().enumerate() {
        columns.push(truth(format!("label.{name}"), &|p| p.3.labels[l]));
    }
    for (s, name) in t.services.iter().enumerate() {
        for (m, metric) in ServiceMetrics::NAMES.iter().enumerate() {
            columns.push(real(format!("{name}.{metric}"), &|p| {
                p.3.metrics[s].to_array()[m]
            }));
        }
    }
    for i in 0..t.width {
        columns.push(real(format!("observation.{i}"), &|p| p.3.observation[i]));
    }
    DataFrame::new(places.len(), columns)
}

pub(super) fn read(path: &Path) -> Result<Trajectories> {
    let frame = parquet::read(path)?;
    Table { frame: &frame }
        .trajectories()
        .map_err(|e| MarlError::broken(path, e))
}

/// Columns by name.
struct Table<'a> {
    frame: &'a DataFrame,
}

impl Table<'_> {
    fn names(&self, prefix: &str) -> Vec<String> {
        let names = self.frame.get_column_names();
        let with = names.iter().filter_map(|name| name.strip_prefix(prefix));
        with.map(str::to_owned).collect()
    }

    /// Refuses nulls where none can be.
    fn all<T>(name: &str, values: impl Iterator<Item = Option<T>>) -> PolarsResult<Vec<T>> {
        let values: Option<Vec<T>> = values.collect();
        values.ok_or_else(|| polars_err!(ComputeError: "column {name:?} has a null"))
    }

    fn whole(&self, name: &str) -> PolarsResult<Vec<u32>> {
        Self::all(name, self.frame.column(name)?.u32()?.iter())
    }

    fn real(&self, name: &str) -> PolarsResult<Vec<f32>> {
        let values = self.frame.column(name)?.f32()?;
        Ok(values.iter().map(|v| v.unwrap_or(f32::NAN)).collect())
    }

    fn truth(&self, name: &str) -> PolarsResult<Vec<bool>> {
        Self::all(name, self.frame.column(name)?.bool()?.iter())
    }

    fn text(&self, name: &str) -> PolarsResult<Vec<String>> {
        let values = self.frame.column(name)?.str()?;
        Self::all(name, values.iter().map(|v| v.map(str::to_owned)))
    }

    /// One table per service or label, in the order of `names`.
    fn each<T>(
        &self,
        names: &[String],
        prefix: &str,
        of: impl Fn(&Self, &str) -> PolarsResult<Vec<T>>,
    ) -> PolarsResult<Vec<Vec<T>>> {
        names
            .iter()
            .map(|n| of(self, &format!("{prefix}{n}")))
            .collect()
    }

    fn trajectories(&self) -> PolarsResult<Trajectories> {
        let (episode, window) = (self.whole("episode")?, self.whole("window")?);
        let (agent, role) = (self.text("agent")?, self.text("role")?);
        let context = self.text("context")?;
        let seed = Self::all("seed", self.frame.column("seed")?.u64()?.iter())?;
        let first = |row: usize| episode[row] == episode[0] && window[row] == window[0];
        let agents = (0..agent.len()).take_while(|row| first(*row)).count();
        let mut trajectories = Trajectories {
            agents: agent[..agents].to_vec(),
            roles: role[..agents].to_vec(),
            services: self.names("choice."),
            labels: self.names("label."),
            width: self.names("observation.").len(),
            episodes: Vec::new(),
        };
        for (index, step) in self.steps(&trajectories)?.into_iter().enumerate() {
            let row = index * agents;
            if trajectories.episodes.len() <= episode[row] as usize {
                trajectories.episodes.push(Episode {
                    context: context[row].clone(),
                    seed: seed[row],
                    windows: Vec::new(),
                });
            }
            if let Some(episode) = trajectories.episodes.last_mut() {
                episode.windows.push(step);
            }
        }
        Ok(trajectories)
    }

    /// All windows of all episodes, for the services, labels and agents of `of`.
    fn steps(&self, of: &Trajectories) -> PolarsResult<Vec<Step>> {
        let time = Self::all("time_s", self.frame.column("time_s")?.f64()?.iter())?;
        let (reward, guide) = (self.real("reward")?, self.real("guide_reward")?);
        let fired = self.truth("fired")?;
        let choices = self.each(&of.services, "choice.", Self::whole)?;
        let unmasked = self.each(&of.services, "unmasked.", Self::whole)?;
        let masks = self.each(&of.services, "mask.", Self::whole)?;
        let desired = self.each(&of.services, "desired.", Self::whole)?;
        let labels = self.each(&of.labels, "label.", Self::truth)?;
        let numbers: Vec<String> = (0..of.width).map(|i| i.to_string()).collect();
        let observation = self.each(&numbers, "observation.", Self::real)?;
        let mut metrics = Vec::new();
        for service in &of.services {
            for metric in ServiceMetrics::NAMES {
                metrics.push(self.real(&format!("{service}.{metric}"))?);
            }
        }
        let agents = of.agents.len().max(1);
        if !time.len().is_multiple_of(agents) {
            polars_bail!(ComputeError: "the last window lacks an agent");
        }
        let bytes = |of: &[Vec<u32>], row: usize| of.iter().map(|c| c[row] as u8).collect();
        let agent = |row: usize| AgentStep {
            choices: bytes(&choices, row),
            unmasked: bytes(&unmasked, row),
            masks: bytes(&masks, row),
            fired: fired[row],
            guide_reward: guide[row],
        };
        let step = |row: usize| Step {
            time_s: time[row],
            observation: observation.iter().map(|c| c[row]).collect(),
            metrics: metrics
                .chunks_exact(ServiceMetrics::COUNT)
                .map(|m| ServiceMetrics::from_array(std::array::from_fn(|i| m[i][row])))
                .collect(),
            labels: labels.iter().map(|c| c[row]).collect(),
            desired: desired.iter().map(|c| c[row]).collect(),
            reward: reward[row],
            agents: (row..row + agents).map(agent).collect(),
        };
        Ok((0..time.len()).step_by(agents).map(step).collect())
    }
}
