//! `karma init`: a commented scenario to start from.

use clap::ValueEnum;
use karma_cluster::scenario;

use crate::{
    args::Template,
    console,
    status::{ExitStatus, Failure, Outcome},
};

/// Prints the scenario called `template`.
pub(crate) fn init(template: Template) -> Outcome {
    let value = template.to_possible_value();
    let name = value.as_ref().map_or("", |value| value.get_name());
    let text = scenario::template(name)
        .ok_or_else(|| Failure::refused(format_args!("there is no template {name:?}")))?;
    console::data(text)?;
    Ok(ExitStatus::Done)
}
