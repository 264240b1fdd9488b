//! Broken scenarios: every one is refused with all of its faults, each with file, line, key path,
//! message and hint. The words are held by `tests/golden/refusals.txt`.

use std::{fmt::Write, fs, path::Path};

use karma_cluster::scenario;
use proptest::prelude::*;

use crate::{assert_golden, workspace};

const SOUND: &str = "\
format: 1
name: base
duration: 10m
services:
  - name: front
    entry: true
    replicas: {min: 1, max: 4, initial: 2}
    cpu_request: 500m
    memory_request: 256Mi
    rate_per_replica: 50
    calls: [{to: back}]
  - name: back
    replicas: {min: 1, max: 4}
    cpu_request: 500m
    memory_request: 256Mi
    rate_per_replica: 60
nodes: [{cpu: 8, memory: 8Gi}]
workload:
  shape: {constant: {rate: 60}}
slo: {latency: 500ms, timeout: 2s}
control: {window: 15s}
contexts:
  - name: ddos
    disturbance: {at: 2m, duration: 2m}
    faults:
      - {at: 2m, duration: 2m, effect: {ddos-flood: {factor: 3}}}
";

/// Name of the case, and what is replaced by what in the sound scenario.
type Case = (&'static str, &'static [(&'static str, &'static str)]);

