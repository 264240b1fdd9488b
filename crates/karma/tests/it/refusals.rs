//! What is refused, with which words and which exit status.

use std::{fs, os::unix::fs::symlink, path::Path};

use self::cases::SOUND;
use crate::{
    command::{self, Ended},
    workspace,
};

/// What the reader of scenarios is tested with.
#[path = "../../../cluster/tests/it/refusals/cases.rs"]
pub(crate) mod cases;

/// Checks how `case` ended and what it said.
pub(crate) fn check(ended: Ended, status: i32, says: &[&str], case: &str) {
    assert_eq!(ended.status, Some(status), "{case}: {ended:#?}");
    let said = format!("{}{}", ended.stdout, ended.stderr);
    for word in says {
        assert!(said.contains(word), "{case}: {word:?} is not in {said}");
    }
    assert!(!said.contains("panicked"), "{case}: {said}");
}

/// Runs `arguments` in `folder` and checks how it ends.
pub(crate) fn refused(folder: &Path, arguments: &[&str], says: &[&str]) {
    let ended = command::run(folder, arguments);
    check(ended, 2, says, &arguments.join(" "));
}

#[test]
fn every_broken_scenario_is_refused_with_all_its_faults_and_their_lines() {
    let folder = command::folder("scenarios");
    let traces = workspace::root().join("scenarios/traces");
    symlink(traces, folder.join("traces")).unwrap();
    fs::write(folder.join("sound.yaml"), SOUND).unwrap();
    command::run(&folder, &["check", "sound.yaml"]).expect(0);
    let (_, cases) = cases::read();
    for case in cases {
        fs::write(folder.join("broken.yaml"), &case.text).unwrap();
        let check = command::run(&folder, &["check", "broken.yaml"]).expect(2);
        assert_eq!(check.stdout.trim_end(), case.told, "{}", case.head);
        // The other commands refuse it with the same words.
        let run = command::run(&folder, &["run", "broken.yaml"]).expect(2);
        let told = format!("error: {}", case.told);
        assert_eq!(run.stderr.trim_end(), told, "{}", case.head);
        assert_eq!(run.stdout, "", "{}", case.head);
    }
    assert!(!folder.join("runs").exists(), "a refusal leaves nothing");
}

#[test]
fn a_broken_organization_is_refused_at_its_line() {
    let folder = command::folder("organizations");
    let root = workspace::root();
    let text = fs::read_to_string(root.join("scenarios/organizations/karma.yaml")).unwrap();
    let scenario = SOUND.replace("nodes:", "team: {organization: ill.yaml}\nnodes:");
    fs::write(folder.join("scenario.yaml"), scenario).unwrap();
    let broken = [
        (
            "an unknown key",
            "format: 1",
            "format: 1\nfrob: 1",
            &["ill.yaml:", "frob"],
        ),
        (
            "a goal of nobody",
            "{goal: no_backlog,",
            "{goal: frob,",
            &["ill.yaml:", "frob"],
        ),
        (
            "an unknown word in a rule",
            "idle(s)",
            "iddle(s)",
            &["ill.yaml:", "iddle"],
        ),
    ];
    for (case, from, to, says) in broken {
        assert!(text.contains(from), "{case}");
        fs::write(folder.join("ill.yaml"), text.replacen(from, to, 1)).unwrap();
        check(
            command::run(&folder, &["check", "scenario.yaml"]),
            2,
            says,
            case,
        );
    }
}

#[test]
fn what_is_no_organization_is_refused_before_any_work_and_by_its_own_name() {
    let folder = command::folder("no-organization");
    let smoke = workspace::root().join("scenarios/smoke.yaml");
    fs::copy(smoke, folder.join("smoke.yaml")).unwrap();
    let scenario = SOUND.replace("nodes:", "team: {organization: smoke.yaml}\nnodes:");
    fs::write(folder.join("scenario.yaml"), scenario).unwrap();
    for step in ["check", "run", "fit"] {
        let ended = command::run(&folder, &[step, "scenario.yaml"]).expect(2);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        let told = "smoke.yaml:8: services: this is a scenario, where an organization should be";
        assert!(said.contains(told), "{said}");
        assert!(!said.contains("inputs/"), "{said}");
    }
    assert!(!folder.join("runs").exists(), "a refusal leaves nothing");
}

