//! Scenarios to start from: those that are shipped, each as one file.

/// Names and files of the scenarios that stand by themselves.
const WHOLE: [(&str, &str); 3] = [
    ("smoke", include_str!("../../../../scenarios/smoke.yaml")),
    ("pipeline", PIPELINE),
    (
        "diamond",
        include_str!("../../../../scenarios/diamond.yaml"),
    ),
];

const PIPELINE: &str = include_str!("../../../../scenarios/pipeline.yaml");

/// Names and files of those that extend the pipeline.
const OF_PIPELINE: [(&str, &str); 5] = [
    (
        "bottleneck",
        include_str!("../../../../scenarios/bottleneck.yaml"),
    ),
    ("ddos", include_str!("../../../../scenarios/ddos.yaml")),
    (
        "pod-failure",
        include_str!("../../../../scenarios/pod-failure.yaml"),
    ),
    (
        "contention",
        include_str!("../../../../scenarios/contention.yaml"),
    ),
    ("mixed", include_str!("../../../../scenarios/mixed.yaml")),
];

/// What the latter say of that.
const EXTENDS: &str = "extends: pipeline.yaml\n";

/// First line of all of them, for editors.
const SCHEMA: &str = "# yaml-language-server: $schema=schema.json\n";

/// What a copy elsewhere needs to know of it.
const WHERE_SCHEMA_IS: &str = "# (schema.json is scenarios/schema.json of KARMA's repository: put a copy beside \
this file or write its path.)\n";

/// The commented scenario called `name`, to start from: any that is shipped. One that extends
/// another is written out, so that it works wherever it is put.
#[must_use]
pub fn template(name: &str) -> Option<String> {
    let find = |files: &[(&str, &'static str)]| {
        let found = files.iter().find(|(known, _)| *known == name)?;
        Some(found.1)
    };
    if let Some(text) = find(&WHOLE) {
        return Some(elsewhere(text));
    }
    let (head, tail) = find(&OF_PIPELINE)?.split_once(EXTENDS)?;
    let (_, name_and_body) = PIPELINE.split_once("\nname: ")?;
    let (_, body) = name_and_body.split_once('\n')?;
    Some(elsewhere(&format!("{head}{tail}{body}")))
}

/// `text`, which need not stay in the folder of the shipped scenarios.
fn elsewhere(text: &str) -> String {
    match text.strip_prefix(SCHEMA) {
        Some(rest) => format!("{SCHEMA}{WHERE_SCHEMA_IS}{rest}"),
        None => text.to_owned(),
    }
}
