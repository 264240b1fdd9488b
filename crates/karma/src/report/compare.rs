//! The team against everybody else.

use karma_evaluate::{
    Contender, ContextSummary, ControllerSummary, Estimate, Metric, Span, Summary,
};
use serde::Serialize;

use super::format::{Mark, clock, digits, interval, mean, number, signed};

/// What the team does for whoever deploys it, against HPA as shipped.
#[derive(Debug, Serialize)]
pub(super) struct Benefit {
    tiles: Vec<Tile>,
    rows: Vec<ForestRow>,
    /// Ends of the axis of the rows, in percentage points.
    axis: Axis,
    seeds: usize,
    contexts: usize,
}

#[derive(Debug, Serialize)]
struct Tile {
    label: &'static str,
    value: String,
    unit: &'static str,
    interval: String,
    instead: String,
    mark: Mark,
}

#[derive(Debug, Serialize)]
struct Axis {
    low: String,
    high: String,
    zero_pct: f64,
}

/// One context: the difference in success as a dot on its interval.
#[derive(Debug, Serialize)]
struct ForestRow {
    context: String,
    team: String,
    hpa: String,
    difference: String,
    interval: String,
    mark: Mark,
    at_pct: f64,
    from_pct: f64,
    to_pct: f64,
    pod_hours_ratio: String,
    within_cost: bool,
    recovery: String,
    p95: String,
}

/// Tiles: metric, label, whether the difference is shown relative to HPA.
const TILES: [(Metric, &str, bool); 4] = [
    (Metric::SuccessPct, "Requests answered in time", false),
    (Metric::LatencyP95Ms, "p95 latency, end to end", true),
    (Metric::RecoveryS, "Time to recover", false),
    (Metric::PodHours, "Pod-hours spent", true),
];

pub(super) fn benefit(summary: &Summary) -> Benefit {
    let of = |contender| summary.overall.iter().find(|c| c.contender == contender);
    let tiles = of(Contender::Team)
        .zip(of(Contender::HpaShipped))
        .map(|(team, hpa)| tiles(team, hpa))
        .unwrap_or_default();
    let differences: Vec<Estimate> = summary
        .contexts
        .iter()
        .filter_map(success_difference)
        .collect();
    let scale = Scale::of(&differences);
    Benefit {
        tiles,
        rows: summary
            .contexts
            .iter()
            .filter_map(|c| forest_row(c, &scale))
            .collect(),
        axis: Axis {
            low: signed(scale.low, 0),
            high: signed(scale.high, 0),
            zero_pct: scale.pct(0.0),
        },
        seeds: summary.seeds.len(),
        contexts: summary.contexts.len(),
    }
}

fn tiles(team: &ControllerSummary, hpa: &ControllerSummary) -> Vec<Tile> {
    let tile = |(metric, label, relative): (Metric, &'static str, bool)| {
        let theirs = hpa.metrics.get(&metric)?;
        let difference = *team.minus_hpa.get(&metric)?;
        let (shown, unit, shown_decimals) = if relative && theirs.mean != 0.0 {
            (scaled(difference, 100.0 / theirs.mean), "%", 0)
        } else if metric == Metric::RecoveryS {
            (difference, "s", 0)
        } else {
            (difference, "points", 2)
        };
        Some(Tile {
            label,
            value: signed(shown.mean, shown_decimals),
            unit,
            interval: interval(shown, shown_decimals, true),
            instead: format!(
                "{} instead of {} {}",
                mean(team, metric)?,
                mean(hpa, metric)?,
                unit_of(metric)
            ),
            mark: Mark::of(metric, difference),
        })
    };
    TILES.into_iter().filter_map(tile).collect()
}

fn unit_of(metric: Metric) -> &'static str {
    match metric {
        Metric::SuccessPct => "%",
        Metric::LatencyP95Ms => "ms",
        Metric::RecoveryS => "s",
        _ => "per episode",
    }
}

fn scaled(estimate: Estimate, factor: f64) -> Estimate {
    Estimate {
        mean: estimate.mean * factor,
        low: estimate.low.map(|low| low * factor),
        high: estimate.high.map(|high| high * factor),
    }
}

