//! What to do with the team now, in a sentence, and where something else does better.

use karma_evaluate::{ContextSummary, Summary};

/// The next step: `passed` is of the gate, absent where it was not asked; `summary` is absent where
/// nothing was compared.
pub(super) fn next_step(passed: Option<bool>, summary: Option<&Summary>) -> String {
    let contexts = summary.map_or(&[][..], |summary| &summary.contexts);
    match passed {
        None => return "let karma run come to its end: it judges the team.".to_owned(),
        Some(false) => {
            return "mend what the gate says and train anew; until then the team only watches."
                .to_owned();
        }
        Some(true) if contexts.is_empty() => {
            return "let karma evaluate compare the team with what is there.".to_owned();
        }
        Some(true) => {}
    }
    let (worth, not): (Vec<_>, Vec<_>) = contexts.iter().partition(|c| c.deployment_claim().holds);
    if worth.is_empty() {
        return "do not deploy this team. karma tune searches for better training settings; where it \
                costs too many pods, raise reward.cost."
            .to_owned();
    }
    let elsewhere = if not.is_empty() {
        ""
    } else {
        " Elsewhere it is not worth it: see below."
    };
    format!(
        "where you expect {}, put the team in place of the HPA as shipped (once KARMA manages live clusters), \
         in Observe mode first: the HPA decides, the team proposes. When its proposals hold up, let it \
         act.{elsewhere}",
        all_of(&worth)
    )
}

/// The names of `contexts` as people list them.
fn all_of(contexts: &[&ContextSummary]) -> String {
    let names: Vec<&str> = contexts.iter().map(|c| c.name.as_str()).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Where the table needs words: what to do where the team is not worth it, and better constants that
/// the claim leaves out because they cost a little more.
pub(super) fn remarks(summary: &Summary) -> Vec<String> {
    let mut remarks = Vec::new();
    for context in &summary.contexts {
        let name = &context.name;
        if !context.deployment_claim().holds {
            let instead = context.instead();
            let instead = instead.unwrap_or_else(|| {
                "not worth it, though nothing of no more pod-hours did better".to_owned()
            });
            remarks.push(format!("{name}: {instead}."));
        }
        if let Some(near) = context.near_constant() {
            remarks.push(format!(
                "{name}: the constant {} at {:.2} pod-hours, the team at {:.3}, does {:.2} points \
                 better; at more pod-hours than the team it is not the one of the last column.",
                near.replicas, near.pod_hours, near.team_pod_hours, near.success_difference
            ));
        }
    }
    remarks
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_failed_or_missing_gate_comes_before_any_comparison() {
        assert!(next_step(Some(false), None).starts_with("mend what the gate says"));
        assert!(next_step(None, None).contains("karma run"));
        assert!(next_step(Some(true), None).contains("karma evaluate"));
    }

    /// A comparison in which the team is `over_hpa` points above HPA as shipped in each context, both at
    /// 8 pod-hours, and a constant of 8.1 is 0.5 points above the team.
    fn summary(over_hpa: &[(&str, f64)]) -> serde_json::Result<Summary> {
        let estimate = |mean: f64| json!({ "mean": mean, "low": mean - 0.1, "high": mean + 0.1 });
        let played = |who: &str, hours: f64, success: f64, minus_hpa: f64, minus_team: f64| {
            json!({
                "contender": who, "title": "", "settings": "5-6", "recovery_censored": 0,
                "metrics": { "pod_hours": estimate(hours), "success_pct": estimate(success) },
                "minus_hpa": { "success_pct": estimate(minus_hpa) },
                "minus_team": { "success_pct": estimate(minus_team) },
            })
        };
        let constant = json!({ "replicas": [5, 6], "success_pct": 0.0, "pod_hours": 8.1 });
        let contexts = over_hpa.iter().map(|&(name, over)| {
            json!({
                "name": name, "disturbance": null, "best_constant": constant,
                "affordable_constant": null, "constant_frontier": [], "claim": null,
                "timeline": {
                    "seed": 1, "time_s": [], "legit_rps": [], "attack_rps": [], "attacks": [],
                    "users": [], "services": [],
                },
                "controllers": [
                    played("team", 8.0, 95.0, over, 0.0),
                    played("hpa_shipped", 8.0, 95.0 - over, 0.0, -over),
                    played("best_constant", 8.1, 95.5, over + 0.5, 0.5),
                ],
            })
        });
        let contexts: Vec<Value> = contexts.collect();
        serde_json::from_value(json!({
            "format": 1, "scenario": "shop", "seed": 1, "seeds": [1], "resamples": 1,
            "slo_latency_ms": 1.0, "timeout_ms": 1.0, "duration_s": 1.0, "overall": [],
            "episodes_played": { "evaluation": 1, "hpa_calibration": 1, "constant_search": 1 },
            "calibration": {
                "objective": "", "points": 1, "target_utilization_pct": 1,
                "down_stabilization_s": 1, "floor": [], "value": 0.0, "default_value": 0.0,
            },
            "contexts": contexts,
        }))
    }

    #[test]
    fn the_contexts_to_deploy_for_are_named_and_what_does_better_elsewhere() -> anyhow::Result<()> {
        let some = summary(&[("calm", 1.0), ("flood", 2.0), ("faults", -1.0)])?;
        let step = next_step(Some(true), Some(&some));
        assert!(
            step.starts_with("where you expect calm or flood, put the team"),
            "{step}"
        );
        assert!(
            step.contains("Observe mode first") && step.contains("Elsewhere"),
            "{step}"
        );
        let near = "the constant 5-6 at 8.10 pod-hours, the team at 8.000, does 0.50 points better; at \
                    more pod-hours than the team it is not the one of the last column.";
        let remarks = remarks(&some);
        assert_eq!(
            remarks,
            [
                format!("calm: {near}"),
                format!("flood: {near}"),
                "faults: keep HPA as shipped.".to_owned(),
                format!("faults: {near}"),
            ]
        );
        let none = next_step(Some(true), Some(&summary(&[("faults", -1.0)])?));
        assert!(none.starts_with("do not deploy this team"), "{none}");
        Ok(())
    }
}
