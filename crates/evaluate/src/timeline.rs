//! One episode of every controller, window by window, for charts.

use karma_cluster::{
    Scenario,
    emulator::{BIN_S, EpisodeRecord, ServiceRow},
};

use crate::summary::{Contender, ServiceTimeline, Span, Timeline, Track, UserTrack};

/// Draws up the timeline of the episodes that every controller played on `seed`.
pub(crate) fn timeline(
    scenario: &Scenario,
    seed: u64,
    records: &[(Contender, &EpisodeRecord)],
) -> Timeline {
    let Some((_, first)) = records.first() else {
        return Timeline::default();
    };
    let window_s = scenario.control.window.seconds();
    let services = scenario.services.iter().enumerate();
    Timeline {
        seed,
        time_s: first.windows.iter().map(|row| row.time_s).collect(),
        legit_rps: first
            .windows
            .iter()
            .map(|r| thousandths(r.legit_rps))
            .collect(),
        attack_rps: first
            .windows
            .iter()
            .map(|r| thousandths(r.attack_rps))
            .collect(),
        attacks: attacks(first, window_s),
        users: records
            .iter()
            .map(|(contender, record)| user_track(*contender, record, window_s))
            .collect(),
        services: services
            .map(|(index, service)| ServiceTimeline {
                name: service.name.clone(),
                tracks: records
                    .iter()
                    .map(|(contender, record)| track(*contender, record, index))
                    .collect(),
            })
            .collect(),
    }
}

/// Spans of windows in which attack requests arrive.
fn attacks(record: &EpisodeRecord, window_s: f64) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for row in record.windows.iter().filter(|row| row.attack_rps > 0.0) {
        let from_s = (row.time_s - window_s).max(0.0);
        match spans.last_mut() {
            Some(last) if last.to_s >= from_s => last.to_s = row.time_s,
            _ => spans.push(Span {
                from_s,
                to_s: row.time_s,
            }),
        }
    }
    spans
}

fn track(contender: Contender, record: &EpisodeRecord, service: usize) -> Track {
    let column = |value: fn(&ServiceRow) -> f64| {
        let rows = record.windows.iter().map(|row| &row.services[service]);
        rows.map(|row| measured(value(row))).collect()
    };
    Track {
        contender,
        desired: column(|row| f64::from(row.desired)),
        ready: column(|row| f64::from(row.ready)),
        queued: column(|row| f64::from(row.queued)),
        p95_ms: column(|row| row.p95_ms),
    }
}

fn user_track(contender: Contender, record: &EpisodeRecord, window_s: f64) -> UserTrack {
    let mut track = UserTrack {
        contender,
        success_pct: Vec::new(),
        p95_ms: Vec::new(),
    };
    for row in &record.windows {
        let inside = |time_s: f64| {
            let middle = time_s + BIN_S / 2.0;
            (row.time_s - window_s..row.time_s).contains(&middle)
        };
        let (mut arrived, mut ok, mut weighted, mut weight) = (0.0, 0.0, 0.0, 0.0);
        for bin in record.bins.iter().filter(|bin| inside(bin.time_s)) {
            arrived += f64::from(bin.arrived);
            ok += f64::from(bin.ok);
            if bin.p95_ms.is_finite() {
                weighted += bin.p95_ms * f64::from(bin.arrived);
                weight += f64::from(bin.arrived);
            }
        }
        track.success_pct.push(measured(100.0 * ok / arrived));
        track.p95_ms.push(measured(weighted / weight));
    }
    track
}

/// To thousandths, which no chart can tell from the exact value.
fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn measured(value: f64) -> Option<f64> {
    value.is_finite().then(|| thousandths(value))
}
