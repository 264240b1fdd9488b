//! Fitting a twin to a trace.

use std::{collections::BTreeMap, sync::Arc};

use karma_cluster::{Scenario, Watch, seed};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::{
    baseline::Linear,
    calibrate::calibrate,
    data,
    error::{Result, TwinError},
    fidelity::{self, Fidelity},
    lookup::Lookup,
    model::{Origin, Twin},
    neural::{Model, Scalers},
    noise::Noise,
    plan::Plan,
    runs::{self, Run},
    trace::{Number, Text, Trace},
    train::train,
};

/// How a twin is fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitSettings {
    /// Members of the ensemble.
    pub members: usize,
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Number of hidden layers.
    pub layers: usize,
    /// Passes over the training runs.
    pub epochs: usize,
    /// Learning rate at the start; it falls to 0 along a cosine.
    pub learning_rate: f32,
    /// Rows per gradient step.
    pub batch: usize,
    /// Share of the runs that nothing is fitted to; fidelity is measured there.
    pub validation_share: f64,
    /// Episodes per context that untrained policies play in cluster and twin for twin accuracy; 0
    /// for none.
    pub accuracy_seeds: u64,
    /// Whether weights fitted to this trace may be passed on.
    pub may_ship: bool,
}

impl FitSettings {
    /// The settings that the scenario asks for.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Self {
        Self {
            members: scenario.twin.members as usize,
            hidden: scenario.twin.hidden as usize,
            layers: scenario.twin.layers as usize,
            epochs: scenario.twin.epochs as usize,
            learning_rate: 2e-3,
            batch: 256,
            validation_share: 0.2,
            accuracy_seeds: 1,
            may_ship: true,
        }
    }
}

impl Twin {
    /// Fits a twin of `scenario` to `trace` and measures it on runs that it has not seen.
    ///
    /// # Errors
    /// [`TwinError::Fit`] when the trace cannot carry a twin, [`TwinError::Interrupted`] when `watch`
    /// asks to stop.
    pub fn fit(
        trace: &Trace,
        scenario: &Scenario,
        settings: &FitSettings,
        seed: u64,
        watch: &dyn Watch,
    ) -> Result<(Self, Fidelity)> {
        let plan = Plan::new(scenario);
        check_content(trace, &plan)?;
        let runs = runs::runs(trace, &plan)?;
        let (training, validation) = split(&runs, settings.validation_share, seed)?;
        let physics = calibrate(plan, &training);
        let unidentified: Vec<String> = physics
            .plan
            .services
            .iter()
            .zip(&physics.services)
            .filter(|(_, fitted)| !fitted.identified)
            .map(|(plan, _)| plan.name.clone())
            .collect();
        if unidentified.len() == physics.plan.len() {
            return Err(TwinError::Fit(
                "no service ever changes its replicas in the training runs, so the trace does not \
                 show what a replica does"
                    .to_owned(),
            ));
        }
        let rows = data::rows(&physics, &training);
        if rows.len() < settings.batch.min(LEAST_ROWS) {
            return Err(TwinError::Fit(format!(
                "{} complete transitions in the training runs, at least {} are needed",
                rows.len(),
                settings.batch.min(LEAST_ROWS)
            )));
        }
        let scalers = Scalers::of(&rows, physics.plan.len());
        let mut model = Model {
            physics,
            scalers,
            members: Vec::new(),
            noise: Noise::default(),
        };
        train(&mut model, &rows, settings, seed, watch)?;
        model.noise = Noise::of(&model, &rows);
        let linear = Linear::fit(&model.physics.plan, &training);
        let lookup = Lookup::new(&model, &model.physics.plan, &training);
        let (lookup_hits, lookup_windows) = lookup.hits(&model.physics.plan, &validation);
        let (horizon, metrics) = fidelity::measure(&model, &linear, &validation, seed);
        let mut fidelity = Fidelity {
            horizon,
            metrics,
            training_runs: training.len(),
            validation_runs: validation.len(),
            lookup_hits,
            lookup_windows,
            unidentified: unidentified.clone(),
            accuracy: None,
        };
        let twin = Self {
            origin: Origin {
                scenario: scenario.name.clone(),
                trace_sha256: trace.sha256(),
                rows: trace.len(),
                training_runs: training.iter().map(|run| run.name.clone()).collect(),
                unidentified,
                may_ship: settings.may_ship,
            },
            model: Arc::new(model),
        };
        if settings.accuracy_seeds > 0 {
            let seed = seed::derive_seed(seed, "fidelity", 0);
            let (policies, seeds) = (Vec::new(), settings.accuracy_seeds);
            let accuracy =
                fidelity::measure_accuracy(&twin, scenario, policies, seeds, seed, watch)?;
            fidelity.accuracy = Some(accuracy);
        }
        Ok((twin, fidelity))
    }
}