#[test]
fn an_organization_without_anything_in_it_is_refused_in_words() {
    let folder = command::folder("empty-organization");
    let scenario = SOUND.replace("nodes:", "team: {organization: none.yaml}\nnodes:");
    fs::write(folder.join("scenario.yaml"), scenario).unwrap();
    for (text, told) in [
        ("# nothing\n", "none.yaml: the file is empty"),
        ("- a\n", "none.yaml:1: expected keys and values"),
    ] {
        fs::write(folder.join("none.yaml"), text).unwrap();
        refused(&folder, &["check", "scenario.yaml"], &[told]);
    }
}

#[test]
fn a_scenario_that_shows_too_little_is_refused_by_fit() {
    let folder = command::folder("too-little");
    let text = SOUND
        .replace("duration: 10m", "duration: 30s")
        .replace("at: 2m, duration: 2m", "at: 0s, duration: 30s")
        .replace("nodes:", "twin: {episodes: 2}\nnodes:");
    fs::write(folder.join("short.yaml"), text).unwrap();
    command::run(&folder, &["check", "short.yaml"]).expect(0);
    refused(
        &folder,
        &["fit", "short.yaml"],
        &["cannot fit a twin", "hint"],
    );
}

#[test]
fn an_overloaded_start_is_warned_of_and_no_fault() {
    let folder = command::folder("overloaded");
    let text = SOUND.replace("rate: 60", "rate: 90");
    fs::write(folder.join("scenario.yaml"), text).unwrap();
    let ended = command::run(&folder, &["check", "scenario.yaml"]).expect(0);
    let warning = "warning: scenario.yaml:13: services[1].replicas: back starts overloaded";
    assert!(ended.stderr.starts_with(warning), "{ended:#?}");
    assert!(
        ended
            .stderr
            .contains("90 requests/s arrive, 1 replica serves 60")
    );
    let arguments = ["check", "scenario.yaml", "--output", "json"];
    let ended = command::run(&folder, &arguments).expect(0);
    let row: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(row["warnings"][0]["line"], 13);
}

#[test]
fn faults_are_told_to_programs_too() {
    let folder = command::folder("faults");
    let (_, cases) = cases::read();
    let case = cases.last().unwrap();
    fs::write(folder.join("broken.yaml"), &case.text).unwrap();
    let arguments = ["check", "broken.yaml", "--output", "json"];
    let ended = command::run(&folder, &arguments).expect(2);
    let count = case.told.lines().count();
    assert!(
        ended.stderr.contains(&format!("{count} faults")),
        "{ended:#?}"
    );
    for (row, told) in ended.stdout.lines().zip(case.told.lines()) {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        let start = format!(
            "{}:{}: {}: {}",
            row["file"].as_str().unwrap(),
            row["line"],
            row["key"].as_str().unwrap(),
            row["message"].as_str().unwrap()
        );
        assert!(told.starts_with(&start), "{row}, {told}");
    }
    assert_eq!(ended.stdout.lines().count(), count);
}

