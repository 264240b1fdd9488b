//! The scenarios that are shipped.

use std::fs;

use crate::{command, workspace};

/// Every shipped scenario file.
fn shipped() -> Vec<String> {
    let mut files: Vec<String> = fs::read_dir(workspace::root().join("scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .map(|name| format!("scenarios/{name}"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_shipped_scenario_passes_the_check() {
    let files = shipped();
    assert!(!files.is_empty());
    for file in files {
        let said = command::run(&workspace::root(), &["check", &file]).expect(0);
        assert!(said.stdout.starts_with(&file), "{said:#?}");
        assert_eq!(said.stderr, "");
    }
}

#[test]
fn every_template_is_a_scenario_that_passes_the_check_where_it_is_printed() {
    for template in ["smoke", "pipeline", "diamond"] {
        let printed = command::run(&workspace::root(), &["init", template]).expect(0);
        let file = workspace::root().join(format!("scenarios/{template}.yaml"));
        let mut lines: Vec<&str> = printed.stdout.lines().collect();
        assert!(lines.remove(1).contains("scenarios/schema.json"));
        let shipped = fs::read_to_string(file).unwrap();
        assert_eq!(lines, shipped.lines().collect::<Vec<_>>());
    }
}

#[test]
fn a_printed_template_passes_the_check_wherever_it_is_put() {
    let folder = command::folder("templates");
    for file in shipped() {
        let template = file.trim_start_matches("scenarios/");
        let template = template.trim_end_matches(".yaml");
        let printed = command::run(&folder, &["init", template]).expect(0);
        fs::write(folder.join("my.yaml"), printed.stdout).unwrap();
        command::run(&folder, &["check", "my.yaml"]).expect(0);
        // As what `karma tune` leaves does.
        fs::create_dir_all(folder.join("elsewhere")).unwrap();
        let extending = "extends: ../my.yaml\nname: other\n";
        fs::write(folder.join("elsewhere/other.yaml"), extending).unwrap();
        command::run(&folder, &["check", "elsewhere/other.yaml"]).expect(0);
    }
}