fn success_difference(context: &ContextSummary) -> Option<Estimate> {
    let team = context.controller(Contender::Team)?;
    team.minus_hpa.get(&Metric::SuccessPct).copied()
}

/// A linear axis that shows all intervals and 0.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(estimates: &[Estimate]) -> Self {
        let ends = |end: fn(&Estimate) -> f64| estimates.iter().map(end);
        let low = ends(|e| e.low.unwrap_or(e.mean)).fold(0.0, f64::min);
        let high = ends(|e| e.high.unwrap_or(e.mean)).fold(0.0, f64::max);
        let margin = ((high - low) * 0.06).max(0.5);
        Self {
            low: if low < 0.0 {
                (low - margin).floor()
            } else {
                -margin
            },
            high: (high + margin).ceil(),
        }
    }

    fn pct(&self, value: f64) -> f64 {
        let share = 100.0 * (value - self.low) / (self.high - self.low);
        (share * 100.0).round() / 100.0
    }
}

fn forest_row(context: &ContextSummary, scale: &Scale) -> Option<ForestRow> {
    let team = context.controller(Contender::Team)?;
    let hpa = context.controller(Contender::HpaShipped)?;
    let difference = success_difference(context)?;
    let ratio =
        team.metrics.get(&Metric::PodHours)?.mean / hpa.metrics.get(&Metric::PodHours)?.mean;
    let mean = |controller, metric| mean(controller, metric).unwrap_or_else(|| "–".to_owned());
    let pair = |metric| format!("{} / {}", mean(team, metric), mean(hpa, metric));
    Some(ForestRow {
        context: context.name.clone(),
        team: mean(team, Metric::SuccessPct),
        hpa: mean(hpa, Metric::SuccessPct),
        difference: signed(difference.mean, 2),
        interval: interval(difference, 2, true),
        mark: Mark::of(Metric::SuccessPct, difference),
        at_pct: scale.pct(difference.mean),
        from_pct: scale.pct(difference.low.unwrap_or(difference.mean)),
        to_pct: scale.pct(difference.high.unwrap_or(difference.mean)),
        pod_hours_ratio: number(ratio, 2),
        within_cost: ratio <= karma_evaluate::POD_HOURS_LIMIT,
        recovery: pair(Metric::RecoveryS),
        p95: pair(Metric::LatencyP95Ms),
    })
}

/// A comparison table: a row per metric, a column per controller.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    name: String,
    columns: Vec<Column>,
    groups: Vec<Group>,
    note: String,
}

#[derive(Debug, Serialize)]
struct Column {
    key: &'static str,
    title: String,
    settings: String,
}

#[derive(Debug, Serialize)]
struct Group {
    title: &'static str,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    title: &'static str,
    better: &'static str,
    cells: Vec<Option<Cell>>,
}

#[derive(Debug, Serialize)]
struct Cell {
    mean: String,
    interval: String,
    /// Against the team; absent in its own column and for the bound.
    mark: Option<Mark>,
    difference: String,
    is_best: bool,
}

const GROUPS: [(&str, &[Metric]); 4] = [
    (
        "What users get",
        &[
            Metric::SuccessPct,
            Metric::LatencyCompliancePct,
            Metric::AvailabilityPct,
            Metric::RecoveryS,
            Metric::PendingPct,
        ],
    ),
    (
        "Latency, end to end",
        &[
            Metric::LatencyP50Ms,
            Metric::LatencyP90Ms,
            Metric::LatencyP95Ms,
            Metric::LatencyP99Ms,
        ],
    ),
    (
        "What it costs",
        &[Metric::PodHours, Metric::CpuHours, Metric::AveragePods],
    ),
    (
        "How restless it is",
        &[Metric::TogglesPerHour, Metric::ReplicaVariance],
    ),
];

/// One table per context.
pub(super) fn contexts(summary: &Summary) -> Vec<Comparison> {
    let table = |context: &ContextSummary| {
        comparison(&context.name, &context.controllers, context.disturbance)
    };
    summary.contexts.iter().map(table).collect()
}

/// The table of the means over the contexts.
pub(super) fn overall(summary: &Summary) -> Comparison {
    comparison("all contexts", &summary.overall, None)
}