#[test]
fn arguments_without_sense_are_refused() {
    let folder = command::folder("arguments");
    fs::write(folder.join("sound.yaml"), SOUND).unwrap();
    refused(&folder, &["check", "none.yaml"], &["none.yaml"]);
    refused(&folder, &["check", "."], &["."]);
    refused(&folder, &["frob"], &["frob"]);
    refused(&folder, &["init", "frob"], &["frob", "pipeline"]);
    refused(
        &folder,
        &["run", "sound.yaml", "--threads", "0"],
        &["--threads"],
    );
    refused(
        &folder,
        &["run", "sound.yaml", "--threads", "3000"],
        &["3000 is not in 1..=256"],
    );
    refused(&folder, &["run", "sound.yaml", "--seed", "-1"], &["-1"]);
    refused(
        &folder,
        &["run", "sound.yaml", "--context", "x"],
        &["\"x\"", "ddos"],
    );
    refused(
        &folder,
        &["run", "sound.yaml", "--workload-unit", "rps"],
        &["--workload"],
    );
    refused(
        &folder,
        &["fit", "sound.yaml", "--mapping", "m.yaml"],
        &["--trace"],
    );
    refused(&folder, &["bench", "emulator", "none.yaml"], &["none.yaml"]);
    assert!(!folder.join("runs").exists(), "a refusal leaves nothing");
}

#[test]
fn places_where_no_run_can_be_are_refused() {
    let folder = command::folder("places");
    fs::write(folder.join("sound.yaml"), SOUND).unwrap();
    fs::write(folder.join("file"), "").unwrap();
    fs::create_dir_all(folder.join("foreign")).unwrap();
    fs::write(folder.join("foreign/letter.txt"), "dear").unwrap();
    fs::create_dir_all(folder.join("broken")).unwrap();
    fs::write(folder.join("broken/manifest.json"), "{").unwrap();
    let at =
        |out: &str, says: &[&str]| refused(&folder, &["run", "sound.yaml", "--out", out], says);
    at("file", &["file is a file", "hint"]);
    at("/dev/full", &["/dev/full is a file"]);
    at("file/below", &["cannot make the run directory"]);
    at("/proc/run", &["cannot make the run directory"]);
    at("foreign", &["no manifest.json", "hint"]);
    at("broken", &["broken/manifest.json", "hint"]);
    let lock = fs::File::open(folder.join("foreign")).unwrap();
    lock.lock().unwrap();
    at("foreign", &["another karma works in foreign"]);
}

