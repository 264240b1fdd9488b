use std::{collections::BTreeMap, path::Path};

use karma_cluster::{
    Scenario,
    scenario::{self, Algorithm, RecurrentSettings, Sharing},
};
use karma_nn::MlpShape;

use super::*;
use crate::{bundle, policy::PolicyScratch};

/// The shipped pipeline with three of its agents.
fn pipeline() -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/pipeline.yaml");
    let mut scenario = scenario::load(&path).unwrap().scenario;
    // So that no two lengths are equal.
    scenario.team.agents.truncate(3);
    scenario
}

/// An untrained policy with hidden layers of 24 and 16, as files in the folder `name` have it.
fn bundle(name: &str, activation: Activation) -> Bundle {
    let scenario = pipeline();
    let mut policy = Policy::untrained(&scenario, 24, 3);
    policy.layout.shape = MlpShape {
        hidden: vec![24, 16],
        activation,
        ..policy.layout.shape
    };
    let mut rng = karma_cluster::seed::derive(5, "actor", 0);
    policy.actors = vec![karma_nn::Mlp::new(
        policy.layout.shape.clone(),
        &mut rng,
        1.0,
    )];
    let name = format!("karma-marl-onnx-{name}-{}", std::process::id());
    let dir = std::env::temp_dir().join(name);
    bundle::save(&policy, &scenario, "text", &dir).unwrap();
    let read = Bundle::read(&dir);
    std::fs::remove_dir_all(&dir).unwrap();
    read.unwrap()
}

fn decoded(bundle: &Bundle) -> ModelProto {
    ModelProto::decode(to_bytes(bundle).as_slice()).unwrap()
}

fn numbers(tensor: &TensorProto) -> Vec<f32> {
    assert_eq!(tensor.data_type, FLOAT);
    let (values, rest) = tensor.raw_data.as_chunks();
    assert!(rest.is_empty());
    values
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect()
}

#[test]
fn every_value_is_made_once_and_before_it_is_used() {
    for activation in [Activation::Tanh, Activation::Relu] {
        let graph = decoded(&bundle(&format!("order-{activation:?}"), activation))
            .graph
            .unwrap();
        let constants = graph.initializer.iter().map(|tensor| tensor.name.clone());
        let inputs = graph.input.iter().map(|input| input.name.clone());
        let mut known: Vec<String> = constants.chain(inputs).collect();
        for node in &graph.node {
            for input in &node.input {
                assert!(known.contains(input), "{input} of {}", node.name);
            }
            known.extend(node.output.clone());
        }
        for output in &graph.output {
            assert!(known.contains(&output.name), "{}", output.name);
        }
        let all = known.len();
        known.sort();
        known.dedup();
        assert_eq!(known.len(), all, "no name twice");
        let operators: Vec<&str> = graph.node.iter().map(|n| n.op_type.as_str()).collect();
        let active = format!("{activation:?}");
        let layer = ["MatMul", "Add", active.as_str()];
        let expected = [
            &["Unsqueeze"][..],
            &layer,
            &layer,
            &["MatMul", "Add", "Reshape", "Where", "LogSoftmax", "ArgMax"],
        ];
        assert_eq!(operators, expected.concat());
    }
}

#[test]
fn inputs_and_outputs_have_the_shapes_of_the_layout() {
    let graph = decoded(&bundle("shapes", Activation::Tanh)).graph.unwrap();
    let mut told = Vec::new();
    for value in graph.input.iter().chain(&graph.output) {
        let tensor = value.kind.clone().unwrap().tensor_type.unwrap();
        let shape: Vec<String> = tensor
            .shape
            .unwrap()
            .dim
            .into_iter()
            .map(|dim| match dim.length.unwrap() {
                Length::Value(value) => value.to_string(),
                Length::Name(name) => name,
            })
            .collect();
        told.push((value.name.as_str(), tensor.elem_type, shape.join(" ")));
    }
    // Four services of 18 numbers, three agents, seven choices.
    let expected = [
        ("observation", FLOAT, "batch 72"),
        ("masks", BOOL, "batch 3 4 7"),
        ("logits", FLOAT, "batch 3 4 7"),
        ("log_probabilities", FLOAT, "batch 3 4 7"),
        ("actions", INT64, "batch 3 4"),
    ];
    let expected = expected.map(|(name, kind, shape)| (name, kind, shape.to_owned()));
    assert_eq!(told, expected);
}

