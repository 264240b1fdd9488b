//! Series of one episode per context, for the charts.

use karma_evaluate::{Contender, ContextSummary, Summary, Timeline, Track};
use serde::Serialize;
use serde_json::{Value, json};

/// A controller in charts: its name, its short name at the end of a line, whether it is shown at first.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    key: &'static str,
    title: &'static str,
    short: &'static str,
    shown: bool,
}

/// Everyone who is drawn; the bound is no policy.
pub(super) fn contenders() -> Vec<Line> {
    Contender::ALL
        .into_iter()
        .filter(|contender| *contender != Contender::Bound)
        .map(|contender| Line {
            key: contender.key(),
            title: contender.title(),
            short: match contender {
                Contender::Team => "Team",
                Contender::HpaShipped => "HPA",
                Contender::HpaCalibrated => "HPA cal.",
                Contender::Static => "Static",
                Contender::BestConstant => "Constant",
                Contender::AffordableConstant => "Constant ≤",
                Contender::Bound => "Bound",
            },
            shown: matches!(
                contender,
                Contender::Team | Contender::HpaShipped | Contender::HpaCalibrated
            ),
        })
        .collect()
}

/// One entry per context.
pub(super) fn contexts(summary: &Summary) -> Vec<Value> {
    let context = |context: &ContextSummary| {
        let timeline = &context.timeline;
        let users = timeline.users.iter().map(|user| {
            json!({ "key": user.contender.key(), "success": user.success_pct, "p95": user.p95_ms })
        });
        json!({
            "name": context.name,
            "seed": timeline.seed,
            "disturbance": context.disturbance,
            "slo_ms": summary.slo_latency_ms,
            "time": timeline.time_s,
            "legit": timeline.legit_rps,
            "attack": timeline.attack_rps,
            "attacks": timeline.attacks,
            "users": users.collect::<Vec<_>>(),
            "services": tracks(timeline),
        })
    };
    summary.contexts.iter().map(context).collect()
}

/// Names of the services in order.
pub(super) fn services(summary: &Summary) -> Vec<String> {
    let timeline = summary.contexts.first().map(|context| &context.timeline);
    timeline
        .into_iter()
        .flat_map(|timeline| &timeline.services)
        .map(|service| service.name.clone())
        .collect()
}

fn tracks(timeline: &Timeline) -> Vec<Value> {
    timeline
        .services
        .iter()
        .map(|service| {
            let tracks = service.tracks.iter().map(|track| {
                json!({
                    "key": track.contender.key(),
                    "desired": track.desired,
                    "ready": track.ready,
                    "p95": track.p95_ms,
                })
            });
            json!({
                "name": service.name,
                "words": words(&service.tracks),
                "tracks": tracks.collect::<Vec<_>>(),
            })
        })
        .collect()
}

/// The chart of replicas for those who cannot see it.
fn words(tracks: &[Track]) -> String {
    let range = |track: &Track| {
        let replicas = track.ready.iter().flatten();
        let least = replicas.clone().copied().reduce(f64::min)?;
        let most = replicas.copied().reduce(f64::max)?;
        Some(format!(
            "{} between {least} and {most}",
            track.contender.title()
        ))
    };
    let ranges: Vec<String> = tracks.iter().filter_map(range).collect();
    format!("Ready replicas: {}.", ranges.join("; "))
}
