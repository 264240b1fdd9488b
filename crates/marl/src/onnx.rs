//! Policies as ONNX files, to be served elsewhere.
//!
//! Three steps of the team's way from observation to action are in the graph: which agent asks, the
//! networks, and the masked heads. Encoding what is measured, asking the guides for masks and adding
//! up the agents' changes stay with whoever serves it.
//!
//! | value | kind and shape | what it is |
//! |---|---|---|
//! | `observation` | float [batch, services × numbers per service] | encoded, finite |
//! | `masks` | bool [batch, agents, services, choices] | true where allowed; at least one per head |
//! | `logits` | float, shape of the masks | before masks |
//! | `log_probabilities` | float, shape of the masks | under masks; forbidden choices have −1e30 |
//! | `actions` | int64 [batch, agents, services] | likeliest allowed choice, the first of equals |
//!
//! A policy that remembers (`train.recurrent`) has one input and one output more: `state` and
//! `state_after`, float [batch, askers, numbers], where each agent asks, or once all together. Zeros
//! begin an episode; what comes after a window goes into the next.
//!
//! The metadata say what the numbers mean: [`METADATA_MANIFEST`] is `policy.json`,
//! [`METADATA_OBSERVATION`] names every number of the observation, [`METADATA_CHANGES`] tells the
//! change of replicas that each choice stands for, all as JSON.

mod examples;
mod proto;

use karma_cluster::{Encoder, action};
use karma_nn::{Activation, Mlp};
use prost::Message;
use serde_json::json;

pub use examples::examples;
use proto::{
    AttributeProto, BOOL, Dimension, FLOAT, GraphProto, INT, INT64, Length, ModelProto, NodeProto,
    OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorType,
    TypeProto, ValueInfoProto,
};

use crate::{Policy, bundle::Bundle, policy::Layout};

/// Version of inputs, outputs and metadata as this module describes them.
pub const FORMAT: u32 = 1;
/// Set of operators.
pub const OPSET: i64 = 17;
/// Version of the file format, the one that came with [`OPSET`].
const IR_VERSION: i64 = 8;

/// Metadata: [`FORMAT`].
pub const METADATA_FORMAT: &str = "karma.format";
/// Metadata: `policy.json` as it was, with layout and hashes.
pub const METADATA_MANIFEST: &str = "karma.manifest";
/// Metadata: names of the numbers of an observation, `service.number`.
pub const METADATA_OBSERVATION: &str = "karma.observation";
/// Metadata: the change of replicas that each choice stands for.
pub const METADATA_CHANGES: &str = "karma.changes";

/// What is remembered after a window, where a policy remembers.
const STATE_AFTER: &str = "state_after";
/// The axis of agents, or of whoever asks.
const AGENT_AXIS: [(&str, i64); 1] = [("axis", 1)];

/// What a forbidden choice has for a logit, as in `karma_nn`'s own heads.
const FORBIDDEN: f32 = -1e30;

/// The bytes of an ONNX file for the policy of `bundle`; equal bundles give equal bytes.
#[must_use]
pub fn to_bytes(bundle: &Bundle) -> Vec<u8> {
    let layout = &bundle.policy.layout;
    let observation: Vec<String> = layout
        .services
        .iter()
        .flat_map(|service| Encoder::NAMES.map(|number| format!("{service}.{number}")))
        .collect();
    let changes: Vec<i32> = (0..layout.choices as u8).map(action::change).collect();
    let metadata = [
        (METADATA_FORMAT, json!(FORMAT)),
        (METADATA_MANIFEST, json!(bundle.manifest)),
        (METADATA_OBSERVATION, json!(observation)),
        (METADATA_CHANGES, json!(changes)),
    ];
    let model = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "karma".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: "A team of agents: masked log-probabilities and the likeliest choice of every \
                     agent for every service."
            .to_owned(),
        graph: Some(graph(&bundle.policy)),
        opset_import: vec![OperatorSetIdProto {
            domain: Some(String::new()),
            version: OPSET,
        }],
        metadata_props: metadata
            .map(|(key, value)| StringStringEntryProto {
                key: key.to_owned(),
                value: value.to_string(),
            })
            .into(),
    };
    model.encode_to_vec()
}

