//! `report.html`: one self-contained page that works offline, from the files of a run directory.
//!
//! Each section is a module that turns its files into words, numbers and series; `template.html`
//! places them, `charts.js` draws the series with the embedded uPlot.

mod compare;
mod decisions;
mod facts;
mod fidelity;
mod format;
mod learning;
mod next_step;
mod roles;
mod timeline;
mod verdict;

use anyhow::{Context, Result};
use karma_evaluate::Summary;
use minijinja::{Environment, value::Serde};
use serde::Serialize;
use serde_json::{Value, json};

const TEMPLATE: &str = include_str!("report/template.html");
const STYLE: &str = include_str!("report/style.css");
const CHARTS: &str = include_str!("report/charts.js");
const UPLOT_SCRIPT: &str = include_str!("report/uplot/uPlot.iife.min.js");
const UPLOT_STYLE: &str = include_str!("report/uplot/uPlot.min.css");
const UPLOT_LICENSE: &str = include_str!("report/uplot/LICENSE");

/// What the page shows: the files of a run directory as they are. A phase that has not run has
/// `None` (or an empty list) and is shown as 'not run'.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReportInput {
    /// Name of the scenario.
    pub(crate) scenario: String,
    /// `manifest.json`.
    pub(crate) manifest: Option<Value>,
    /// `timing.json`; with it, the page shows times of the machine.
    pub(crate) timing: Option<Value>,
    /// `model/fidelity.json`.
    pub(crate) fidelity: Option<Value>,
    /// `train/exploitability.json`, where attackers learned.
    pub(crate) exploitability: Option<Value>,
    /// Lines of `train/metrics.jsonl`.
    pub(crate) metrics: Vec<Value>,
    /// `analyze/roles.json`.
    pub(crate) roles: Option<Value>,
    /// `transfer/verdict.json`.
    pub(crate) verdict: Option<Value>,
    /// Lines of `transfer/decisions.jsonl`.
    pub(crate) decisions: Vec<Value>,
    /// `evaluate/summary.json`.
    pub(crate) summary: Option<Value>,
}

/// Renders the page.
///
/// # Errors
/// If `summary.json` is not what `karma evaluate` writes.
pub(crate) fn render(input: &ReportInput) -> Result<String> {
    let summary: Option<Summary> = input
        .summary
        .clone()
        .map(serde_json::from_value)
        .transpose()
        .context("summary.json is not a summary of this version of karma")?;
    let summary = summary.as_ref();
    let services = summary.map(timeline::services).unwrap_or_default();

    let mut environment = Environment::new();
    environment.add_template("report.html", TEMPLATE)?;
    let template = environment.get_template("report.html")?;
    let mut learning = learning::charts(&input.metrics);
    learning.extend(input.exploitability.as_ref().and_then(learning::attackers));
    let data = json!({
        "contenders": timeline::contenders(),
        "contexts": summary.map(timeline::contexts).unwrap_or_default(),
        "learning": learning,
        "decisions": decisions::charts(&input.decisions, &services),
    });
    let page = Page {
        scenario: &input.scenario,
        verdict: verdict::view(
            input.verdict.as_ref(),
            summary,
            input.fidelity.as_ref().and_then(|f| f.get("accuracy")),
        ),
        benefit: summary.map(compare::benefit),
        contexts: summary.map(compare::contexts).unwrap_or_default(),
        overall: summary.map(compare::overall),
        contenders: timeline::contenders(),
        learned: learning::words(&input.metrics),
        fidelity: input.fidelity.as_ref().map(fidelity::view),
        roles: input.roles.as_ref().map(roles::view),
        decisions: decisions::view(&input.decisions, &services),
        facts: facts::view(input, summary),
        style: STYLE,
        charts: CHARTS,
        uplot_script: UPLOT_SCRIPT,
        uplot_style: UPLOT_STYLE,
        uplot_license: UPLOT_LICENSE,
        data: embedded(&data),
    };
    Ok(template.render(Serde(page))?)
}

/// What the template places.
#[derive(Serialize)]
struct Page<'a> {
    scenario: &'a str,
    verdict: verdict::VerdictView,
    benefit: Option<compare::Benefit>,
    contexts: Vec<compare::Comparison>,
    overall: Option<compare::Comparison>,
    contenders: Vec<timeline::Line>,
    learned: String,
    fidelity: Option<fidelity::FidelityView>,
    roles: Option<roles::RolesView>,
    decisions: Option<decisions::DecisionsView>,
    facts: facts::FactsView,
    style: &'static str,
    charts: &'static str,
    uplot_script: &'static str,
    uplot_style: &'static str,
    uplot_license: &'static str,
    data: String,
}

/// JSON that can stand inside a script element.
fn embedded(data: &Value) -> String {
    data.to_string().replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(input: &ReportInput) -> Result<String> {
        render(&ReportInput {
            scenario: "shop <b>".to_owned(),
            ..input.clone()
        })
    }

    #[test]
    fn phases_without_files_are_shown_as_not_run() -> Result<()> {
        let page = page(&ReportInput::default())?;
        assert_eq!(page.matches("<strong>Not run.</strong>").count(), 7);
        assert!(page.contains("No verdict yet."));
        Ok(())
    }

    #[test]
    fn names_from_files_are_escaped_everywhere() -> Result<()> {
        let metric = json!({ "iteration": 0, "reward": 1.0, "note": "</script>" });
        let decision = json!({
            "window": 0, "time_s": 0.0, "state": "fallback", "reason": "<script>x</script>",
            "desired": [1, 2],
        });
        let page = page(&ReportInput {
            metrics: vec![metric],
            decisions: vec![decision],
            verdict: Some(json!({ "pass": false, "reasons": ["a < b"] })),
            ..ReportInput::default()
        })?;
        assert!(page.contains("shop &lt;b&gt;") && !page.contains("shop <b>"));
        assert!(page.contains("a &lt; b") && !page.contains("<script>x"));
        assert!(page.contains("The team stays in Observe."));
        Ok(())
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere() -> Result<()> {
        let page = page(&ReportInput::default())?;
        for attribute in [" src=", "@import", "url(http", "<link rel=\"stylesheet\""] {
            assert!(!page.contains(attribute), "{attribute}");
        }
        Ok(())
    }

    #[test]
    fn a_file_that_is_no_summary_is_refused() {
        let input = ReportInput {
            summary: Some(json!({ "format": 1 })),
            ..ReportInput::default()
        };
        assert!(page(&input).is_err());
    }
}
