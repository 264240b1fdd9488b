//! Tidiness of the tree.

use std::{collections::BTreeMap, fs, path::Path};

use crate::workspace;

/// Lines that a file may have without being named here.
const LINES: usize = 500;

/// Files that are longer, with the length they may not pass. Lower a number when a file shrinks;
/// raise one only with a reason in the commit.
const LONG_FILES: [(&str, usize); 0] = [];

/// Words that are left behind by mistake, and what to do instead. Split, so that this file is
/// clean.
const LEFTOVERS: [(&str, &str); 6] = [
    (
        concat!("FIX", "ME"),
        "mend it, or file an issue and name it",
    ),
    (concat!("XX", "X"), "mend it, or file an issue and name it"),
    (concat!("dbg", "!("), "remove it"),
    (concat!("todo", "!("), "write it"),
    (concat!("#[", "ignore"), "a test runs or is removed"),
    (
        concat!("{sou", "rce}"),
        "who prints an error prints what it comes from: say it once",
    ),
];

fn relative(path: &Path) -> String {
    let root = workspace::root();
    path.strip_prefix(root).unwrap().display().to_string()
}

#[test]
fn every_source_file_is_declared_as_a_module() {
    let mut undeclared = Vec::new();
    let sources = workspace::files("crates", &[".rs"]);
    let texts: BTreeMap<&Path, String> = sources
        .iter()
        .map(|path| (path.as_path(), fs::read_to_string(path).unwrap()))
        .collect();
    for path in &sources {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let parent = path.parent().unwrap();
        let parent_name = parent.file_name().unwrap().to_string_lossy().into_owned();
        if ["main", "lib", "build"].contains(&stem.as_str())
            || ["tests", "benches", "examples"].contains(&parent_name.as_str())
        {
            continue;
        }
        // The module's parent: `x.rs` beside the folder `x`, or the root of the crate.
        let parents = [
            parent.with_extension("rs"),
            parent.join("lib.rs"),
            parent.join("main.rs"),
        ];
        let is_declared = parents.iter().any(|file| {
            texts.get(file.as_path()).is_some_and(|text| {
                text.lines().any(|line| {
                    let line = line.trim();
                    let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
                    let line = line.strip_prefix("pub(super) ").unwrap_or(line);
                    let line = line.strip_prefix("pub ").unwrap_or(line);
                    line.strip_prefix("mod ")
                        .and_then(|rest| rest.strip_suffix(';'))
                        == Some(&stem)
                })
            })
        });
        if !is_declared {
            undeclared.push(relative(path));
        }
    }
    assert_eq!(undeclared, Vec::<String>::new());
}

#[test]
fn nothing_is_left_behind() {
    let mut found = Vec::new();
    for path in workspace::files("crates", &[".rs"]) {
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            for (word, instead) in LEFTOVERS {
                if line.contains(word) {
                    let (file, number) = (relative(&path), number + 1);
                    found.push(format!("{file}:{number}: {word}: {instead}"));
                }
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn files_grow_only_with_a_reason() {
    let mut wrong = Vec::new();
    for path in workspace::files("crates", &[".rs"]) {
        let (name, lines) = (
            relative(&path),
            fs::read_to_string(&path).unwrap().lines().count(),
        );
        let named = LONG_FILES.iter().find(|(file, _)| *file == name);
        let most = named.map_or(LINES, |(_, most)| *most);
        if lines > most {
            wrong.push(format!("{name} has {lines} lines, {most} are allowed"));
        }
        if named.is_some() && lines <= LINES {
            wrong.push(format!("{name} is short now: take it off the list"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_readme_names_every_scenario() {
    let readme = fs::read_to_string(workspace::root().join("README.md")).unwrap();
    let lines = readme.lines().count();
    assert!(lines <= 200, "README.md has {lines} lines");
    let missing: Vec<String> = fs::read_dir(workspace::root().join("scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| !readme.contains(&format!("`{name}`")))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn no_large_file_is_shipped() {
    let large: Vec<String> = workspace::files("", &[""])
        .into_iter()
        .filter(|path| fs::metadata(path).unwrap().len() > 600 * 1024)
        .map(|path| relative(&path))
        .collect();
    assert_eq!(large, Vec::<String>::new());
}