const CASES: &[Case] = &[
    (
        "a list that is not closed",
        &[("[{to: back}]", "[{to: back}")],
    ),
    (
        "an indentation that does not fit",
        &[("    entry: true", "     entry: true")],
    ),
    ("a second document", &[("nodes:", "---\nnodes:")]),
    ("an empty file", &[(SOUND, "# nothing\n")]),
    ("a list instead of a scenario", &[(SOUND, "- a\n- b\n")]),
    (
        "a newer format",
        &[("format: 1", "format: 2"), ("name: base", "nmae: base")],
    ),
    ("no format", &[("format: 1\n", "")]),
    (
        "an unknown key with a neighbor",
        &[("rate_per_replica: 50", "rate_per_replicas: 50")],
    ),
    (
        "an unknown key without one",
        &[("control:", "zebra: 1\ncontrol:")],
    ),
    (
        "a key twice",
        &[("    entry: true\n", "    entry: true\n    entry: false\n")],
    ),
    (
        "missing keys",
        &[("    cpu_request: 500m\n    memory_request: 256Mi\n", "")],
    ),
    ("a text for a number", &[("rate: 60", "rate: fast")]),
    ("a quoted number", &[("rate: 60", "rate: \"60\"")]),
    ("a number for a text", &[("name: back", "name: 12")]),
    ("a YAML 1.1 boolean", &[("entry: true", "entry: yes")]),
    ("a fraction for a count", &[("max: 4}", "max: 4.5}")]),
    ("a mapping for a list", &[("[{to: back}]", "{to: back}")]),
    (
        "a key without a value",
        &[("slo: {latency: 500ms, timeout: 2s}", "slo:")],
    ),
    (
        "a quantity of another kind",
        &[("memory_request: 256Mi", "memory_request: 256MB")],
    ),
    (
        "a duration in words",
        &[("latency: 500ms", "latency: half a second")],
    ),
    ("a negative rate", &[("rate: 60", "rate: -60")]),
    ("a rate that is no number", &[("rate: 60", "rate: .nan")]),
    (
        "an infinite rate",
        &[("rate_per_replica: 60", "rate_per_replica: .inf")],
    ),
    (
        "a rate of zero per replica",
        &[("rate_per_replica: 60", "rate_per_replica: 0")],
    ),
    (
        "a negative duration",
        &[("at: 2m, duration: 2m}", "at: -2m, duration: 2m}")],
    ),
    (
        "a probability above one",
        &[("{to: back}", "{to: back, probability: 1.5}")],
    ),
    (
        "a choice that is unknown",
        &[("{to: back}", "{to: back, mode: asinc}")],
    ),
    ("an effect that is unknown", &[("ddos-flood", "ddos")]),
    (
        "two shapes at once",
        &[("{constant: {rate: 60}}", "{constant: {rate: 60}, sine: {}}")],
    ),
    (
        "a shape without settings",
        &[("{constant: {rate: 60}}", "constant")],
    ),
    ("min above max", &[("{min: 1, max: 4}", "{min: 5, max: 4}")]),
    (
        "initial outside the bounds",
        &[("initial: 2", "initial: 9")],
    ),
    ("no replicas", &[("{min: 1, max: 4}", "{min: 0, max: 4}")]),
    ("a call to nowhere", &[("{to: back}", "{to: bakc}")]),
    (
        "a circle of calls",
        &[(
            "rate_per_replica: 60",
            "rate_per_replica: 60\n    calls: [{to: front}]",
        )],
    ),
    (
        "a call to itself",
        &[("{to: back}", "{to: back}, {to: front}")],
    ),
    (
        "a callee before its caller",
        &[
            ("[{to: back}]", "[]"),
            (
                "    replicas: {min: 1, max: 4}\n",
                "    entry: true\n    replicas: {min: 1, max: 4}\n    calls: [{to: front}]\n",
            ),
        ],
    ),
    ("no entry", &[("    entry: true\n", "")]),
    (
        "a service that nothing reaches",
        &[("    calls: [{to: back}]\n", "")],
    ),
    (
        "a service that is never called",
        &[("{to: back}", "{to: back, probability: 0}")],
    ),
    ("no services", &[("services:\n", "services: []\nzebra:\n")]),
    (
        "a service name twice",
        &[
            ("- name: back", "- name: front"),
            ("{to: back}", "{to: front}"),
        ],
    ),
    ("a name that is a path", &[("name: base", "name: ../base")]),
    (
        "a limit below the request",
        &[(
            "cpu_request: 500m\n    memory_request: 256Mi\n    rate_per_replica: 60",
            "cpu_request: 500m\n    cpu_limit: 100m\n    memory_limit: 1Mi\n    memory_request: 256Mi\n    rate_per_replica: 60",
        )],
    ),
    (
        "machines too small for a pod",
        &[("{cpu: 8,", "{cpu: 400m,")],
    ),
    (
        "machines too few for the least replicas",
        &[("{cpu: 8, memory: 8Gi}", "{cpu: 600m, memory: 300Mi}")],
    ),
    (
        "points out of order",
        &[(
            "{constant: {rate: 60}}",
            "{points: {rate: 60, points: [{at: 2m, factor: 1}, {at: 1m, factor: 2}]}}",
        )],
    ),
    (
        "a fault after the episode",
        &[("- {at: 2m, duration: 2m", "- {at: 20m, duration: 2m")],
    ),
    (
        "a fault that ends after the episode",
        &[("- {at: 2m, duration: 2m", "- {at: 9m, duration: 2m")],
    ),
    (
        "a fault that lasts no time",
        &[("- {at: 2m, duration: 2m,", "- {at: 2m,")],
    ),
    (
        "kills without a span",
        &[(
            "- {at: 2m, duration: 2m, effect: {ddos-flood: {factor: 3}}}",
            "- {at: 2m, effect: {pod-kill: {service: back, every: 10s}}}",
        )],
    ),
    (
        "a fault of an unknown service",
        &[(
            "{ddos-flood: {factor: 3}}",
            "{pod-failure: {service: backk}}",
        )],
    ),
    (
        "a flood at a service inside",
        &[("{factor: 3}", "{entry: back, factor: 3}")],
    ),
    (
        "a flood that takes load away",
        &[("{factor: 3}", "{factor: 0.5}")],
    ),
    (
        "stress that takes everything",
        &[(
            "{ddos-flood: {factor: 3}}",
            "{stress-cpu: {service: back, load: 1}}",
        )],
    ),
    (
        "a disturbance after the episode",
        &[("disturbance: {at: 2m", "disturbance: {at: 12m")],
    ),
    (
        "a disturbance of no time",
        &[(
            "disturbance: {at: 2m, duration: 2m}",
            "disturbance: {at: 2m, duration: 0s}",
        )],
    ),
    (
        "a context name twice",
        &[("contexts:\n", "contexts:\n  - name: ddos\n")],
    ),
    (
        "a context to keep that is not there",
        &[("contexts:\n", "use_contexts: [dos]\ncontexts:\n")],
    ),
    (
        "a window that no scrapes fill",
        &[("{window: 15s}", "{window: 12s, scrape_interval: 5s}")],
    ),
    (
        "an episode that no windows fill",
        &[("duration: 10m\n", "duration: 601s\n")],
    ),
    (
        "a promise above the timeout",
        &[("latency: 500ms", "latency: 5s")],
    ),
    (
        "two agents of one name",
        &[(
            "control:",
            "team: {agents: [{name: x, role: r}, {name: x, role: r}]}\ncontrol:",
        )],
    ),
    ("no agents", &[("control:", "team: {agents: []}\ncontrol:")]),
    (
        "a reward of nothing",
        &[(
            "control:",
            "reward: {success: 0, healthy: 0, latency: 0, entries: 0, throughput: 0}\ncontrol:",
        )],
    ),
    (
        "more minibatches than samples",
        &[(
            "control:",
            "train: {games: 1, steps: 2, minibatches: 3}\ncontrol:",
        )],
    ),
    (
        "training settings out of range",
        &[(
            "control:",
            "train: {gamma: 1.1, learning_rate: 0, clip: 2, epochs: 0}\ncontrol:",
        )],
    ),
    (
        "an organization that is not there",
        &[(
            "control:",
            "team: {organization: organizations/none.yaml}\ncontrol:",
        )],
    ),
    (
        "a trace that is not there",
        &[("{constant: {rate: 60}}", "{trace: {file: traces/none.txt}}")],
    ),
    (
        "a trace column that is not there",
        &[(
            "{constant: {rate: 60}}",
            "{trace: {file: traces/autothrottle-noisy.txt, column: rps}}",
        )],
    ),
    (
        "a trace unit that is unknown",
        &[(
            "{constant: {rate: 60}}",
            "{trace: {file: traces/autothrottle-noisy.txt, unit: rpm}}",
        )],
    ),
    (
        "a trace that ends before the slice",
        &[(
            "{constant: {rate: 60}}",
            "{trace: {file: traces/autothrottle-noisy.txt, start: 2h}}",
        )],
    ),
    (
        "a trace that leaves nothing to train on",
        &[(
            "{constant: {rate: 60}}",
            "{trace: {file: traces/autothrottle-noisy.txt, duration: 1h}}",
        )],
    ),
    (
        "a base that is not there",
        &[("duration: 10m", "extends: none.yaml")],
    ),
    (
        "everything at once",
        &[
            ("name: base", "nmae: base"),
            ("min: 1, max: 4, initial: 2", "min: 3, max: 2"),
            ("{to: back}", "{to: bakc}"),
            ("rate_per_replica: 60", "rate_per_replica: -1"),
            ("constant: {rate: 60}", "constant: {rate: .nan}"),
            ("latency: 500ms", "latency: 5s"),
            ("window: 15s", "window: 15 parsecs"),
            (
                "at: 2m, duration: 2m, effect",
                "at: 20m, duration: 2m, effect",
            ),
        ],
    ),
];

