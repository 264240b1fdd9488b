//! Broken scenarios: every one is refused with all of its faults, each with file, line, key path,
//! message and hint. Cases and words stand in `tests/golden/refusals.txt`.

mod cases;

use std::{fmt::Write, fs, path::Path};

use karma_cluster::scenario;
use proptest::prelude::*;

use self::cases::SOUND;
use crate::{assert_golden, workspace};

#[test]
fn broken_scenarios_are_refused_with_every_fault() {
    let file = workspace("scenarios/broken.yaml");
    let folder = format!("{}/", workspace("scenarios").display());
    assert!(scenario::parse(SOUND, &file).is_ok());
    let (about, cases) = cases::read();
    let mut told = about.to_owned();
    for case in cases {
        let words = match scenario::parse(&case.text, &file) {
            Ok(_) => panic!("accepted now: {}{}", case.head, case.told),
            Err(refusals) => refusals.to_string().replace(&folder, ""),
        };
        let _ = write!(told, "\n{}{words}\n", case.head);
    }
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
        ("rate: 60", "rate: -0.001", "rate: 0.01"),
        ("rate: 60", "rate: 0.001", "rate: 0.002"),
        // A flood makes three of each.
        ("rate: 60", "rate: 3.4e5", "rate: 3.3e5"),
        ("factor: 3", "factor: 1.7e4", "factor: 1.6e4"),
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
            "twin: {episodes: 100001}\ncontrol:",
            "twin: {episodes: 100000}\ncontrol:",
        ),
        (
            "control:",
            "twin: {episodes: 1}\ncontrol:",
            "twin: {episodes: 2}\ncontrol:",
        ),
        (
            "control:",
            "train: {games: 65536, steps: 62}\ncontrol:",
            "train: {games: 65536, steps: 61}\ncontrol:",
        ),
        (
            "control:",
            "reward: {cost: 1001}\ncontrol:",
            "reward: {cost: 1000}\ncontrol:",
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
fn more_payloads_than_the_emulator_tells_apart_are_refused() {
    let with = |payloads: u32| {
        let floods = (0..payloads).map(|i| {
            let payload = 1.5 + f64::from(i) / 100.0;
            let effect = format!("{{ddos-flood: {{factor: 3, payload: {payload}}}}}");
            format!("      - {{at: 2m, duration: 2m, effect: {effect}}}\n")
        });
        let text = format!("{}\n{}", SOUND.trim_end(), floods.collect::<String>());
        scenario::parse(&text, &workspace("scenarios/payloads.yaml"))
    };
    // The sound scenario floods with a payload of 1.
    assert!(with(253).is_ok());
    let told = with(254)
        .map(|_| ())
        .map_err(|refusals| refusals.to_string());
    let about = "contexts[0].faults: attacks of 255 payloads in one context";
    assert!(
        told.as_ref().is_err_and(|told| told.contains(about)),
        "{told:?}"
    );
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