#[test]
fn a_full_disk_is_a_fault_and_leaves_nothing_half_written() {
    let folder = command::folder("full");
    fs::write(folder.join("sound.yaml"), SOUND).unwrap();
    let karma = env!("CARGO_BIN_EXE_karma");
    let shell = |line: String| {
        let mut command = std::process::Command::new("sh");
        command::ended(command.args(["-c", &line]).current_dir(&folder))
    };
    let ended = shell(format!("{karma} init > /dev/full"));
    check(
        ended,
        1,
        &["cannot write to standard output", "space"],
        "init",
    );
    // A limit of no blocks on files, its signal ignored, is a disk without space.
    let limited = "ulimit -f 0; trap '' XFSZ;";
    let ended = shell(format!("{limited} {karma} run sound.yaml"));
    check(ended, 2, &["cannot write runs/base/manifest.json"], "run");
    let left = command::contents(&folder.join("runs"));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_run_of_other_inputs_is_refused_and_the_first_difference_named() {
    let folder = command::folder("inputs");
    command::tiny_scenario(&folder);
    command::run(&folder, &["fit", "tiny.yaml"]).expect(0);
    refused(
        &folder,
        &["fit", "tiny.yaml", "--seed", "7"],
        &["the seed was 1, it is 7", "--force"],
    );
    refused(
        &folder,
        &["fit", "tiny.yaml", "--context", "ddos"],
        &["context was all, it is ddos"],
    );

    let text = fs::read_to_string(folder.join("tiny.yaml")).unwrap();
    fs::write(
        folder.join("tiny.yaml"),
        text.replace("epochs: 4", "epochs: 5"),
    )
    .unwrap();
    refused(
        &folder,
        &["fit", "tiny.yaml"],
        &["tiny.yaml:4: twin.epochs was 4, it is 5"],
    );
    // What is left to another file is told there.
    fs::write(
        folder.join("tiny.yaml"),
        text.replace("analyze: {episodes: 1}\n", ""),
    )
    .unwrap();
    refused(
        &folder,
        &["fit", "tiny.yaml"],
        &["scenarios/smoke.yaml:", "analyze.episodes was 1, it is 2"],
    );
    fs::write(folder.join("tiny.yaml"), &text).unwrap();

    let manifest = folder.join("runs/tiny/manifest.json");
    let recorded = fs::read_to_string(&manifest).unwrap();
    let other = recorded.replace("\"version\": \"", "\"version\": \"9");
    fs::write(&manifest, other).unwrap();
    refused(&folder, &["fit", "tiny.yaml"], &["version of karma was 9"]);
    fs::write(&manifest, &recorded).unwrap();

    let twin = folder.join("runs/tiny/model/twin.json");
    fs::write(&twin, "{}").unwrap();
    refused(
        &folder,
        &["train", "tiny.yaml"],
        &["twin.json is not what fit wrote", "karma fit"],
    );
    fs::remove_file(&twin).unwrap();
    command::run(&folder, &["fit", "tiny.yaml"]).expect(0);
    command::run(&folder, &["fit", "tiny.yaml", "--seed", "7", "--force"]).expect(0);
}

#[test]
fn a_step_without_the_files_of_the_one_before_is_refused() {
    let folder = command::folder("order");
    command::tiny_scenario(&folder);
    let says = ["reads the files of fit", "karma fit tiny.yaml"];
    for step in ["train", "analyze", "transfer", "evaluate", "report"] {
        refused(&folder, &[step, "tiny.yaml"], &says);
    }
    assert!(!folder.join("runs").exists(), "a refusal leaves nothing");
}

#[test]
fn a_checkpoint_of_another_scenario_is_refused() {
    let folder = command::folder("checkpoints");
    command::tiny_scenario(&folder);
    let text = fs::read_to_string(folder.join("tiny.yaml")).unwrap();
    let other = text.replace("hidden: 16, checkpoint", "hidden: 24, checkpoint");
    fs::write(folder.join("other.yaml"), other).unwrap();
    for (scenario, out) in [("tiny.yaml", "mine"), ("other.yaml", "other")] {
        command::run(&folder, &["fit", scenario, "--out", out]).expect(0);
        command::run(&folder, &["train", scenario, "--out", out]).expect(0);
    }
    // Training is made to look interrupted, with the other run's checkpoint.
    let path = folder.join("mine/manifest.json");
    let mut manifest: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    manifest["steps"]["train"]["state"] = "started".into();
    fs::write(&path, manifest.to_string()).unwrap();
    fs::remove_dir_all(folder.join("mine/train")).unwrap();
    fs::create_dir_all(folder.join("mine/train")).unwrap();
    symlink(
        folder.join("other/train/checkpoint"),
        folder.join("mine/train/checkpoint"),
    )
    .unwrap();
    refused(
        &folder,
        &["train", "tiny.yaml", "--out", "mine"],
        &["checkpoint"],
    );
}

#[test]
fn hpa_cases_without_sense_are_refused_and_differences_are_faults() {
    let folder = command::folder("cases");
    let write = |text: &str| fs::write(folder.join("cases.json"), text).unwrap();
    write("{");
    refused(&folder, &["hpa", "replay", "cases.json"], &["error"]);
    write("{\"frob\": []}");
    refused(&folder, &["hpa", "replay", "cases.json"], &["frob"]);
    refused(&folder, &["hpa", "replay", "none.json"], &["none.json"]);
    write("{}");
    refused(
        &folder,
        &["hpa", "replay", "cases.json"],
        &[
            "cases.json",
            "no case in any of its lists: replica_calculator,",
        ],
    );
    write("{\"per_pod_usage\": [{\"usage\": 7, \"replicas\": 2, \"expect\": 3}]}");
    let ended = command::run(&folder, &["hpa", "replay", "cases.json"]);
    check(
        ended,
        1,
        &["expected 3", "got      4", "1 differences"],
        "replay",
    );
}
