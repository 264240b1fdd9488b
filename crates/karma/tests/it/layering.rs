//! The edges between crates, as DESIGN's table of the house allows them, and what may come from
//! outside.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::workspace;

/// Crate, and the crates of ours that it may depend on. This table is the whole graph.
const EDGES: [(&str, &[&str]); 9] = [
    ("moise", &[]),
    ("cluster", &[]),
    ("nn", &[]),
    ("twin", &["cluster", "nn"]),
    ("marl", &["cluster", "nn", "twin", "moise"]),
    ("analysis", &["cluster", "moise", "marl"]),
    (
        "transfer",
        &["cluster", "nn", "twin", "moise", "marl", "analysis"],
    ),
    (
        "evaluate",
        &["cluster", "twin", "moise", "marl", "transfer"],
    ),
    (
        "karma",
        &[
            "moise", "cluster", "nn", "twin", "marl", "analysis", "transfer", "evaluate",
        ],
    ),
];

/// Outside crate, who may depend on it directly, and why nobody else.
const OUTER_EDGES: [(&str, &[&str], &str); 11] = [
    ("serde-saphyr", &["cluster"], "one reader of YAML"),
    ("clap", &["karma"], "one command line"),
    (
        "anyhow",
        &["karma"],
        "libraries say which operation failed, in a type",
    ),
    ("indicatif", &["karma"], "libraries report to a Watch"),
    ("ctrlc", &["karma"], "libraries report to a Watch"),
    (
        "polars",
        &["twin", "marl", "analysis", "evaluate"],
        "tables are files of these phases",
    ),
    (
        "polars-parquet",
        &["twin"],
        "the pages of large files are made where loops are optimized",
    ),
    ("cel", &["moise"], "one language of rules"),
    (
        "candle-core",
        &["nn", "marl"],
        "the reference of kernels and losses, the engine of a GPU",
    ),
    ("gemm", &["nn"], "measured beside our products"),
    (
        "prost",
        &["marl"],
        "policies and metrics for other programs",
    ),
];

/// Why a crate is locked twice that is compiled once.
const CUDA: &str = "candle's CUDA side names it; not compiled without feature `cuda`";

/// Crates that the lock file holds twice, and why that cannot be helped.
const DUPLICATES: [(&str, &str); 29] = [
    ("base64", "serde-saphyr lags polars-parquet"),
    ("cudarc", CUDA),
    ("float8", CUDA),
    ("foldhash", "two generations of hashbrown"),
    ("gemm", CUDA),
    ("gemm-c32", CUDA),
    ("gemm-c64", CUDA),
    ("gemm-common", CUDA),
    ("gemm-f16", CUDA),
    ("gemm-f32", CUDA),
    ("gemm-f64", CUDA),
    ("getrandom", "three generations of rand"),
    ("hashbrown", "polars holds three generations"),
    ("itertools", "polars lags cel"),
    ("libloading", CUDA),
    ("pulp", CUDA),
    ("r-efi", "not compiled on Linux"),
    (
        "rand",
        "linfa and proptest speak 0.8, candle 0.9, polars 0.10",
    ),
    ("rand_chacha", "two generations of rand"),
    ("rand_core", "three generations of rand"),
    ("rand_distr", "three generations of rand"),
    ("safetensors", "candle lags"),
    ("syn", "procedural macros move over one by one"),
    ("synstructure", CUDA),
    ("thiserror", "a dependency of linfa lags"),
    ("thiserror-impl", "a dependency of linfa lags"),
    ("windows-sys", "not compiled on Linux"),
    ("yoke", CUDA),
    ("yoke-derive", CUDA),
];

/// Licences that code linked into the binary may have.
const LICENSES: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Folder name of one of our packages.
fn short(package: &str) -> Option<&str> {
    match package {
        "karma" => Some(package),
        _ => package.strip_prefix("karma-"),
    }
}

/// Our packages with all their declared dependencies, dev and build ones and renamed ones too.
fn ours(metadata: &Value) -> Vec<(&str, &Vec<Value>)> {
    let members = metadata["workspace_members"].as_array().unwrap();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| members.contains(&package["id"]))
        .map(|package| {
            let name = package["name"].as_str().unwrap();
            let dependencies = package["dependencies"].as_array().unwrap();
            (short(name).unwrap(), dependencies)
        })
        .collect()
}

