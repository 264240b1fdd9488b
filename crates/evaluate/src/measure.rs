//! From the record of an episode to its metrics.

use karma_cluster::{
    Scenario,
    emulator::{EpisodeRecord, SecondRow},
};

use crate::{
    metric::{EpisodeMetrics, Metric},
    recovery::recovery,
    summary::Span,
};

/// Share of a second's arrivals that must succeed for the second to count as available.
const AVAILABLE_SHARE: f64 = 0.95;
const SECONDS_PER_HOUR: f64 = 3600.0;

/// The span that availability and recovery are measured over.
pub(crate) fn disturbance(scenario: &Scenario) -> Option<Span> {
    scenario.disturbance.map(|window| Span {
        from_s: window.at.seconds(),
        to_s: window.at.seconds() + window.duration.seconds(),
    })
}

/// Measures an episode.
pub(crate) fn measure(record: &EpisodeRecord, disturbance: Option<Span>) -> EpisodeMetrics {
    let mut metrics = EpisodeMetrics::default();
    metrics.set(Metric::SuccessPct, 100.0 * record.success());
    metrics.set(Metric::LatencyCompliancePct, 100.0 * record.compliance());
    metrics.set(Metric::PendingPct, 100.0 * record.pending());
    if let Some(span) = disturbance {
        metrics.set(
            Metric::AvailabilityPct,
            100.0 * availability(&record.seconds, span),
        );
        if let Some(recovery) = recovery(&record.bins, span, record.time_s) {
            metrics.set(Metric::RecoveryS, recovery.seconds);
            metrics.recovery_censored = recovery.censored;
        }
    }
    for (metric, quantile) in [
        (Metric::LatencyP50Ms, 0.5),
        (Metric::LatencyP90Ms, 0.9),
        (Metric::LatencyP95Ms, 0.95),
        (Metric::LatencyP99Ms, 0.99),
    ] {
        metrics.set(metric, record.latency.percentile(quantile));
    }
    metrics.set(Metric::PodHours, record.pod_s / SECONDS_PER_HOUR);
    metrics.set(Metric::CpuHours, record.cpu_core_s / SECONDS_PER_HOUR);
    metrics.set(Metric::AveragePods, record.average_pods());

    let services = record.windows.first().map_or(0, |row| row.services.len());
    let desired: Vec<Vec<u32>> = (0..services)
        .map(|service| record.desired(service).collect())
        .collect();
    let toggles: usize = desired.iter().map(|replicas| toggles(replicas)).sum();
    metrics.set(
        Metric::TogglesPerHour,
        toggles as f64 / (record.time_s / SECONDS_PER_HOUR),
    );
    let variance: f64 = desired.iter().map(|replicas| variance(replicas)).sum();
    metrics.set(Metric::ReplicaVariance, variance / services as f64);
    metrics
}

/// Share of the seconds of `span` in which enough arrivals succeed; a second without arrivals is
/// available.
fn availability(seconds: &[SecondRow], span: Span) -> f64 {
    let first = (span.from_s.floor() as usize).min(seconds.len());
    let last = (span.to_s.ceil() as usize).min(seconds.len());
    let inside = &seconds[first..last];
    let available = inside
        .iter()
        .filter(|row| f64::from(row.ok) >= AVAILABLE_SHARE * f64::from(row.arrived))
        .count();
    available as f64 / inside.len() as f64
}

/// Changes of direction: a rise after a fall or a fall after a rise, however long it held between.
fn toggles(replicas: &[u32]) -> usize {
    let mut last = None;
    let mut count = 0;
    for pair in replicas.windows(2).filter(|pair| pair[0] != pair[1]) {
        let direction = pair[1] > pair[0];
        count += usize::from(last.is_some_and(|last| last != direction));
        last = Some(direction);
    }
    count
}

