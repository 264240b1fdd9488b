//! Faults of meaning: what no schema can say.

mod faults;
mod load;
mod services;
mod settings;
mod start;
mod times;
mod train;

use super::{Context, Scenario, Shape, TraceWorkload};
use crate::yaml::suggestion;

/// One fault of meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Key paths: where to tell it first, then what else it rests on.
    pub(crate) about: Vec<String>,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: String,
}

impl Finding {
    /// A fault of what stands at `path`.
    pub(crate) fn new(path: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            about: vec![path.to_owned()],
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// The same; it rests on the value at `path`, too, and is not told where that is at fault.
    #[must_use]
    pub(crate) fn about(mut self, path: impl Into<String>) -> Self {
        self.about.push(path.into());
        self
    }
}

impl Scenario {
    /// The first fault of meaning, in words, of a scenario that was changed after it was read.
    #[must_use]
    pub fn first_fault(&self) -> Option<String> {
        let first = self.check().into_iter().next()?;
        let (message, hint) = (first.message, first.hint);
        Some(format!("{}: {message} (hint: {hint})", first.about[0]))
    }

    /// Every fault of meaning.
    pub(crate) fn check(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        name("name", &self.name, &mut findings);
        services::check(self, &mut findings);
        settings::check(self, &mut findings);
        train::check(self, &mut findings);
        load::check_nodes(self, "nodes", &self.nodes, &mut findings);
        load::check_workload("workload", &self.workload, &mut findings);
        faults::check(self, "faults", &self.faults, &mut findings);
        faults::check_disturbance(self, "disturbance", self.disturbance, &mut findings);
        for (i, context) in self.contexts.iter().enumerate() {
            self.check_context(i, context, &mut findings);
        }
        for (i, kept) in self.use_contexts.iter().flatten().enumerate() {
            if !self.contexts.iter().any(|context| context.name == *kept) {
                let hint = suggestion(kept, self.contexts.iter().map(|c| c.name.as_str()));
                let path = format!("use_contexts[{i}]");
                findings.push(
                    Finding::new(&path, format!("no context is called {kept:?}"), hint)
                        .about("contexts"),
                );
            }
        }
        findings
    }

    /// Every fault of how much is asked for, once the traces are read.
    pub(crate) fn check_volume(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        load::check_volume(self, &mut findings);
        findings
    }

    /// What is likely not meant. The contexts that are played are those that are left.
    pub(crate) fn warnings(&self) -> Vec<Finding> {
        let mut found = services::tiny_memory(self);
        found.extend(start::overloads(self));
        found.extend(start::crowded(self));
        found.extend(times::hopeless(self));
        found
    }

    fn check_context(&self, i: usize, context: &Context, findings: &mut Vec<Finding>) {
        let path = format!("contexts[{i}]");
        name(&format!("{path}.name"), &context.name, findings);
        let first = self
            .contexts
            .iter()
            .position(|other| other.name == context.name);
        if let Some(first) = first.filter(|first| *first < i) {
            taken(
                &format!("{path}.name"),
                &context.name,
                &format!("contexts[{first}]"),
                findings,
            );
        }
        if let Some(workload) = &context.workload {
            load::check_workload(&format!("{path}.workload"), workload, findings);
        }
        if let Some(nodes) = &context.nodes {
            load::check_nodes(self, &format!("{path}.nodes"), nodes, findings);
        }
        let faults = format!("{path}.faults");
        faults::check(self, &faults, &context.faults, findings);
        faults::check_payloads(self, &faults, context, findings);
        let disturbance = format!("{path}.disturbance");
        faults::check_disturbance(self, &disturbance, context.disturbance, findings);
    }

    /// The traces that the workloads play, with their key paths.
    pub(crate) fn traces_mut(&mut self) -> Vec<(String, &mut TraceWorkload)> {
        let contexts = self.contexts.iter_mut().enumerate();
        let workloads = contexts.filter_map(|(i, context)| {
            let workload = context.workload.as_mut()?;
            Some((format!("contexts[{i}].workload"), workload))
        });
        std::iter::once(("workload".to_owned(), &mut self.workload))
            .chain(workloads)
            .filter_map(|(path, workload)| match &mut workload.shape {
                Shape::Trace(trace) => Some((format!("{path}.shape.trace"), trace)),
                _ => None,
            })
            .collect()
    }

    /// Drops the contexts that `use_contexts` does not name, and the keys that only files need.
    pub(crate) fn resolve_extends(&mut self) {
        self.extends = None;
        if let Some(kept) = self.use_contexts.take() {
            self.contexts.retain(|context| kept.contains(&context.name));
        }
    }
}

/// Names appear in paths, labels and tables.
fn name(path: &str, name: &str, findings: &mut Vec<Finding>) {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !starts || !name.chars().all(plain) || name.len() > 63 {
        let hint = "letters, digits, - and _, at most 63, a letter or digit first";
        findings.push(Finding::new(path, format!("{name:?} is no name"), hint));
    }
}

fn taken(path: &str, name: &str, by: &str, findings: &mut Vec<Finding>) {
    let message = format!("the name {name:?} is taken by {by}");
    findings.push(Finding::new(path, message, "choose another name").about(format!("{by}.name")));
}

/// That `service`, named at `path`, exists.
fn known(scenario: &Scenario, path: &str, service: &str, findings: &mut Vec<Finding>) -> bool {
    let exists = scenario.service_index(service).is_some();
    if !exists {
        let hint = suggestion(service, scenario.services.iter().map(|s| s.name.as_str()));
        let finding = Finding::new(path, format!("no service is called {service:?}"), hint);
        let names = (0..scenario.services.len()).map(|i| format!("services[{i}].name"));
        findings.push(names.fold(finding, Finding::about));
    }
    exists
}
