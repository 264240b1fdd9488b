//! The comparison as text for a terminal.

use std::fmt::Write;

use crate::{
    metric::Metric,
    summary::{Contender, ContextSummary, ControllerSummary, Estimate, Summary},
};

/// What the terminal shows; the report and `summary.json` have everything.
const SHOWN: [(Metric, usize); 8] = [
    (Metric::SuccessPct, 2),
    (Metric::LatencyCompliancePct, 2),
    (Metric::PendingPct, 1),
    (Metric::AvailabilityPct, 1),
    (Metric::RecoveryS, 0),
    (Metric::LatencyP95Ms, 0),
    (Metric::PodHours, 2),
    (Metric::TogglesPerHour, 1),
];

/// How to read the column that surprises most.
const RECOVERY: &str = "Recovery: from the onset of the disturbance until success and p95 are both back \
within 10 % of the 120 s\nbefore it and stay so for 30 s, 0 where they never left; latency alone can keep it \
up while every request succeeds.";

pub(crate) fn render(summary: &Summary) -> String {
    let mut text = String::new();
    for context in &summary.contexts {
        push_context(&mut text, summary, context);
    }
    let played = summary.episodes_played;
    let calibration = &summary.calibration;
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "Means over {seeds} paired unseen seeds; [95 % bootstrap interval, {resamples} resamples] of the \
         paired difference.\n\
         Episodes: {evaluation} on unseen seeds, {hpa} to calibrate HPA ({points} grid points, one \
         choice for all contexts,\n\
         best {objective}), {constant} to search constant policies for each context\n\
         (the best by the same measure; of no more pods than the team, by success).\n\
         {RECOVERY}\n",
        seeds = summary.seeds.len(),
        resamples = summary.resamples,
        evaluation = played.evaluation,
        hpa = played.hpa_calibration,
        points = calibration.points,
        objective = calibration.objective,
        constant = played.constant_search,
    );
    text
}

fn push_context(text: &mut String, summary: &Summary, context: &ContextSummary) {
    let mut rows = vec![header()];
    rows.extend(context.controllers.iter().map(row));
    let _ = writeln!(text, "context {}", context.name);
    push_aligned(text, &rows);
    for controller in &context.controllers {
        if controller.recovery_censored > 0 {
            let _ = writeln!(
                text,
                "  {}: {} of {} never recovered within the episode and count as the rest of it",
                controller.title,
                controller.recovery_censored,
                summary.seeds.len(),
            );
        }
    }
    let _ = writeln!(text, "  worth deploying here: {}", context.advice());
    text.push('\n');
}

fn header() -> Vec<String> {
    let mut cells = vec![String::new()];
    cells.extend(SHOWN.iter().map(|(metric, _)| metric.title().to_owned()));
    cells.push("success vs HPA as shipped".to_owned());
    cells
}

fn row(controller: &ControllerSummary) -> Vec<String> {
    let mut cells = vec![name(controller)];
    cells.extend(SHOWN.iter().map(|(metric, digits)| {
        controller.metrics.get(metric).map_or_else(
            || "-".to_owned(),
            |e| {
                let more = if controller.is_lower_bound(*metric) {
                    ">"
                } else {
                    ""
                };
                format!("{more}{:.*}", *digits, e.mean)
            },
        )
    }));
    cells.push(
        controller
            .minus_hpa
            .get(&Metric::SuccessPct)
            .map(difference)
            .unwrap_or_default(),
    );
    cells
}

/// Constant policies are told by their replicas.
fn name(controller: &ControllerSummary) -> String {
    match controller.contender {
        Contender::Static | Contender::BestConstant | Contender::AffordableConstant => {
            format!("{} {}", controller.title, controller.settings)
        }
        _ => controller.title.clone(),
    }
}

fn difference(estimate: &Estimate) -> String {
    let mean = signed(estimate.mean);
    match estimate.low.zip(estimate.high) {
        Some((low, high)) => format!("{mean} [{}, {}]", signed(low), signed(high)),
        None => mean,
    }
}

/// Two decimals with a sign, and no sign on what rounds to 0.
pub(crate) fn signed(value: f64) -> String {
    let text = format!("{value:+.2}");
    if text.ends_with("0.00") && value.abs() < 0.005 {
        "0.00".to_owned()
    } else {
        text
    }
}

/// Names to the left, numbers to the right.
fn push_aligned(text: &mut String, rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        })
        .collect();
    for row in rows {
        let mut line = format!("  {:<width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            let _ = write!(line, "  {cell:>width$}");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_recovery_that_never_came_is_told_as_more_than_was_counted() {
        let estimate = Estimate {
            mean: 900.0,
            low: None,
            high: None,
        };
        let mut controller = ControllerSummary {
            contender: Contender::Team,
            title: String::new(),
            settings: String::new(),
            metrics: BTreeMap::from([
                (Metric::RecoveryS, estimate),
                (Metric::LatencyP95Ms, estimate),
            ]),
            recovery_censored: 0,
            minus_hpa: BTreeMap::new(),
            minus_team: BTreeMap::new(),
        };
        let cells = |controller: &ControllerSummary| row(controller)[5..7].to_vec();
        assert_eq!(cells(&controller), ["900", "900"]);
        controller.recovery_censored = 2;
        assert_eq!(cells(&controller), [">900", "900"]);
    }
}