#[test]
fn who_asks_is_in_the_biases_of_the_first_layer() {
    let bundle = bundle("biases", Activation::Tanh);
    let graph = decoded(&bundle).graph.unwrap();
    let constants: BTreeMap<&str, &TensorProto> = graph
        .initializer
        .iter()
        .map(|tensor| (tensor.name.as_str(), tensor))
        .collect();
    let (weights, biases) = bundle.policy.actors[0].layer(0);
    assert_eq!(constants["actor.0.weight"].dims, [72, 24]);
    assert_eq!(numbers(constants["actor.0.weight"]), weights[..72 * 24]);
    assert_eq!(constants["actor.0.bias"].dims, [3, 24]);
    let baked = numbers(constants["actor.0.bias"]);
    for (slot, baked) in baked.iter().enumerate() {
        let expected = weights[72 * 24 + slot] + biases[slot % 24];
        assert_eq!(*baked, expected, "{slot}");
    }
    let (weights, biases) = bundle.policy.actors[0].layer(2);
    assert_eq!(constants["actor.2.weight"].dims, [16, 28]);
    assert_eq!(numbers(constants["actor.2.weight"]), weights);
    assert_eq!(numbers(constants["actor.2.bias"]), biases);
}

#[test]
fn attributes_of_zero_are_written() {
    let graph = decoded(&bundle("zeros", Activation::Tanh)).graph.unwrap();
    let attributes: Vec<(&str, Option<i64>, i32)> = graph
        .node
        .iter()
        .flat_map(|node| &node.attribute)
        .map(|attribute| (attribute.name.as_str(), attribute.i, attribute.kind))
        .collect();
    let (axis, flat) = (("axis", Some(-1), INT), ("keepdims", Some(0), INT));
    assert_eq!(attributes, [axis, axis, flat]);
}

#[test]
fn the_metadata_say_what_the_numbers_mean() {
    let bundle = bundle("metadata", Activation::Tanh);
    let model = decoded(&bundle);
    let metadata: BTreeMap<&str, serde_json::Value> = model
        .metadata_props
        .iter()
        .map(|entry| {
            (
                entry.key.as_str(),
                serde_json::from_str(&entry.value).unwrap(),
            )
        })
        .collect();
    assert_eq!(metadata[METADATA_FORMAT], 1);
    assert_eq!(metadata[METADATA_MANIFEST], json!(bundle.manifest));
    assert_eq!(metadata[METADATA_MANIFEST]["layout"]["services"][0], "a");
    assert_eq!(metadata[METADATA_CHANGES], json!([-3, -2, -1, 0, 1, 2, 3]));
    let observation = metadata[METADATA_OBSERVATION].as_array().unwrap();
    assert_eq!(observation.len(), 72);
    assert_eq!(observation[18], "b.replicas_desired_share");
    assert_eq!((model.ir_version, model.opset_import[0].version), (8, 17));
}

#[test]
fn examples_obey_their_masks() {
    let bundle = bundle("examples", Activation::Tanh);
    let model = to_bytes(&bundle);
    let told = examples(&bundle.policy, &model);
    let rows = |key: &str| told[key].as_array().unwrap().clone();
    assert_eq!(told["model_sha256"], bundle::sha256(&model));
    assert_eq!(rows("observation").len(), 64);
    let mut forbidden = 0;
    for (example, actions) in rows("actions").iter().enumerate() {
        for agent in 0..3 {
            for service in 0..4 {
                let of = |key: &str| {
                    told[key][example][agent][service]
                        .as_array()
                        .unwrap()
                        .clone()
                };
                let (masks, logs) = (of("masks"), of("log_probabilities"));
                let action = actions[agent][service].as_u64().unwrap() as usize;
                assert_eq!(masks[action], true);
                let mut sum = 0.0;
                for (mask, log) in masks.iter().zip(&logs) {
                    let log = log.as_f64().unwrap();
                    assert!(log <= logs[action].as_f64().unwrap());
                    if *mask == true {
                        sum += log.exp();
                    } else {
                        forbidden += 1;
                        assert!(log < -1e29, "{log}");
                    }
                }
                assert!((sum - 1.0).abs() < 1e-5, "{sum}");
            }
        }
    }
    assert!(forbidden > 1000, "{forbidden}");
}