#[test]
fn broken_scenarios_are_refused_with_every_fault() {
    let file = workspace("scenarios/broken.yaml");
    let folder = format!("{}/", workspace("scenarios").display());
    assert!(scenario::parse(SOUND, &file).is_ok());
    let mut told = String::new();
    for (name, edits) in CASES {
        let mut text = SOUND.to_owned();
        for (from, to) in *edits {
            assert!(
                text.contains(from),
                "{name}: {from:?} is not in the sound scenario"
            );
            text = text.replacen(from, to, 1);
        }
        let words = match scenario::parse(&text, &file) {
            Ok(_) => "ACCEPTED".to_owned(),
            Err(refusals) => refusals.to_string().replace(&folder, ""),
        };
        let _ = write!(told, "# {name}\n{words}\n\n");
    }
    assert!(!told.contains("ACCEPTED"), "{told}");
    assert_golden("crates/cluster/tests/golden/refusals.txt", &told);
}

/// Writes `files` into a folder of this test's own and loads the first.
fn load_files(test: &str, files: &[(&str, &str)]) -> Result<scenario::Loaded, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    for (name, text) in files {
        let file = folder.join(name);
        let parent = file.parent().ok_or("no folder")?;
        fs::create_dir_all(parent).map_err(|error| error.to_string())?;
        fs::write(&file, text).map_err(|error| error.to_string())?;
    }
    scenario::load(&folder.join(files[0].0)).map_err(|refusals| {
        refusals
            .to_string()
            .replace(&format!("{}/", folder.display()), "")
    })
}