/// The graph from observation and masks to logits, log-probabilities and actions.
fn graph(policy: &Policy) -> GraphProto {
    let Layout {
        services, agents, ..
    } = &policy.layout;
    let heads = [agents.len(), services.len(), policy.layout.choices];
    let width = services.len() * policy.layout.per_service;
    let mut graph = GraphProto {
        name: "policy".to_owned(),
        ..GraphProto::default()
    };
    graph.input = vec![
        value(
            "observation",
            FLOAT,
            &[width],
            "Encoded observation; finite. The metadata name its numbers.",
        ),
        value(
            "masks",
            BOOL,
            &heads,
            "True where an agent may make a choice for a service; at least one per head.",
        ),
    ];
    graph.output = vec![
        value("logits", FLOAT, &heads, "Before masks."),
        value(
            "log_probabilities",
            FLOAT,
            &heads,
            "Under the masks; forbidden choices have -1e30.",
        ),
        value(
            "actions",
            INT64,
            &heads[..2],
            "The likeliest allowed choice, the first of equals.",
        ),
    ];
    if policy.layout.state() > 0 {
        let shape = [policy.layout.askers(), policy.layout.shape.state()];
        let (before, after) = (
            "What is remembered of the episode; zeros where it begins.",
            "What is remembered then: the state of the next window.",
        );
        graph.input.push(value("state", FLOAT, &shape, before));
        graph.output.push(value(STATE_AFTER, FLOAT, &shape, after));
    }
    let network = add_networks(&mut graph, policy, width);
    let shape: Vec<i64> = [0].into_iter().chain(heads.map(size)).collect();
    graph.initializer.push(integers("logits.shape", &shape));
    graph.node("Reshape", &[&network, "logits.shape"], "logits");
    let forbidden = floats("forbidden", &[], &[FORBIDDEN]);
    graph.initializer.push(forbidden);
    graph.node("Where", &["masks", "logits", "forbidden"], "masked");
    let last_axis = [("axis", -1)];
    graph
        .node("LogSoftmax", &["masked"], "log_probabilities")
        .set(&last_axis);
    graph
        .node("ArgMax", &["masked"], "actions")
        .set(&last_axis)
        .set(&[("keepdims", 0)]);
    graph
}

/// Adds the networks and returns the name of their result, batch × askers × outputs.
fn add_networks(graph: &mut GraphProto, policy: &Policy, width: usize) -> String {
    let layout = &policy.layout;
    graph
        .initializer
        .push(integers("observation.agent_axis", &[1]));
    graph.node(
        "Unsqueeze",
        &["observation", "observation.agent_axis"],
        "observation.rows",
    );
    if let [actor] = &policy.actors[..] {
        let askers: Vec<usize> = layout.askers_of(0).collect();
        return add_network(
            graph,
            ["actor", "state", STATE_AFTER],
            actor,
            (width, &askers),
        );
    }
    let (mut results, mut states, mut order) = (Vec::new(), Vec::new(), Vec::new());
    for (index, actor) in policy.actors.iter().enumerate() {
        let (name, first) = (format!("actor.{index}"), order.len());
        order.extend(layout.askers_of(index));
        let askers = &order[first..];
        let [before, after] = ["state", STATE_AFTER].map(|of| format!("{name}.{of}"));
        if actor.shape().recurrent {
            let (places, numbers) = (format!("{name}.askers"), askers.iter().copied().map(size));
            let numbers: Vec<i64> = numbers.collect();
            graph.initializer.push(integers(&places, &numbers));
            let gather = graph.node("Gather", &["state", &places], &before);
            gather.set(&AGENT_AXIS);
            states.push(after.clone());
        }
        let names = [name.as_str(), &before, &after];
        results.push(add_network(graph, names, actor, (width, askers)));
    }
    // Where each asker's row lies among those of actor after actor.
    let place = |asker| order.iter().position(|of| *of == asker).map_or(0, size);
    let places: Vec<i64> = (0..order.len()).map(place).collect();
    graph.initializer.push(integers("actors.places", &places));
    if !states.is_empty() {
        add_in_order(graph, &states, STATE_AFTER);
    }
    add_in_order(graph, &results, "actors");
    "actors".to_owned()
}

/// Adds the rows of all askers, in their order, of `parts`, which lie actor after actor.
fn add_in_order(graph: &mut GraphProto, parts: &[String], name: &str) {
    let (parts, all) = (parts.iter().map(String::as_str), format!("{name}.by_actor"));
    let parts: Vec<&str> = parts.collect();
    graph.node("Concat", &parts, &all).set(&AGENT_AXIS);
    let gather = graph.node("Gather", &[&all, "actors.places"], name);
    gather.set(&AGENT_AXIS);
}

