//! Numbers as people read them.

use karma_evaluate::{Better, ControllerSummary, Estimate, Metric};
use serde::Serialize;
use serde_json::Value;

/// `value` with `digits` decimals, a true minus sign and thin spaces between thousands.
pub(super) fn number(value: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", value.abs());
    let is_zero = text.chars().all(|c| matches!(c, '0' | '.'));
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        // Four digits stand well without a space.
        if index > 0 && whole.len() > 4 && (whole.len() - index).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    let sign = if value < 0.0 && !is_zero { "−" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{grouped}{point}{fraction}")
}

/// [`number`] with its sign always written.
pub(super) fn signed(value: f64, digits: usize) -> String {
    let text = number(value, digits);
    if text.starts_with('−') || text.chars().all(|c| matches!(c, '0' | '.')) {
        text
    } else {
        format!("+{text}")
    }
}

/// An interval in brackets; empty where there is none.
pub(super) fn interval(estimate: Estimate, digits: usize, signs: bool) -> String {
    let write = if signs { signed } else { number };
    match estimate.low.zip(estimate.high) {
        Some((low, high)) => format!("[{}, {}]", write(low, digits), write(high, digits)),
        None => String::new(),
    }
}

/// Decimals that a metric is worth showing with.
pub(super) fn digits(metric: Metric) -> usize {
    match metric {
        Metric::SuccessPct
        | Metric::LatencyCompliancePct
        | Metric::PodHours
        | Metric::CpuHours
        | Metric::ReplicaVariance => 2,
        Metric::PendingPct
        | Metric::AvailabilityPct
        | Metric::AveragePods
        | Metric::TogglesPerHour => 1,
        Metric::RecoveryS
        | Metric::LatencyP50Ms
        | Metric::LatencyP90Ms
        | Metric::LatencyP95Ms
        | Metric::LatencyP99Ms => 0,
    }
}

/// The mean of a metric; of a recovery that did not always come, what it is more than.
pub(super) fn mean(controller: &ControllerSummary, metric: Metric) -> Option<String> {
    let text = number(controller.metrics.get(&metric)?.mean, digits(metric));
    Some(if controller.is_lower_bound(metric) {
        format!("> {text}")
    } else {
        text
    })
}

/// Decimals with which the extremes of `values` differ in their third digit: enough to tell apart what
/// lies between them.
pub(super) fn digits_between(values: impl Iterator<Item = f64> + Clone) -> usize {
    const MOST: f64 = 6.0;
    let span =
        values.clone().fold(f64::NEG_INFINITY, f64::max) - values.fold(f64::INFINITY, f64::min);
    if span > 0.0 {
        (2.0 - span.log10().floor()).clamp(0.0, MOST) as usize
    } else {
        2
    }
}

/// Whether a difference is good, bad, or not clear from the seeds played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mark {
    Better,
    Worse,
    Unclear,
}

impl Mark {
    /// Judges `difference` of `metric` by its interval.
    pub(super) fn of(metric: Metric, difference: Estimate) -> Self {
        if !difference.excludes_zero() {
            return Self::Unclear;
        }
        if (difference.mean > 0.0) == (metric.better() == Better::Higher) {
            Self::Better
        } else {
            Self::Worse
        }
    }
}

/// The number at `key` of a JSON object.
pub(super) fn float(value: &Value, key: &str) -> Option<f64> {
    value.get(key)?.as_f64()
}

/// The text at the first of `keys` that a JSON object has.
pub(super) fn text<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| value.get(key)?.as_str())
}

/// `snake_case` as words.
pub(super) fn words(key: &str) -> String {
    key.replace(['_', '-'], " ")
}

/// Minutes and seconds.
pub(super) fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as i64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use karma_evaluate::Contender;

    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(number(1234.5, 1), "1234.5");
        assert_eq!(number(1_234_567.0, 0), "1\u{202f}234\u{202f}567");
        assert_eq!(number(-3.0, 1), "−3.0");
        assert_eq!(number(-0.001, 1), "0.0");
        assert_eq!(signed(0.0, 2), "0.00");
        assert_eq!(signed(2.0, 1), "+2.0");
        assert_eq!(clock(605.0), "10:05");
    }

    #[test]
    fn a_recovery_that_never_came_is_told_as_more_than_was_counted() {
        let estimate = |mean| Estimate {
            mean,
            low: None,
            high: None,
        };
        let mut controller = ControllerSummary {
            contender: Contender::Team,
            title: String::new(),
            settings: String::new(),
            metrics: [
                (Metric::RecoveryS, estimate(900.0)),
                (Metric::PodHours, estimate(7.5)),
            ]
            .into(),
            recovery_censored: 0,
            minus_hpa: BTreeMap::new(),
            minus_team: BTreeMap::new(),
        };
        let told = |controller: &ControllerSummary| {
            [Metric::RecoveryS, Metric::PodHours, Metric::SuccessPct].map(|m| mean(controller, m))
        };
        let texts = |recovery: &str| [Some(recovery.to_owned()), Some("7.50".to_owned()), None];
        assert_eq!(told(&controller), texts("900"));
        controller.recovery_censored = 1;
        assert_eq!(told(&controller), texts("> 900"));
    }

    #[test]
    fn numbers_close_together_get_digits_that_tell_them_apart() {
        for (values, digits) in [
            (vec![0.80, 0.81, 0.82], 4),
            (vec![-3.0, 82.5], 1),
            (vec![100.0, 2500.0], 0),
            (vec![1.0, 1.0], 2),
            (vec![], 2),
            (vec![f64::INFINITY, 1.0], 0),
        ] {
            assert_eq!(digits_between(values.iter().copied()), digits, "{values:?}");
        }
    }

    #[test]
    fn less_latency_is_better_and_less_success_is_worse() {
        let difference = |mean, low, high| Estimate {
            mean,
            low: Some(low),
            high: Some(high),
        };
        let fall = difference(-2.0, -3.0, -1.0);
        assert_eq!(Mark::of(Metric::LatencyP95Ms, fall), Mark::Better);
        assert_eq!(Mark::of(Metric::SuccessPct, fall), Mark::Worse);
        let unclear = difference(-2.0, -5.0, 1.0);
        assert_eq!(Mark::of(Metric::SuccessPct, unclear), Mark::Unclear);
    }
}