/// What a policy's graph gives for one observation and state with everything allowed, worked out
/// here: logits and what is remembered then.
fn evaluated(graph: &GraphProto, observation: &[f32], state: &[f32], rows: usize) -> [Vec<f32>; 2] {
    /// Rows of a width, one after another.
    type Rows = (usize, Vec<f32>);
    let mut known: BTreeMap<String, Rows> = BTreeMap::new();
    for constant in graph.initializer.iter().filter(|c| c.data_type == FLOAT) {
        let width = constant.dims.last().map_or(1, |width| *width as usize);
        known.insert(constant.name.clone(), (width, numbers(constant)));
    }
    let places = |name: &str| -> Vec<usize> {
        let constant = graph.initializer.iter().find(|c| c.name == name).unwrap();
        let (bytes, _) = constant.raw_data.as_chunks();
        bytes
            .iter()
            .map(|b| i64::from_le_bytes(*b) as usize)
            .collect()
    };
    let seen = (observation.len(), observation.to_vec());
    known.insert("observation.rows".to_owned(), seen);
    known.insert("state".to_owned(), (state.len() / rows, state.to_vec()));
    let mut logits = Vec::new();
    for node in &graph.node {
        let of = |at: usize| known[&node.input[at]].clone();
        let pairs = |combine: fn(f32, f32) -> f32| {
            let ((width, a), (_, b)) = (of(0), of(1));
            let count = a.len().max(b.len());
            let both = (0..count).map(|i| combine(a[i % a.len()], b[i % b.len()]));
            (width, both.collect())
        };
        let each = |f: fn(f32) -> f32| (of(0).0, of(0).1.into_iter().map(f).collect());
        let made: Rows = match node.op_type.as_str() {
            "MatMul" => {
                let ((width, rows), (outputs, weights)) = (of(0), of(1));
                let sum = |row: &[f32], n: usize| {
                    let terms = row.iter().enumerate();
                    terms
                        .map(|(k, x)| x * weights[k * outputs + n])
                        .sum::<f32>()
                };
                let rows = rows.chunks_exact(width);
                let products =
                    rows.flat_map(|row| (0..outputs).map(|n| sum(row, n)).collect::<Vec<_>>());
                (outputs, products.collect())
            }
            "Add" => pairs(|a, b| a + b),
            "Sub" => pairs(|a, b| a - b),
            "Mul" => pairs(|a, b| a * b),
            "Tanh" => each(f32::tanh),
            "Sigmoid" => each(|x| 1.0 / (1.0 + (-x).exp())),
            "Concat" => {
                let parts = (0..node.input.len()).flat_map(|at| of(at).1);
                (of(0).0, parts.collect())
            }
            "Gather" => {
                let (width, rows) = of(0);
                let places = places(&node.input[1]).into_iter();
                let rows = places.flat_map(|row| rows[row * width..(row + 1) * width].to_vec());
                (width, rows.collect())
            }
            "Split" => {
                let (width, rows) = of(0);
                let part = width / node.output.len();
                for (number, name) in node.output.iter().enumerate() {
                    let rows = rows.chunks_exact(width);
                    let rows =
                        rows.flat_map(|row| row[number * part..(number + 1) * part].to_vec());
                    known.insert(name.clone(), (part, rows.collect()));
                }
                continue;
            }
            "Reshape" => {
                logits = of(0).1;
                continue;
            }
            _ => continue,
        };
        known.insert(node.output[0].clone(), made);
    }
    let after = known.remove(STATE_AFTER).unwrap_or_default().1;
    [logits, after]
}

#[test]
fn every_agent_gets_the_logits_of_its_own_actor_and_keeps_its_own_state() {
    for (algorithm, sharing, recurrent) in [
        (Algorithm::Mappo, Sharing::All, None),
        (Algorithm::Mappo, Sharing::Role, None),
        (Algorithm::Mappo, Sharing::Agent, None),
        (Algorithm::Ppo, Sharing::All, None),
        (
            Algorithm::Mappo,
            Sharing::All,
            Some(RecurrentSettings::default()),
        ),
        (
            Algorithm::Mappo,
            Sharing::Role,
            Some(RecurrentSettings::default()),
        ),
        (
            Algorithm::Ppo,
            Sharing::All,
            Some(RecurrentSettings::default()),
        ),
    ] {
        let mut scenario = pipeline();
        scenario.team.agents[2].role = scenario.team.agents[0].role.clone();
        (scenario.train.algorithm, scenario.train.sharing) = (algorithm, sharing);
        scenario.train.recurrent = recurrent;
        let policy = Policy::untrained(&scenario, 24, 3);
        let observation: Vec<f32> = (0..72).map(|i| (i as f32).sin()).collect();
        let state = |i: usize| (i as f32 * 0.7).cos();
        let mut remembered: Vec<f32> = (0..policy.layout.state()).map(state).collect();
        let served = evaluated(
            &graph(&policy),
            &observation,
            &remembered,
            policy.layout.askers(),
        );
        let (mut scratch, mut logits) = (PolicyScratch::default(), Vec::new());
        policy.logits(&observation, &mut remembered, &mut scratch, &mut logits);
        for (served, expected) in served.iter().zip([&logits, &remembered]) {
            assert_eq!(served.len(), expected.len(), "{algorithm:?} {sharing:?}");
            for (served, expected) in served.iter().zip(expected) {
                let near = (served - expected).abs() < 1e-6;
                assert!(near, "{algorithm:?} {sharing:?}: {served} for {expected}");
            }
        }
    }
}
