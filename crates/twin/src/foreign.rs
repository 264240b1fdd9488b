//! Judging a trace of a real cluster: how much better than persistence and a line can a twin be?
//!
//! Such traces carry no topology, no queues and no declared capacities, so every service stands
//! alone: its processor use and its mean latency one window ahead, from its own past and the load
//! and pods of that window.

mod model;
mod rows;

use std::{fmt::Write as _, path::Path};

use karma_cluster::Watch;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Result, TwinError},
    trace::{LoadReport, Mapping, Trace, read_csv_mapped},
};

/// Two tables of one-step errors, and what was read to make them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assessment {
    /// Zeros kept, so that published numbers can be repeated.
    pub as_published: Vec<ServiceErrors>,
    /// Zeros that stand for nothing dropped: the table to beat.
    pub nulls_dropped: Vec<ServiceErrors>,
    /// What was read.
    pub report: LoadReport,
}

/// One-step errors of one service on runs that nothing was fitted to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceErrors {
    /// Service.
    pub service: String,
    /// Fewest and most pods in the training runs.
    pub pods: (u32, u32),
    /// Whether the training runs show what a replica does. Where not, pods are no input of the twin.
    pub identified: bool,
    /// Mean absolute error of processor use, cores.
    pub cpu_cores: OneStep,
    /// Mean absolute error of ln(latency in s + 0.001).
    pub log_latency: OneStep,
}

/// Mean absolute errors of three models on the same rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OneStep {
    /// The value now is the value then.
    pub persistence: f64,
    /// Least squares on 1, cpu, l, pods, tp', pods', tp'/pods', tp/pods.
    pub linear: f64,
    /// The twin.
    pub twin: f64,
    /// Rows.
    pub rows: usize,
}

/// Reads the files below `dir` that `mapping` describes and judges them.
///
/// # Errors
/// [`TwinError`] when the files cannot be read, when there is nothing to validate on, or when no
/// service shows what a replica does.
pub fn assess(dir: &Path, mapping: &Mapping, seed: u64, watch: &dyn Watch) -> Result<Assessment> {
    let (kept, _) = read_csv_mapped(dir, mapping, true)?;
    let (trace, report) = read_csv_mapped(dir, mapping, false)?;
    let table = |trace: &Trace| errors_of(trace, &report.validation_runs, seed, watch);
    Ok(Assessment {
        as_published: table(&kept)?,
        nulls_dropped: table(&trace)?,
        report,
    })
}

/// One-step errors of every service of `trace`, measured on `validation` runs.
///
/// # Errors
/// [`TwinError::Fit`] when there are no training or no validation runs, or no service shows what a
/// replica does.
pub fn errors_of(
    trace: &Trace,
    validation: &[String],
    seed: u64,
    watch: &dyn Watch,
) -> Result<Vec<ServiceErrors>> {
    let services = rows::services(trace, validation);
    if services.is_empty() {
        return Err(TwinError::Fit(
            "no service has load, pods, processor use and latency".to_owned(),
        ));
    }
    if services
        .iter()
        .all(|s| s.training.is_empty() || s.validation.is_empty())
    {
        return Err(TwinError::Fit(
            "the mapping keeps no run to fit to, or none to measure on".to_owned(),
        ));
    }
    if services.iter().all(|s| !s.identified()) {
        let names: Vec<&str> = services.iter().map(|s| s.name.as_str()).collect();
        return Err(TwinError::Fit(format!(
            "the pods of {} never change in the training runs, so the trace does not show what a \
             replica does",
            names.join(", ")
        )));
    }
    model::errors(&services, seed, watch)
}

/// `count` things, in words.
fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

impl Assessment {
    /// Where the data comes from, in one sentence: it was read below `dir`.
    #[must_use]
    pub fn source(&self, dir: &Path) -> String {
        let report = &self.report;
        format!(
            "read {}: {} of {}, {} ({} kept for measuring), {}, {}",
            dir.display(),
            counted(report.files.len(), "file"),
            report.services.join(", "),
            counted(report.runs.len(), "run"),
            report.validation_runs.len(),
            counted(report.services.len(), "service"),
            counted(report.rows, "row"),
        )
    }

    /// Both tables for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        for (title, rows) in [
            ("as published (0 is a latency)", &self.as_published),
            ("nulls dropped (0 is no latency)", &self.nulls_dropped),
        ] {
            let _ = writeln!(
                text,
                "{title}\n{:<24}{:>6}  {:^35}  {:^35}\n{:<24}{:>6}  {:>11}{:>12}{:>12}  {:>11}{:>12}{:>12}",
                "",
                "",
                "cpu, cores",
                "ln(latency, s)",
                "service",
                "pods",
                "persistence",
                "linear",
                "twin",
                "persistence",
                "linear",
                "twin"
            );
            for row in rows {
                let (least, most) = row.pods;
                let pods = if row.identified {
                    format!("{least}-{most}")
                } else {
                    format!("{least}*")
                };
                let _ = write!(text, "{:<24}{pods:>6}  ", row.service);
                for e in [&row.cpu_cores, &row.log_latency] {
                    let _ = write!(
                        text,
                        "{:>11.3}{:>12.3}{:>12.3}  ",
                        e.persistence, e.linear, e.twin
                    );
                }
                text.push('\n');
            }
            text.push('\n');
        }
        text.push_str("* pods never change: fitted without an effect of replicas\n");
        for dropped in &self.report.dropped {
            let _ = writeln!(text, "left out: {} rows, {}", dropped.rows, dropped.reason);
        }
        text
    }
}
