//! The top of the page: may the team act, and is it worth it.

use karma_evaluate::{Claim, POD_HOURS_LIMIT, Summary};
use serde::Serialize;
use serde_json::Value;

use super::{
    fidelity::list,
    format::{float, number, signed, text, words},
    next_step::{next_step, remarks},
};
use crate::advice::{Worth, advice};

/// Twin accuracy below which the page warns.
const TRUSTED: f64 = 0.9;

/// What the top of the page says.
#[derive(Debug, Serialize)]
pub(super) struct VerdictView {
    /// `pass`, `safe` (that and no more), `fail` or `unknown`.
    tone: &'static str,
    gate: &'static str,
    headline: String,
    lead: &'static str,
    next_step: String,
    caution: Option<String>,
    reasons: Vec<String>,
    claims: Vec<ClaimView>,
    remarks: Vec<String>,
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

/// The view of `verdict.json`, of the comparison and of the twin's accuracy.
pub(super) fn view(
    verdict: Option<&Value>,
    summary: Option<&Summary>,
    accuracy: Option<&Value>,
) -> VerdictView {
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
        next_step: next_step(pass, summary),
        caution: accuracy.and_then(caution),
        reasons: verdict.map(reasons).unwrap_or_default(),
        claims: summary.map(claims).unwrap_or_default(),
        remarks: summary.map(remarks).unwrap_or_default(),
    }
}

/// That the twin misjudges some policies, where it does.
fn caution(accuracy: &Value) -> Option<String> {
    let (mean, worst) = (float(accuracy, "mean")?, float(accuracy, "worst")?);
    if mean.min(worst) >= TRUSTED {
        return None;
    }
    let percent = |share: f64| format!("{} %", number(100.0 * share, 1));
    let is_worst = |policy: &&Value| float(policy, "accuracy") == Some(worst);
    let named = list(accuracy, "policies").into_iter().find(is_worst);
    let named = named.and_then(|policy| text(policy, &["name"])).map(words);
    Some(format!(
        "the twin misjudges some policies. Its accuracy is {} on average and {} at worst{}, under the {} \
         from which it is to be trusted: what was learned in it may do worse on a cluster.",
        percent(mean),
        percent(worst),
        named.map(|name| format!(", of {name}")).unwrap_or_default(),
        format_args!("{} %", number(100.0 * TRUSTED, 0)),
    ))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_twin_that_misjudges_a_policy_is_warned_of_by_name() {
        let accuracy = |mean: f64, worst: f64| {
            json!({ "mean": mean, "worst": worst, "policies": [
                { "name": "constant: least", "accuracy": 0.1 },
                { "name": "HPA at 80 %", "accuracy": worst },
            ]})
        };
        assert_eq!(caution(&accuracy(0.95, 0.9)), None);
        assert_eq!(caution(&json!({})), None);
        let told = caution(&accuracy(0.95, 0.742)).unwrap_or_default();
        assert!(
            told.contains("95.0 % on average and 74.2 % at worst, of HPA at 80 %"),
            "{told}"
        );
        let view = view(None, None, Some(&accuracy(0.85, 0.8)));
        assert!(view.caution.is_some());
    }
}
