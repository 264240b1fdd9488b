//! What every `--help` says, kept in `tests/golden/help/`; `UPDATE_GOLDEN=1` rewrites it.

use std::{fs, path::Path};

use crate::{command, workspace};

const COMMANDS: [&[&str]; 19] = [
    &[],
    &["init"],
    &["check"],
    &["run"],
    &["fit"],
    &["train"],
    &["analyze"],
    &["transfer"],
    &["evaluate"],
    &["report"],
    &["export"],
    &["hpa"],
    &["hpa", "replay"],
    &["bench"],
    &["bench", "emulator"],
    &["bench", "trace"],
    &["bench", "train"],
    &["bench", "adversary"],
    &["tune"],
];

#[test]
fn help_says_what_it_said() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/help");
    for command in COMMANDS {
        let mut arguments = command.to_vec();
        arguments.push("--help");
        let help = command::run(&workspace::root(), &arguments).expect(0);
        assert_eq!(help.stderr, "");
        let name = if command.is_empty() {
            "karma".to_owned()
        } else {
            command.join("-")
        };
        check(&golden.join(name + ".txt"), &help.stdout);
    }
}

#[test]
fn every_command_that_does_something_shows_an_example() {
    for command in COMMANDS.iter().filter(|command| {
        // These two only group others.
        !matches!(command, ["hpa"] | ["bench"] | [])
    }) {
        let mut arguments = command.to_vec();
        arguments.push("--help");
        let help = command::run(&workspace::root(), &arguments)
            .expect(0)
            .stdout;
        let example = format!("\n  karma {}", command.join(" "));
        let text = help.replace('\\', "");
        assert!(text.contains("Example"), "{command:?} has no example");
        assert!(text.contains(&example), "{command:?} shows another command");
    }
}

/// Compares `text` with the file at `path`, or writes it there where that was asked for.
fn check(path: &Path, text: &str) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one variable that rewrites golden files"
    )]
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if update {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let golden = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(golden, text, "{} (UPDATE_GOLDEN=1)", path.display());
}