fn wrong_edges(metadata: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for (from, dependencies) in ours(metadata) {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == from) else {
            wrong.push(format!("{from} is not in the table"));
            continue;
        };
        for dependency in dependencies {
            let name = dependency["name"].as_str().unwrap();
            if let Some(to) = short(name).filter(|_| dependency["path"].is_string())
                && to != from // how a crate's tests ask for its own features
                && !allowed.contains(&to)
            {
                wrong.push(format!("{from} -> {to}"));
            }
            if let Some((_, users, why)) = OUTER_EDGES.iter().find(|(outer, ..)| *outer == name)
                && !users.contains(&from)
            {
                wrong.push(format!("{from} -> {name} ({why})"));
            }
        }
    }
    wrong
}

#[test]
fn edges_point_as_the_table_of_the_house_allows() {
    let metadata = workspace::metadata();
    assert_eq!(ours(&metadata).len(), EDGES.len());
    assert_eq!(wrong_edges(&metadata), Vec::<String>::new());
}

#[test]
fn a_wrong_edge_is_named() {
    let metadata = serde_json::json!({
        "workspace_members": ["m"],
        "packages": [{ "id": "m", "name": "karma-moise", "dependencies": [
            { "name": "karma-twin", "path": "crates/twin", "kind": "dev", "rename": "t" },
            { "name": "clap" },
        ] }],
    });
    assert_eq!(
        wrong_edges(&metadata),
        ["moise -> twin", "moise -> clap (one command line)"]
    );
}

#[test]
fn only_karma_asks_marl_for_the_trainer() {
    let metadata = workspace::metadata();
    let askers: Vec<&str> = ours(&metadata)
        .into_iter()
        .filter(|(name, dependencies)| {
            dependencies.iter().any(|dependency| {
                *name != "marl"
                    && dependency["name"] == "karma-marl"
                    && dependency["features"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .any(|feature| feature == "train")
            })
        })
        .map(|(name, _)| name)
        .collect();
    assert_eq!(askers, ["karma"]);
}

#[test]
fn a_crate_is_locked_once_unless_there_is_a_reason() {
    let lock = fs::read_to_string(workspace::root().join("Cargo.lock")).unwrap();
    let mut versions: BTreeMap<&str, u32> = BTreeMap::new();
    for name in lock
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
    {
        *versions.entry(name).or_default() += 1;
    }
    let twice: Vec<&str> = versions
        .iter()
        .filter(|(_, count)| **count > 1)
        .map(|(name, _)| *name)
        .collect();
    let reasoned: Vec<&str> = DUPLICATES.iter().map(|(name, _)| *name).collect();
    assert_eq!(twice, reasoned, "update the list, with a reason");
}

#[test]
fn tests_and_program_share_what_is_compiled() {
    let program = workspace::outer_features(&["--package=karma", "--edges=normal,build"]);
    let tests = workspace::outer_features(&["--workspace", "--edges=normal,build,dev"]);
    let apart: Vec<&(String, String)> = program.difference(&tests).collect();
    let none: [&(String, String); 0] = [];
    assert!(program.len() > 100 && tests.len() > program.len());
    assert_eq!(
        apart, none,
        "tests ask for more features of these: ask for them in crates/nn/Cargo.toml too"
    );
}

/// Whether an SPDX expression can be satisfied from [`LICENSES`]: `OR` binds weaker than `AND`.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.trim();
    if let Some((left, right)) = split_outside_parentheses(expression, " OR ") {
        return is_allowed(left) || is_allowed(right);
    }
    if let Some((left, right)) = split_outside_parentheses(expression, " AND ") {
        return is_allowed(left) && is_allowed(right);
    }
    match expression
        .strip_prefix('(')
        .and_then(|inner| inner.strip_suffix(')'))
    {
        Some(inner) => is_allowed(inner),
        None => LICENSES.contains(&expression),
    }
}

fn split_outside_parentheses<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    text.match_indices(word).find_map(|(at, _)| {
        let (left, right) = (&text[..at], &text[at + word.len()..]);
        let balanced = left.matches('(').count() == left.matches(')').count();
        balanced.then_some((left, right))
    })
}

#[test]
fn every_license_is_on_the_list() {
    let metadata = workspace::metadata();
    let refused: Vec<String> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|package| {
            // The slash is how older manifests write OR.
            let license = package["license"].as_str().unwrap_or("none").to_owned();
            let spdx = license.replace(" / ", "/").replace('/', " OR ");
            (!is_allowed(&spdx)).then(|| format!("{}: {license}", package["name"]))
        })
        .collect();
    assert_eq!(refused, Vec::<String>::new());
}

#[test]
fn license_expressions_are_understood() {
    assert!(is_allowed("(MIT OR GPL-3.0) AND Unicode-3.0"));
    assert!(!is_allowed("MIT AND GPL-3.0"));
    assert!(!is_allowed("GPL-3.0 OR AGPL-3.0"));
}