#[test]
fn a_file_that_is_not_there_is_refused() {
    let told = scenario::load(Path::new("none.yaml")).map_err(|refusals| refusals.to_string());
    assert_eq!(
        told.map(|_| ()),
        Err(
            "none.yaml: cannot be read: No such file or directory (os error 2) \
             (hint: give the path of a scenario file; karma init prints one)"
                .to_owned()
        )
    );
}

#[test]
fn files_that_extend_each_other_in_a_circle_are_refused() {
    let told = load_files(
        "circle",
        &[
            ("a.yaml", "format: 1\nname: a\nextends: b.yaml\n"),
            ("b.yaml", "format: 1\nname: b\nextends: a.yaml\n"),
        ],
    );
    assert_eq!(
        told.map(|_| ()),
        Err(
            "b.yaml:3: extends: the files extend each other in a circle: \
             a.yaml → b.yaml → a.yaml (hint: remove one of the extends keys)"
                .to_owned()
        )
    );
}

#[test]
fn faults_of_extended_files_are_told_where_they_stand() {
    let base = SOUND.replace("rate_per_replica: 60", "rate_per_replica: -1");
    let told = load_files(
        "places",
        &[
            (
                "over.yaml",
                "format: 1\nextends: sub/base.yaml\nslo:\n  latency: 5s\n  zebra: 1\n",
            ),
            ("sub/base.yaml", &base),
        ],
    );
    assert_eq!(
        told.map(|_| ()),
        Err(
            "over.yaml:1: name: this key is missing (hint: a file that extends another needs its \
             own name: run directories carry it)\n\
             over.yaml:4: slo.latency: the promise of 5s is above the timeout of 2s (hint: users \
             who gave up are not answered)\n\
             over.yaml:5: slo.zebra: unknown key (hint: known here: latency, timeout)\n\
             sub/base.yaml:16: services[1].rate_per_replica: -1 is not above 0 (hint: Requests per \
             second that one pod can serve.)"
                .to_owned()
        )
    );
}

#[test]
fn extending_merges_settings_and_replaces_lists_and_choices() -> Result<(), String> {
    let over = "format: 1\nname: over\nextends: sub/base.yaml\nslo: {latency: 300ms}\n\
                workload: {shape: {sine: {rate: 10, amplitude: 0.5, period: 5m}}}\n\
                nodes: [{cpu: 4, memory: 4Gi}]\n";
    let base = SOUND.replace("control:", "team: {organization: org.yaml}\ncontrol:");
    let loaded = load_files(
        "merge",
        &[
            ("over.yaml", over),
            ("sub/base.yaml", &base),
            ("sub/org.yaml", "format: 1\n"),
        ],
    )?;
    let scenario = &loaded.scenario;
    assert_eq!(scenario.name, "over");
    assert_eq!(scenario.slo.latency.seconds(), 0.3);
    assert_eq!(scenario.slo.timeout.seconds(), 2.0);
    assert_eq!(scenario.nodes.len(), 1);
    assert_eq!(scenario.services.len(), 2);
    assert!(matches!(
        scenario.workload.shape,
        scenario::Shape::Sine { .. }
    ));
    assert_eq!(scenario.team.organization.as_deref(), Some("sub/org.yaml"));
    assert_eq!(
        loaded.organization.map(|(_, text)| text),
        Some("format: 1\n".to_owned())
    );
    assert_eq!((loaded.inputs.len(), &scenario.extends), (3, &None));
    Ok(())
}

