//! The claim that a team is worth deploying, checked against the numbers of one context.

use serde::{Deserialize, Serialize};

use crate::{
    metric::Metric,
    summary::{ConstantPolicy, Contender, Estimate, Summary},
};

/// Most pod-hours of the team over those of HPA as shipped for the claim to hold.
pub const POD_HOURS_LIMIT: f64 = 1.2;

/// Whether the team is worth deploying in one context: success above HPA as shipped with an
/// interval that excludes 0, at no more than [`POD_HOURS_LIMIT`] times its pod-hours, and mean success
/// not below the best constant policy that spends no more pod-hours than the team.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Context.
    pub context: String,
    /// Success of the team minus HPA as shipped, in percentage points: mean of the paired seeds.
    pub success_minus_hpa: Option<f64>,
    /// 95 % interval of the same.
    pub interval: Option<[f64; 2]>,
    /// Mean pod-hours of the team over those of HPA as shipped.
    pub pod_hours_ratio: Option<f64>,
    /// Against the best constant policy that spends no more pod-hours than the team; absent where no
    /// constant policy within the bounds is that cheap.
    pub vs_best_constant: Option<ConstantVerdict>,
    /// Whether all of it holds.
    pub holds: bool,
    /// Each part that fails, in words; empty where the claim holds.
    pub failures: Vec<String>,
}

/// The team against a constant policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConstantVerdict {
    /// The constant policy.
    pub policy: ConstantPolicy,
    /// Success of the team minus that policy's, in percentage points, paired.
    pub success_difference: Estimate,
}

impl Summary {
    /// Checks the claim in `context`; `None` where there is no such context.
    #[must_use]
    pub fn deployment_claim(&self, context: &str) -> Option<Claim> {
        let context = self.contexts.iter().find(|c| c.name == context)?;
        let mut failures = Vec::new();

        let difference = context
            .controller(Contender::Team)
            .and_then(|team| team.minus_hpa.get(&Metric::SuccessPct).copied());
        match difference {
            Some(Estimate { mean, low, .. }) if low.is_some_and(|low| low > 0.0) && mean > 0.0 => {}
            Some(Estimate { mean, low, high }) => failures.push(match low.zip(high) {
                Some((low, high)) => format!(
                    "success minus HPA as shipped is {mean:+.2} points, interval [{low:+.2}, {high:+.2}]"
                ),
                None => format!("success minus HPA as shipped is {mean:+.2} points, of one seed only"),
            }),
            None => failures.push("the team or HPA as shipped was not evaluated".to_owned()),
        }

        let pod_hours = |who| {
            Some(
                context
                    .controller(who)?
                    .metrics
                    .get(&Metric::PodHours)?
                    .mean,
            )
        };
        let ratio = pod_hours(Contender::Team)
            .zip(pod_hours(Contender::HpaShipped))
            .map(|(team, hpa)| team / hpa);
        if let Some(ratio) = ratio.filter(|ratio| *ratio > POD_HOURS_LIMIT) {
            failures.push(format!(
                "{ratio:.2} times the pod-hours of HPA as shipped, more than {POD_HOURS_LIMIT}"
            ));
        }

        let vs_best_constant = context.affordable_constant.clone().and_then(|policy| {
            let success_difference = *context
                .controller(Contender::AffordableConstant)?
                .minus_team
                .get(&Metric::SuccessPct)?;
            Some(ConstantVerdict {
                policy,
                success_difference: success_difference.negated(),
            })
        });
        if let Some(verdict) = &vs_best_constant
            && verdict.success_difference.mean < 0.0
        {
            failures.push(format!(
                "{:.2} points below the constant policy {} of no more pod-hours",
                -verdict.success_difference.mean, verdict.policy
            ));
        }

        Some(Claim {
            context: context.name.clone(),
            success_minus_hpa: difference.map(|d| d.mean),
            interval: difference.and_then(|d| Some([d.low?, d.high?])),
            pod_hours_ratio: ratio,
            vs_best_constant,
            holds: failures.is_empty(),
            failures,
        })
    }
}
