//! `karma export`: a trained policy as a file for other programs.

use std::path::{Path, PathBuf};

use anyhow::Context;
use karma_cluster::scenario;
use karma_marl::{
    bundle::{Bundle, MANIFEST, WEIGHTS},
    onnx,
};
use serde_json::json;

use crate::{
    args::{ExportArgs, Output},
    console, files,
    manifest::{Manifest, Step, Timing},
    run_dir::SCENARIO,
    status::{Blame, ExitStatus, Failure, Outcome},
    words::recorded,
};

/// Writes the policy that `args` name as ONNX, and examples where asked.
pub(crate) fn export(args: &ExportArgs) -> Outcome {
    let place = |path: &Path| {
        let place = files::place(path);
        place.with_context(|| format!("cannot find {}", path.display()))
    };
    let model_place = place(&args.onnx).refuse()?;
    if let Some(path) = &args.examples
        && place(path).refuse()? == model_place
    {
        return Err(Failure::refused(format_args!(
            "--onnx and --examples both name {}",
            args.onnx.display()
        ))
        .hint("give each a file of its own"));
    }
    let bundle = read(&args.run)?;
    for path in args.examples.iter().chain([&args.onnx]) {
        spare(&args.run, path)?;
    }
    let model = onnx::to_bytes(&bundle);
    // The model comes last: where it lies, everything that was asked for does.
    if let Some(path) = &args.examples {
        files::write_json(path, &onnx::examples(&bundle.policy, &model)).refuse()?;
    }
    files::replace(&args.onnx, &model).refuse()?;
    let layout = &bundle.policy.layout;
    let (agents, services) = (layout.agents.len(), layout.services.len());
    let width = services * layout.per_service;
    let state = (layout.state() > 0).then(|| [layout.askers(), layout.shape.state()]);
    match args.output {
        Output::Json => console::row(&json!({
            "onnx": args.onnx, "sha256": files::hash(&model), "opset": onnx::OPSET,
            "examples": args.examples, "observation": width, "agents": layout.agents,
            "services": layout.services, "choices": layout.choices, "state": state,
        }))?,
        Output::Text => console::data(format_args!(
            "{}: ONNX, opset {}\nobservation [batch, {width}], masks [batch, {agents}, {services}, \
             {choices}]\nto logits, log_probabilities [batch, {agents}, {services}, {choices}], \
             actions [batch, {agents}, {services}]{remembers}",
            args.onnx.display(),
            onnx::OPSET,
            choices = layout.choices,
            remembers = state.map_or_else(String::new, |[askers, numbers]| format!(
                "\nit remembers: state [batch, {askers}, {numbers}], zeros where an episode begins, \
                 comes back as state_after"
            )),
        ))?,
    }
    Ok(ExitStatus::Done)
}

/// Refuses to write to `path` where it is a file or a folder of the run `run` itself.
fn spare(run: &Path, path: &Path) -> Outcome<()> {
    let (Ok(run), Ok(full)) = (run.canonicalize(), files::place(path)) else {
        // What is not there is nobody's.
        return Ok(());
    };
    let mut inside = full.strip_prefix(&run).into_iter().flat_map(Path::iter);
    let first = inside.next().unwrap_or_default();
    let of_steps = Step::ALL.map(Step::place);
    let others = [SCENARIO, Manifest::FILE, Timing::FILE, MANIFEST, WEIGHTS];
    if of_steps.iter().chain(&others).any(|own| first == *own) {
        return Err(
            Failure::refused(format_args!("{} belongs to the run itself", path.display()))
                .hint("choose another place, such as policy.onnx"),
        );
    }
    Ok(())
}

/// The policy of the run directory `path`, checked against the run's own scenario, or the one whose
/// files lie in `path` themselves.
fn read(path: &Path) -> Outcome<Bundle> {
    let scenario = path.join(SCENARIO);
    if !scenario.exists() {
        return if path.join(MANIFEST).exists() {
            Bundle::read(path).refuse()
        } else {
            Err(Failure::refused(format_args!(
                "{} is no run directory and holds no policy: neither {SCENARIO} nor {MANIFEST} is there",
                path.display()
            ))
            .hint("name the folder that `karma run` or `karma train` filled, such as runs/pipeline"))
        };
    }
    let folder: PathBuf = path.join(Step::Train.place());
    if !folder.join(MANIFEST).exists() {
        return Err(Failure::refused(format_args!(
            "the run in {} has no trained policy yet: {} is not there",
            path.display(),
            folder.join(MANIFEST).display()
        ))
        .hint(format!(
            "train it first, with `karma run {}`",
            recorded(path)
        )));
    }
    let loaded = scenario::load(&scenario).refuse()?;
    let organization = loaded
        .organization
        .map(|(_, text)| text)
        .unwrap_or_default();
    let bundle = Bundle::read(&folder).refuse()?;
    let checked = bundle.check(&loaded.scenario, &organization);
    checked.refuse().map_err(|failure| {
        failure.hint(
            "the policy was trained for something else than the run: train it again with --force",
        )
    })?;
    Ok(bundle)
}