fn comparison(
    name: &str,
    controllers: &[ControllerSummary],
    disturbance: Option<Span>,
) -> Comparison {
    Comparison {
        name: name.to_owned(),
        columns: controllers
            .iter()
            .map(|c| Column {
                key: c.contender.key(),
                title: c.title.clone(),
                settings: c.settings.clone(),
            })
            .collect(),
        groups: GROUPS
            .iter()
            .map(|(title, metrics)| Group {
                title,
                rows: metrics
                    .iter()
                    .map(|metric| row(*metric, controllers))
                    .collect(),
            })
            .collect(),
        note: about_recovery(controllers, disturbance),
    }
}

/// How to read the row that surprises most; empty where nobody has one.
fn about_recovery(controllers: &[ControllerSummary], disturbance: Option<Span>) -> String {
    let is_measured = |c: &ControllerSummary| c.metrics.contains_key(&Metric::RecoveryS);
    if !controllers.iter().any(is_measured) {
        return String::new();
    }
    let when = disturbance.map(|span| {
        let (from, to) = (clock(span.from_s), clock(span.to_s));
        format!(" (here from {from} to {to})")
    });
    let mut note = format!(
        "Recovery runs from the onset of the disturbance{} until success and p95 are both back within \
         10 % of the 120 s before it and stay so for 30 s; it is 0 where they never left. Latency alone \
         can keep it up while every request succeeds.",
        when.unwrap_or_default()
    );
    let censored: Vec<String> = controllers
        .iter()
        .filter(|c| c.recovery_censored > 0)
        .map(|c| format!("{} in {}", c.title, c.recovery_censored))
        .collect();
    if !censored.is_empty() {
        note += &format!(
            " Never recovered within the episode, counted as the rest of it and marked >: {} episodes.",
            censored.join(", ")
        );
    }
    note
}

fn row(metric: Metric, controllers: &[ControllerSummary]) -> Row {
    let decimals = digits(metric);
    let means: Vec<f64> = controllers
        .iter()
        .filter(|c| c.contender != Contender::Bound)
        .filter_map(|c| Some(c.metrics.get(&metric)?.mean))
        .collect();
    let is_higher_better = metric.better() == karma_evaluate::Better::Higher;
    let best = means
        .into_iter()
        .reduce(if is_higher_better { f64::max } else { f64::min });
    let cell = |controller: &ControllerSummary| {
        let estimate = *controller.metrics.get(&metric)?;
        let difference = controller.minus_team.get(&metric).copied();
        let is_policy = controller.contender != Contender::Bound;
        Some(Cell {
            mean: mean(controller, metric)?,
            interval: interval(estimate, decimals, false),
            mark: difference
                .filter(|_| is_policy)
                .map(|d| Mark::of(metric, d)),
            difference: difference
                .map(|d| {
                    format!(
                        "{} {}",
                        signed(d.mean, decimals),
                        interval(d, decimals, true)
                    )
                })
                .unwrap_or_default(),
            is_best: is_policy && Some(estimate.mean) == best,
        })
    };
    Row {
        title: long_title(metric),
        better: if is_higher_better {
            "more is better"
        } else {
            "less is better"
        },
        cells: controllers.iter().map(cell).collect(),
    }
}

fn long_title(metric: Metric) -> &'static str {
    match metric {
        Metric::SuccessPct => "Success, %",
        Metric::LatencyCompliancePct => "Within the SLO latency, %",
        Metric::PendingPct => "Waiting in queues, %",
        Metric::AvailabilityPct => "Available under disturbance, %",
        Metric::RecoveryS => "Recovery, s",
        Metric::LatencyP50Ms => "p50, ms",
        Metric::LatencyP90Ms => "p90, ms",
        Metric::LatencyP95Ms => "p95, ms",
        Metric::LatencyP99Ms => "p99, ms",
        Metric::PodHours => "Pod-hours",
        Metric::CpuHours => "CPU-hours",
        Metric::AveragePods => "Average pods",
        Metric::TogglesPerHour => "Direction changes per hour",
        Metric::ReplicaVariance => "Variance of replicas",
    }
}
