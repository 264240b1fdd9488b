//! The top of the page: may the team act, and is it worth it.

use karma_evaluate::{Claim, POD_HOURS_LIMIT, Summary};
use serde::Serialize;
use serde_json::Value;

use super::format::{number, signed};
use crate::advice::{Worth, advice};

/// What the top of the page says.
#[derive(Debug, Serialize)]
pub(super) struct VerdictView {
    /// `pass`, `safe` (that and no more), `fail` or `unknown`.
    tone: &'static str,
    gate: &'static str,
    headline: String,
    lead: &'static str,
    reasons: Vec<String>,
    claims: Vec<ClaimView>,
}

/// One context: the three parts of the claim, and whether all hold.
#[derive(Debug, Serialize)]
struct ClaimView {
    context: String,
    holds: bool,
    success: Part,
    cost: Part,
    constant: Part,
}

#[derive(Debug, Serialize)]
struct Part {
    words: String,
    note: String,
    holds: bool,
}

pub(super) fn view(verdict: Option<&Value>, summary: Option<&Summary>) -> VerdictView {
    let pass = verdict.and_then(|v| v.get("pass")?.as_bool());
    let worth = summary.map(Worth::of).filter(|worth| worth.contexts > 0);
    let (tone, gate, lead) = match pass {
        Some(true) => (
            match worth {
                Some(Worth { held: 0, .. }) => "safe",
                _ => "pass",
            },
            "Safety gate passed",
            "It met every condition that stands between a trained team and a cluster. Whether it does \
             better than what is there, the comparison says.",
        ),
        Some(false) => (
            "fail",
            "Safety gate failed",
            "It watches and proposes, and the HPA decides, until the reasons below are gone, whatever \
             the comparison says.",
        ),
        None => (
            "unknown",
            "No verdict",
            "The transfer phase was not run, so that nothing says whether the team may act.",
        ),
    };
    VerdictView {
        tone,
        gate,
        headline: advice(pass, worth),
        lead,
        reasons: verdict.map(reasons).unwrap_or_default(),
        claims: summary.map(claims).unwrap_or_default(),
    }
}

fn reasons(verdict: &Value) -> Vec<String> {
    let listed = verdict.get("reasons").and_then(Value::as_array);
    let words = |reason: &Value| match reason.as_str() {
        Some(text) => text.to_owned(),
        None => reason.to_string(),
    };
    listed
        .map(|reasons| reasons.iter().map(words).collect())
        .unwrap_or_default()
}

fn claims(summary: &Summary) -> Vec<ClaimView> {
    summary
        .contexts
        .iter()
        .map(|context| {
            let claim = context.deployment_claim();
            ClaimView {
                success: success(&claim),
                cost: cost(&claim),
                constant: constant(&claim),
                context: claim.context,
                holds: claim.holds,
            }
        })
        .collect()
}

fn success(claim: &Claim) -> Part {
    Part {
        words: claim
            .success_minus_hpa
            .map_or_else(|| "–".to_owned(), |d| signed(d, 2)),
        note: claim
            .interval
            .map(|[low, high]| format!("[{}, {}]", signed(low, 2), signed(high, 2)))
            .unwrap_or_default(),
        holds: claim.interval.is_some_and(|[low, _]| low > 0.0),
    }
}

fn cost(claim: &Claim) -> Part {
    let ratio = claim.pod_hours_ratio;
    Part {
        words: ratio.map_or_else(|| "–".to_owned(), |r| number(r, 2)),
        note: format!("at most {POD_HOURS_LIMIT}"),
        holds: ratio.is_some_and(|ratio| ratio <= POD_HOURS_LIMIT),
    }
}

fn constant(claim: &Claim) -> Part {
    match &claim.vs_best_constant {
        Some(verdict) => Part {
            words: signed(verdict.success_difference.mean, 2),
            note: verdict.policy.to_string(),
            holds: !verdict.is_below(),
        },
        None => Part {
            words: "–".to_owned(),
            note: "none is that cheap".to_owned(),
            holds: true,
        },
    }
}
