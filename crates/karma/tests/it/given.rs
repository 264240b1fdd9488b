//! Files that may be anything: devices, pipes, folders, files without end or full of one word.

use std::{fs, io::Write, os::unix::fs::symlink, path::Path, process::Command, process::Stdio};

use crate::{
    command,
    refusals::{cases::SOUND, refused},
};

/// Everything that reads a file which was made by somebody else: a file to write with `{}` for the
/// name, and the command that then reads it.
const READERS: [(&str, &[&str]); 7] = [
    ("", &["check", "{}"]),
    ("", &["run", "{}"]),
    (
        "format: 1\nname: over\nextends: {}\n",
        &["check", "over.yaml"],
    ),
    ("SOUNDteam: {organization: {}}\n", &["check", "over.yaml"]),
    ("SOUND", &["run", "over.yaml", "--workload", "{}"]),
    ("SOUND", &["tune", "over.yaml", "--space", "{}"]),
    ("", &["hpa", "replay", "{}"]),
];

/// Lets every reader read `name` in `folder` and checks that it is refused with `says`.
fn all_refuse(folder: &Path, name: &str, says: &str) {
    for (text, arguments) in READERS {
        let text = text.replace("{}", name).replace("SOUND", SOUND);
        fs::write(folder.join("over.yaml"), text).unwrap();
        let arguments: Vec<String> = arguments
            .iter()
            .map(|word| word.replace("{}", name))
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        refused(folder, &arguments, &[says]);
    }
    assert!(!folder.join("runs").exists(), "a refusal leaves nothing");
}

#[test]
fn what_is_no_file_or_has_no_end_is_refused_at_once() {
    let folder = command::folder("given");
    let made = Command::new("mkfifo").arg(folder.join("pipe")).status();
    assert!(made.unwrap().success());
    fs::create_dir(folder.join("folder")).unwrap();
    let file = fs::File::create(folder.join("large")).unwrap();
    file.set_len((256 << 20) + 1).unwrap();
    all_refuse(&folder, "pipe", "a device, a pipe or a socket");
    all_refuse(&folder, "/dev/zero", "a device, a pipe or a socket");
    all_refuse(&folder, "folder", "directory");
    all_refuse(&folder, "large", "larger than");
    fs::remove_file(folder.join("pipe")).unwrap();
    fs::remove_file(folder.join("large")).unwrap();
}

#[test]
fn a_scenario_may_come_from_standard_input() {
    let folder = command::folder("standard-input");
    let mut checking = command::karma(&folder, &["check", "/dev/stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = checking.stdin.take().unwrap();
    input.write_all(SOUND.as_bytes()).unwrap();
    drop(input);
    let output = checking.wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("scenario base is well"), "{told}");
}

#[test]
fn an_error_tells_little_of_a_long_text() {
    let folder = command::folder("long");
    let long = "x".repeat(100_000);
    let quoted = format!("{{\"reconcile\": \"{long}\"}}");
    let keyed = format!("name: {long}\n");
    for (text, arguments) in READERS {
        if text.contains("extends") {
            continue;
        }
        let text = text.replace("{}", "given").replace("SOUND", SOUND);
        fs::write(folder.join("over.yaml"), text).unwrap();
        let given = if arguments[0] == "hpa" {
            &quoted
        } else {
            &keyed
        };
        fs::write(folder.join("given"), given).unwrap();
        let arguments: Vec<&str> = arguments
            .iter()
            .map(|word| if *word == "{}" { "given" } else { word })
            .collect();
        let ended = command::run(&folder, &arguments).expect(2);
        let first = format!("{}{}", ended.stdout, ended.stderr);
        let longest = first.lines().map(str::len).max();
        assert!(
            longest < Some(1000),
            "{arguments:?} tells {longest:?} bytes"
        );
    }
    let name = SOUND.replace("name: base", &format!("name: {long}"));
    fs::write(folder.join("over.yaml"), name).unwrap();
    let told = command::run(&folder, &["check", "over.yaml"])
        .expect(2)
        .stdout;
    assert!(told.len() < 1000 && told.contains("is no name"), "{told}");
}

#[test]
fn a_folder_that_is_no_run_is_refused_without_a_walk_through_it() {
    let folder = command::folder("cyclic");
    fs::write(folder.join("sound.yaml"), SOUND).unwrap();
    fs::create_dir(folder.join("out")).unwrap();
    for link in ["a", "b", "c"] {
        symlink(".", folder.join("out").join(link)).unwrap();
    }
    let says = "it is no run directory";
    refused(&folder, &["run", "sound.yaml", "--out", "out"], &[says]);
    refused(&folder, &["run", "sound.yaml", "--out", "/"], &[says]);
}
