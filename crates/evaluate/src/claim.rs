//! The claim that a team is worth deploying, checked against the numbers of one context.

use serde::{Deserialize, Serialize};

use crate::{
    metric::Metric,
    summary::{ConstantPolicy, Contender, ContextSummary, Estimate},
    table::signed,
};

/// Most pod-hours of the team over those of HPA as shipped for the claim to hold.
pub const POD_HOURS_LIMIT: f64 = 1.2;

/// Whether the team is worth deploying in one context: success above HPA as shipped with an
/// interval that excludes 0, at no more than [`POD_HOURS_LIMIT`] times its pod-hours, and not below the
/// best constant policy that spends no more pod-hours than the team. Like 'above', 'below' is said of a
/// paired difference whose whole interval is on that side of 0.
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

impl ConstantVerdict {
    /// Whether the team is below the constant policy.
    #[must_use]
    pub fn is_below(&self) -> bool {
        let Estimate { mean, high, .. } = self.success_difference;
        high.unwrap_or(mean) < 0.0
    }
}

impl ContextSummary {
    /// Checks the claim against the numbers of this context.
    #[must_use]
    pub fn deployment_claim(&self) -> Claim {
        let mut failures = Vec::new();

        let difference = self
            .controller(Contender::Team)
            .and_then(|team| team.minus_hpa.get(&Metric::SuccessPct).copied());
        match difference {
            Some(Estimate { mean, low, .. }) if low.is_some_and(|low| low > 0.0) && mean > 0.0 => {}
            Some(Estimate { mean, low, high }) => failures.push(match low.zip(high) {
                Some((low, high)) => format!(
                    "success minus HPA as shipped is {} points, interval [{}, {}]",
                    signed(mean),
                    signed(low),
                    signed(high)
                ),
                None => format!(
                    "success minus HPA as shipped is {} points, of one seed only",
                    signed(mean)
                ),
            }),
            None => failures.push("the team or HPA as shipped was not evaluated".to_owned()),
        }

        let pod_hours = |who| Some(self.controller(who)?.metrics.get(&Metric::PodHours)?.mean);
        let ratio = pod_hours(Contender::Team)
            .zip(pod_hours(Contender::HpaShipped))
            .map(|(team, hpa)| team / hpa);
        if let Some(ratio) = ratio.filter(|ratio| *ratio > POD_HOURS_LIMIT) {
            failures.push(format!(
                "{ratio:.2} times the pod-hours of HPA as shipped, more than {POD_HOURS_LIMIT}"
            ));
        }

        let vs_best_constant = self.affordable_constant.clone().and_then(|policy| {
            let success_difference = *self
                .controller(Contender::AffordableConstant)?
                .minus_team
                .get(&Metric::SuccessPct)?;
            Some(ConstantVerdict {
                policy,
                success_difference: success_difference.negated(),
            })
        });
        if let Some(verdict) = &vs_best_constant
            && verdict.is_below()
        {
            failures.push(format!(
                "{:.2} points below the constant policy {} of no more pod-hours",
                -verdict.success_difference.mean, verdict.policy
            ));
        }

        Claim {
            context: self.name.clone(),
            success_minus_hpa: difference.map(|d| d.mean),
            interval: difference.and_then(|d| Some([d.low?, d.high?])),
            pod_hours_ratio: ratio,
            vs_best_constant,
            holds: failures.is_empty(),
            failures,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::summary::{ControllerSummary, Timeline};

    pub(crate) const fn about(mean: f64) -> Estimate {
        Estimate {
            mean,
            low: Some(mean - 1.0),
            high: Some(mean + 1.0),
        }
    }

    pub(crate) fn controller(contender: Contender, pod_hours: f64) -> ControllerSummary {
        ControllerSummary {
            contender,
            title: String::new(),
            settings: String::new(),
            metrics: BTreeMap::from([(Metric::PodHours, about(pod_hours))]),
            recovery_censored: 0,
            minus_hpa: BTreeMap::new(),
            minus_team: BTreeMap::new(),
        }
    }

    /// A team `over_hpa` and `over_constant` points better, at `pod_hours` to HPA's 10.
    pub(crate) fn context(over_hpa: f64, pod_hours: f64, over_constant: f64) -> ContextSummary {
        let mut team = controller(Contender::Team, pod_hours);
        team.minus_hpa.insert(Metric::SuccessPct, about(over_hpa));
        let mut constant = controller(Contender::AffordableConstant, pod_hours);
        constant
            .minus_team
            .insert(Metric::SuccessPct, about(-over_constant));
        ContextSummary {
            name: "ddos".to_owned(),
            disturbance: None,
            controllers: vec![team, controller(Contender::HpaShipped, 10.0), constant],
            best_constant: ConstantPolicy::default(),
            affordable_constant: Some(ConstantPolicy::default()),
            constant_frontier: Vec::new(),
            claim: None,
            timeline: Timeline::default(),
        }
    }

    #[test]
    fn the_claim_needs_success_cost_and_the_best_constant() {
        let claim = context(3.0, 12.0, 0.0).deployment_claim();
        assert!(claim.holds);
        assert!(
            context(3.0, 12.0, -0.9).deployment_claim().holds,
            "not clearly below the constant"
        );
        for (over_hpa, pod_hours, over_constant, failure) in [
            (0.5, 10.0, 1.0, "interval [-0.50, +1.50]"),
            (-3.0, 10.0, 1.0, "-3.00 points"),
            (3.0, 12.1, 1.0, "1.21 times the pod-hours"),
            (3.0, 10.0, -1.1, "1.10 points below the constant"),
        ] {
            let claim = context(over_hpa, pod_hours, over_constant).deployment_claim();
            assert!(!claim.holds);
            assert_eq!(claim.failures.len(), 1);
            assert!(claim.failures[0].contains(failure), "{:?}", claim.failures);
        }
    }

    #[test]
    fn a_single_seed_proves_nothing() {
        let mut context = context(3.0, 10.0, 1.0);
        let single = Estimate {
            mean: 3.0,
            low: None,
            high: None,
        };
        context.controllers[0]
            .minus_hpa
            .insert(Metric::SuccessPct, single);
        assert!(!context.deployment_claim().holds);
    }

    #[test]
    fn no_constant_policy_that_cheap_is_no_failure() {
        let mut context = context(3.0, 10.0, 1.0);
        context.affordable_constant = None;
        context.controllers.pop();
        let claim = context.deployment_claim();
        assert!(claim.holds && claim.vs_best_constant.is_none());
    }
}