/// Population variance.
fn variance(replicas: &[u32]) -> f64 {
    let count = replicas.len() as f64;
    let mean = replicas.iter().map(|r| f64::from(*r)).sum::<f64>() / count;
    replicas
        .iter()
        .map(|r| (f64::from(*r) - mean).powi(2))
        .sum::<f64>()
        / count
}

#[cfg(test)]
mod tests {
    use karma_cluster::emulator::{BinRow, ServiceRow, WindowRow};

    use super::*;

    /// A minute of one service with known answers.
    fn record() -> EpisodeRecord {
        let row = |time_s: f64, desired: u32| WindowRow {
            time_s,
            services: vec![ServiceRow {
                desired,
                ..ServiceRow::default()
            }],
            ..WindowRow::default()
        };
        let mut record = EpisodeRecord {
            time_s: 60.0,
            arrived: 1000,
            answered_in_timeout: 900,
            within_slo: 750,
            seconds: (0..60)
                .map(|second| SecondRow {
                    arrived: 20,
                    ok: match second {
                        20..30 => 18,
                        30..40 => 19,
                        _ => 20,
                    },
                })
                .collect(),
            bins: (0..12)
                .map(|bin| BinRow {
                    time_s: f64::from(bin) * 5.0,
                    arrived: 100,
                    ok: 100,
                    p95_ms: 50.0,
                })
                .collect(),
            queued_request_s: 30.0,
            in_flight_request_s: 120.0,
            pod_s: 180.0,
            cpu_core_s: 90.0,
            windows: vec![row(15.0, 2), row(30.0, 4), row(45.0, 4), row(60.0, 2)],
            ..EpisodeRecord::default()
        };
        record.latency.add_many(100.0, 100);
        record
    }

    fn close(value: Option<f64>, expected: f64) -> bool {
        value.is_some_and(|value| (value - expected).abs() < 1e-9)
    }

    #[test]
    fn a_hand_made_record_gives_the_known_answers() {
        let attack = Span {
            from_s: 20.0,
            to_s: 40.0,
        };
        let metrics = measure(&record(), Some(attack));
        for (metric, expected) in [
            (Metric::SuccessPct, 90.0),
            (Metric::LatencyCompliancePct, 75.0),
            (Metric::PendingPct, 25.0),
            (Metric::AvailabilityPct, 50.0),
            (Metric::RecoveryS, 0.0),
            (Metric::PodHours, 0.05),
            (Metric::CpuHours, 0.025),
            (Metric::AveragePods, 3.0),
            (Metric::TogglesPerHour, 60.0),
            (Metric::ReplicaVariance, 1.0),
        ] {
            assert!(
                close(metrics.get(metric), expected),
                "{metric:?}: {:?} is not {expected}",
                metrics.get(metric)
            );
        }
        let p50 = metrics.get(Metric::LatencyP50Ms).unwrap_or(0.0);
        assert!((p50 / 100.0 - 1.0).abs() < 0.125, "p50 {p50}");
    }

    #[test]
    fn availability_and_recovery_need_a_disturbance() {
        let metrics = measure(&record(), None);
        assert_eq!(metrics.get(Metric::AvailabilityPct), None);
        assert_eq!(metrics.get(Metric::RecoveryS), None);
        assert!(metrics.get(Metric::SuccessPct).is_some());
    }

    #[test]
    fn nothing_that_arrived_is_no_success_rate() {
        let empty = EpisodeRecord {
            time_s: 60.0,
            ..EpisodeRecord::default()
        };
        let metrics = measure(&empty, None);
        assert_eq!(metrics.get(Metric::SuccessPct), None);
        assert_eq!(metrics.get(Metric::ReplicaVariance), None);
    }

    #[test]
    fn holding_between_two_changes_is_still_one_toggle() {
        assert_eq!(toggles(&[1, 2, 2, 3, 3, 2, 2, 1]), 1);
        assert_eq!(toggles(&[3, 1, 3, 1, 3]), 3);
        assert_eq!(toggles(&[2, 2, 2]), 0);
        assert_eq!(toggles(&[]), 0);
    }
}
