//! What to deploy in one context where the team is not worth it.

use crate::{
    metric::Metric,
    summary::{Contender, ContextSummary, ControllerSummary},
};

/// Who could be deployed instead of the team; of equals the first is named.
const ALTERNATIVES: [Contender; 5] = [
    Contender::HpaShipped,
    Contender::HpaCalibrated,
    Contender::AffordableConstant,
    Contender::BestConstant,
    Contender::Static,
];

/// Most pod-hours of a constant policy over the team's that are told as about the same.
const ABOUT_THE_SAME: f64 = 1.02;

/// A constant policy that costs marginally more than the team and succeeds more often.
#[derive(Clone, Debug, PartialEq)]
pub struct NearConstant {
    /// Its replicas, e.g. `5-6-3-2`.
    pub replicas: String,
    /// Its mean pod-hours.
    pub pod_hours: f64,
    /// The team's.
    pub team_pod_hours: f64,
    /// Its success minus the team's, in percentage points: mean of the paired seeds.
    pub success_difference: f64,
}

impl ContextSummary {
    /// Whether to deploy the team here, what to do instead, and why, in words.
    #[must_use]
    pub fn advice(&self) -> String {
        let claim = self.deployment_claim();
        if claim.holds {
            return "yes, instead of HPA as shipped".to_owned();
        }
        let reasons = claim.failures.join("; ");
        match self.instead() {
            Some(instead) => format!("no, {instead}: {reasons}"),
            None if self.controller(Contender::Team).is_some() => {
                format!("no, though nothing of no more pod-hours did better: {reasons}")
            }
            None => format!("no: {reasons}"),
        }
    }

    /// What to do instead of deploying the team, in words: the best of those that spend no more
    /// pod-hours and succeed more often. `None` where there is none.
    #[must_use]
    pub fn instead(&self) -> Option<String> {
        let team = self.controller(Contender::Team)?;
        let (limit, least) = (mean(team, Metric::PodHours)?, success(team)?);
        let (mut best, mut most) = (None, least);
        for other in ALTERNATIVES.iter().filter_map(|who| self.controller(*who)) {
            let is_affordable = mean(other, Metric::PodHours).is_some_and(|hours| hours <= limit);
            if let Some(success) = success(other).filter(|success| *success > most)
                && is_affordable
            {
                (best, most) = (Some(other), success);
            }
        }
        let best = best?;
        let (name, does) = match best.contender {
            Contender::HpaShipped => return Some("keep HPA as shipped".to_owned()),
            Contender::HpaCalibrated => ("the calibrated HPA".to_owned(), "does"),
            _ => (format!("the constant replicas {}", best.settings), "do"),
        };
        let figures = format!("{most:.2} % success to {least:.2} %, on no more pod-hours");
        Some(format!("{name} {does} better ({figures})"))
    }

    /// The constant policy of the most success among those played here that spend more pod-hours than
    /// the team, but about the same, and succeed more often.
    #[must_use]
    pub fn near_constant(&self) -> Option<NearConstant> {
        let team_pod_hours = mean(self.controller(Contender::Team)?, Metric::PodHours)?;
        let near = [Contender::BestConstant, Contender::Static].map(|who| {
            let constant = self.controller(who)?;
            let near = NearConstant {
                replicas: constant.settings.clone(),
                pod_hours: mean(constant, Metric::PodHours)?,
                team_pod_hours,
                success_difference: constant.minus_team.get(&Metric::SuccessPct)?.mean,
            };
            let is_near = near.pod_hours > team_pod_hours
                && near.pod_hours <= ABOUT_THE_SAME * team_pod_hours;
            (is_near && near.success_difference > 0.0).then_some(near)
        });
        let near = near.into_iter().flatten();
        near.max_by(|a, b| a.success_difference.total_cmp(&b.success_difference))
    }
}

fn mean(controller: &ControllerSummary, metric: Metric) -> Option<f64> {
    Some(controller.metrics.get(&metric)?.mean)
}

fn success(controller: &ControllerSummary) -> Option<f64> {
    mean(controller, Metric::SuccessPct)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::tests::{about, context, controller};

    /// A context in which HPA as shipped spends 10 pod-hours and the team `pod_hours`; the others, and
    /// the success of all in percent.
    fn played(over_hpa: f64, pod_hours: f64, others: &[(Contender, f64, f64)]) -> ContextSummary {
        let mut context = context(over_hpa, pod_hours, 0.0);
        context.affordable_constant = None;
        context.controllers.truncate(2);
        for (index, success) in [(0, 90.0), (1, 90.0 - over_hpa)] {
            let metrics = &mut context.controllers[index].metrics;
            metrics.insert(Metric::SuccessPct, about(success));
        }
        for &(contender, pod_hours, success) in others {
            let mut other = controller(contender, pod_hours);
            other.settings = "2-3".to_owned();
            other.metrics.insert(Metric::SuccessPct, about(success));
            let difference = about(success - 90.0);
            other.minus_team.insert(Metric::SuccessPct, difference);
            context.controllers.push(other);
        }
        context
    }

    #[test]
    fn the_best_of_no_more_pod_hours_is_named_instead_of_the_team() {
        use Contender::{BestConstant, HpaCalibrated};
        let not_above = ": success minus HPA as shipped is ";
        for (over_hpa, pod_hours, others, says) in [
            (-3.0, 10.0, vec![], "no, keep HPA as shipped"),
            (
                -3.0,
                10.0,
                vec![(HpaCalibrated, 9.0, 92.0), (BestConstant, 11.0, 99.0)],
                "no, keep HPA as shipped",
            ),
            (
                -3.0,
                10.0,
                vec![(HpaCalibrated, 9.0, 95.0), (BestConstant, 10.0, 94.0)],
                "no, the calibrated HPA does better (95.00 % success to 90.00 %, on no more pod-hours)",
            ),
            (
                0.5,
                10.0,
                vec![(HpaCalibrated, 9.0, 91.0), (BestConstant, 10.0, 94.0)],
                "no, the constant replicas 2-3 do better (94.00 % success to 90.00 %, on no more \
                 pod-hours)",
            ),
            // HPA as shipped did better, on more pods.
            (
                -3.0,
                9.0,
                vec![(HpaCalibrated, 9.5, 99.0)],
                "no, though nothing of no more pod-hours did better",
            ),
        ] {
            let advice = played(over_hpa, pod_hours, &others).advice();
            assert!(
                advice.starts_with(&format!("{says}{not_above}")),
                "{advice}"
            );
        }
        let mut unplayed = played(3.0, 10.0, &[]);
        assert_eq!(unplayed.advice(), "yes, instead of HPA as shipped");
        unplayed.controllers.remove(0);
        assert_eq!(
            unplayed.advice(),
            "no: the team or HPA as shipped was not evaluated"
        );
    }

    #[test]
    fn a_better_constant_of_about_the_same_pod_hours_is_told() {
        let near = |pod_hours, success| {
            played(3.0, 10.0, &[(Contender::BestConstant, pod_hours, success)]).near_constant()
        };
        assert_eq!(
            near(10.1, 90.5),
            Some(NearConstant {
                replicas: "2-3".to_owned(),
                pod_hours: 10.1,
                team_pod_hours: 10.0,
                success_difference: 0.5,
            })
        );
        assert_eq!(near(10.1, 89.5), None, "no better");
        assert_eq!(near(10.3, 99.0), None, "not about the same");
        assert_eq!(
            near(10.0, 99.0),
            None,
            "not dearer: the claim compares with it"
        );
    }
}