/// Fewest transitions that a twin is fitted to.
const LEAST_ROWS: usize = 100;

/// Refuses a trace without what a twin of several services cannot do without.
fn check_content(trace: &Trace, plan: &Plan) -> Result<()> {
    trace.check()?;
    if trace.len() < 2 {
        return Err(TwinError::Fit(format!(
            "the trace has {} row, a transition takes two",
            trace.len()
        )));
    }
    check_services(trace, plan)?;
    for service in &plan.services {
        let rows = (0..trace.len())
            .filter(|row| trace.text(Text::Service, *row) == Some(service.name.as_str()));
        let mut present = 0_u64;
        for row in rows {
            present |= trace.mask(row);
        }
        let needed = [
            Number::Rps,
            Number::Ready,
            Number::Queued,
            Number::Cpu,
            Number::OutRps,
            Number::LatP95,
            Number::Errors,
        ];
        let missing: Vec<&str> = needed
            .iter()
            .filter(|field| present & field.bit() == 0)
            .map(|field| field.name())
            .collect();
        if !missing.is_empty() {
            return Err(TwinError::Fit(format!(
                "service {} has no value at all in {}",
                service.name,
                missing.join(", ")
            )));
        }
    }
    Ok(())
}

/// Refuses the trace of other services than those of the scenario.
fn check_services(trace: &Trace, plan: &Plan) -> Result<()> {
    let shown = trace.services();
    let mut planned: Vec<&str> = plan.services.iter().map(|s| s.name.as_str()).collect();
    planned.sort_unstable();
    if shown == planned {
        return Ok(());
    }
    Err(TwinError::Fit(format!(
        "the services of the trace are {}, those of the scenario {}",
        shown.join(", "),
        planned.join(", ")
    )))
}

/// Splits by whole runs, every context in the same proportion.
fn split(runs: &[Run], validation_share: f64, seed: u64) -> Result<(Vec<&Run>, Vec<&Run>)> {
    if runs.len() < 2 {
        return Err(TwinError::Fit(
            "the trace has one run; whole runs are kept apart for measuring, so it takes two"
                .to_owned(),
        ));
    }
    let mut by_context: BTreeMap<Option<&str>, Vec<&Run>> = BTreeMap::new();
    for run in runs {
        by_context
            .entry(run.context.as_deref())
            .or_default()
            .push(run);
    }
    let (mut training, mut validation) = (Vec::new(), Vec::new());
    for (number, mut runs) in by_context.into_values().enumerate() {
        runs.shuffle(&mut seed::derive(seed, "validation runs", number as u64));
        let kept = ((runs.len() as f64 * validation_share).round() as usize)
            .clamp(usize::from(runs.len() > 1), runs.len() - 1);
        validation.extend_from_slice(&runs[..kept]);
        training.extend_from_slice(&runs[kept..]);
    }
    if validation.is_empty()
        && let Some(run) = training.pop()
    {
        validation.push(run);
    }
    for part in [&mut training, &mut validation] {
        part.sort_by(|a, b| a.name.cmp(&b.name));
    }
    Ok((training, validation))
}