#[test]
fn a_syntax_error_of_an_extended_file_is_told_in_that_file() {
    let told = load_files(
        "syntax",
        &[
            (
                "over.yaml",
                "format: 1\nname: over\nextends: base.yaml\nzebra: 1\n",
            ),
            ("base.yaml", "format: 1\nname: [\n"),
        ],
    );
    assert_eq!(
        told.map(|_| ()),
        Err("base.yaml:2: unclosed bracket '['".to_owned())
    );
}

#[test]
fn the_limits_in_the_schema_are_limits_of_the_reader() {
    // (text that is replaced, just outside, just inside)
    let limits = [
        (
            "rate_per_replica: 60",
            "rate_per_replica: 0",
            "rate_per_replica: 1e-9",
        ),
        (
            "{to: back}",
            "{to: back, probability: 1.001}",
            "{to: back, probability: 1}",
        ),
        (
            "{to: back}",
            "{to: back, probability: -0.001}",
            "{to: back, probability: 0.001}",
        ),
        (
            "{to: back}",
            "{to: back, retries: 11}",
            "{to: back, retries: 10}",
        ),
        ("min: 1, max: 4}", "min: 0, max: 4}", "min: 1, max: 1}"),
        ("window: 15s", "scrape_loss: 1.01", "scrape_loss: 1"),
        ("factor: 3", "factor: 0.999", "factor: 1"),
        ("{cpu: 8,", "{count: 0, cpu: 8,", "{count: 1, cpu: 8,"),
        ("rate: 60", "rate: -0.001", "rate: 0"),
        (
            "duration: 10m\n",
            "duration: 10m\nseed: -1\n",
            "duration: 10m\nseed: 0\n",
        ),
        (
            "duration: 10m\n",
            "duration: 10m\nseed: 18446744073709551616\n",
            "duration: 10m\nseed: 18446744073709551615\n",
        ),
        (
            "control:",
            "twin: {episodes: 4294967296}\ncontrol:",
            "twin: {episodes: 4294967295}\ncontrol:",
        ),
    ];
    let file = workspace("scenarios/limits.yaml");
    for (from, outside, inside) in limits {
        let outcome = |to: &str| scenario::parse(&SOUND.replacen(from, to, 1), &file);
        assert!(outcome(outside).is_err(), "{outside}");
        let inside_outcome = outcome(inside);
        assert!(
            inside_outcome.is_ok(),
            "{inside}: {}",
            inside_outcome.unwrap_err()
        );
    }
}

#[test]
fn a_deep_text_is_refused_and_not_followed_to_the_end_of_the_stack() {
    for open in ["[", "{a: "] {
        let text = format!("format: 1\nname: {}", open.repeat(100_000));
        assert!(scenario::parse(&text, Path::new("deep.yaml")).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is wrong with a text, it is told within the text, and nothing panics.
    #[test]
    fn a_damaged_scenario_is_read_or_refused(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12), 1..4),
        filler in prop::sample::select(vec!["", " ", "0", "-1", "x", ": ", "\n", "{", "]", "~", "[1]"]),
    ) {
        let mut text = include_str!("../golden/kinds.yaml").to_owned();
        for (at, length) in &cuts {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            text.replace_range(at..end, filler);
        }
        let lines = text.lines().count() as u64;
        if let Err(refusals) = scenario::parse(&text, &workspace("scenarios/damaged.yaml")) {
            prop_assert!(!refusals.0.is_empty());
            for fault in &refusals.0 {
                prop_assert!(fault.line <= lines + 1, "{fault}");
                prop_assert!(!fault.message.is_empty());
            }
        }
    }
}