/// Adds one network for `askers` and returns the name of its result, batch × askers × outputs. Names
/// are its own and those of its states before and after.
///
/// What a row of the first layer adds for "agent a asks" is row `width + a` of its weights. Added
/// to the biases, it gives biases per agent, and the observation goes through the layer once for
/// all agents.
fn add_network(
    graph: &mut GraphProto,
    [name, before, after]: [&str; 3],
    actor: &Mlp,
    (width, askers): (usize, &[usize]),
) -> String {
    let mut newest = "observation.rows".to_owned();
    let head = actor.layers() - 1;
    // A recurrent unit is two layers below the head.
    let unit = actor.shape().recurrent.then(|| head - 2);
    for layer in 0..=head {
        let (mut weights, mut biases) = actor.layer(layer);
        let outputs = biases.len();
        let mut bias_shape = vec![outputs];
        if layer == 0 {
            let asks = weights.split_off(width * outputs);
            let asks = askers.iter().map(|a| &asks[a * outputs..(a + 1) * outputs]);
            biases = asks
                .flat_map(|row| row.iter().zip(&biases).map(|(asks, bias)| asks + bias))
                .collect();
            bias_shape = vec![askers.len(), outputs];
        }
        let inputs = weights.len() / outputs;
        let names = ["weight", "bias", "product", "sum", "activation"];
        let [weight, bias, product, sum, active] =
            names.map(|part| format!("{name}.{layer}.{part}"));
        let constants = [
            floats(&weight, &[inputs, outputs], &weights),
            floats(&bias, &bias_shape, &biases),
        ];
        graph.initializer.extend(constants);
        let of_state = unit.is_some_and(|unit| layer == unit + 1);
        let input = if of_state { before } else { &newest };
        graph.node("MatMul", &[input, &weight], &product);
        graph.node("Add", &[&product, &bias], &sum);
        if of_state {
            add_unit(graph, name, [&newest, &sum], [before, after]);
            after.clone_into(&mut newest);
            continue;
        }
        newest = sum;
        if layer < head && unit != Some(layer) {
            let operator = match actor.shape().activation {
                Activation::Tanh => "Tanh",
                Activation::Relu => "Relu",
            };
            graph.node(operator, &[&newest], &active);
            newest = active;
        }
    }
    newest
}

/// Adds what a recurrent unit makes of the sums of its input and of its state for its three gates:
/// the state after, `n + z · (h − n)`.
fn add_unit(graph: &mut GraphProto, name: &str, sums: [&str; 2], [before, after]: [&str; 2]) {
    let of = |part: &str| format!("{name}.unit.{part}");
    let [of_input, of_state] = ["input", "state"].map(|from| {
        let gates = ["reset", "update", "candidate"];
        gates.map(|gate| of(&format!("{from}.{gate}")))
    });
    for (sum, parts) in sums.iter().zip([&of_input, &of_state]) {
        let split = graph.node("Split", &[sum], &parts[0]);
        split.output = parts.to_vec();
        split.set(&[("axis", -1)]);
    }
    for (gate, part) in ["reset", "update"].iter().enumerate() {
        let sum = of(&format!("{part}.sum"));
        graph.node("Add", &[&of_input[gate], &of_state[gate]], &sum);
        graph.node("Sigmoid", &[&sum], &of(part));
    }
    let [reset, update, kept, sum, candidate, apart, share] = [
        "reset",
        "update",
        "kept",
        "sum",
        "candidate",
        "apart",
        "share",
    ]
    .map(of);
    graph.node("Mul", &[&reset, &of_state[2]], &kept);
    graph.node("Add", &[&of_input[2], &kept], &sum);
    graph.node("Tanh", &[&sum], &candidate);
    graph.node("Sub", &[before, &candidate], &apart);
    graph.node("Mul", &[&update, &apart], &share);
    graph.node("Add", &[&candidate, &share], after);
}

impl GraphProto {
    /// Adds an operator that makes `output`, and names it so.
    fn node(&mut self, operator: &str, inputs: &[&str], output: &str) -> &mut NodeProto {
        let at = self.node.len();
        self.node.push(NodeProto {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: output.to_owned(),
            op_type: operator.to_owned(),
            attribute: Vec::new(),
        });
        &mut self.node[at]
    }
}

impl NodeProto {
    /// Sets integers.
    fn set(&mut self, attributes: &[(&str, i64)]) -> &mut Self {
        let attributes = attributes.iter().map(|(name, value)| AttributeProto {
            name: (*name).to_owned(),
            i: Some(*value),
            kind: INT,
        });
        self.attribute.extend(attributes);
        self
    }
}

/// A constant of floats.
fn floats(name: &str, shape: &[usize], values: &[f32]) -> TensorProto {
    TensorProto {
        dims: shape.iter().copied().map(size).collect(),
        data_type: FLOAT,
        name: name.to_owned(),
        raw_data: values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
    }
}

/// A constant row of integers.
fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        dims: vec![size(values.len())],
        data_type: INT64,
        name: name.to_owned(),
        raw_data: values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
    }
}

/// An input or output of a batch of `shape`.
fn value(name: &str, kind: i32, shape: &[usize], meaning: &str) -> ValueInfoProto {
    let batch = Length::Name("batch".to_owned());
    let known = shape.iter().map(|length| Length::Value(size(*length)));
    let lengths = std::iter::once(batch).chain(known);
    let dim = lengths.map(|length| Dimension {
        length: Some(length),
    });
    ValueInfoProto {
        name: name.to_owned(),
        kind: Some(TypeProto {
            tensor_type: Some(TensorType {
                elem_type: kind,
                shape: Some(TensorShapeProto { dim: dim.collect() }),
            }),
        }),
        doc_string: meaning.to_owned(),
    }
}

fn size(length: usize) -> i64 {
    length as i64
}

#[cfg(test)]
mod tests;
