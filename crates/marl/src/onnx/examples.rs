//! Inputs with what our own kernels make of them: what a server of the file can be checked with.

use karma_cluster::seed;
use karma_nn::{Heads, categorical::Distributions};
use rand::Rng;
use serde_json::{Value, json};

use super::{FORBIDDEN, FORMAT, STATE_AFTER};
use crate::{
    Policy,
    bundle::sha256,
    policy::{Layout, PolicyScratch},
};

/// Observations in one file of examples.
const EXAMPLES: usize = 64;

/// Example inputs of `model`, the bytes of the ONNX file of `policy`, and the outputs that this
/// machine's kernels give; as JSON, whose arrays are nested as the file's inputs and outputs are.
///
/// Observations are drawn from the range of the encoder. Masks allow everything in every fourth
/// example, one choice in every fourth, and anything in the others.
#[must_use]
pub fn examples(policy: &Policy, model: &[u8]) -> Value {
    let layout = &policy.layout;
    let inputs = Inputs::draw(layout);
    let (mut scratch, mut logits, mut all_logits) =
        (PolicyScratch::default(), Vec::new(), Vec::new());
    let mut states = inputs.states.clone();
    for (example, observation) in inputs.observations.chunks_exact(inputs.width).enumerate() {
        let state = &mut states[example * layout.state()..(example + 1) * layout.state()];
        policy.logits(observation, state, &mut scratch, &mut logits);
        all_logits.extend_from_slice(&logits);
    }
    let (log_probabilities, actions) = masked(policy, &all_logits, &inputs.masks);
    let (agents, services) = (layout.agents.len(), layout.services.len());
    let heads = [agents, services, layout.choices];
    let allowed: Vec<bool> = inputs
        .masks
        .iter()
        .flat_map(|mask| (0..layout.choices).map(move |choice| (mask >> choice) & 1 == 1))
        .collect();
    let mut told = json!({
        "format": FORMAT,
        "model_sha256": sha256(model),
        "feature_level": policy.level().name(),
        "forbidden": FORBIDDEN,
        "observation": nested(&inputs.observations, &[inputs.width]),
        "masks": nested(&allowed, &heads),
        "logits": nested(&all_logits, &heads),
        "log_probabilities": nested(&log_probabilities, &heads),
        "actions": nested(&actions, &heads[..2]),
    });
    if layout.state() > 0 {
        let shape = [layout.askers(), layout.shape.state()];
        told["state"] = nested(&inputs.states, &shape);
        told[STATE_AFTER] = nested(&states, &shape);
    }
    told
}

/// What the examples start from.
struct Inputs {
    width: usize,
    /// Examples × width.
    observations: Vec<f32>,
    /// Examples × agents × services.
    masks: Vec<u8>,
    /// Examples × state.
    states: Vec<f32>,
}

impl Inputs {
    fn draw(layout: &Layout) -> Self {
        let mut rng = seed::derive(0, "onnx examples", 0);
        let (width, choices) = (layout.services.len() * layout.per_service, layout.choices);
        let heads = layout.agents.len() * layout.services.len();
        let everything = u8::MAX >> (8 - choices);
        let observations = (0..EXAMPLES * width)
            .map(|_| rng.gen_range(-1.0..3.0))
            .collect();
        let masks = (0..EXAMPLES * heads)
            .map(|slot| match slot / heads % 4 {
                0 => everything,
                1 => 1 << rng.gen_range(0..choices),
                _ => rng.gen_range(1..=everything),
            })
            .collect();
        let states = (0..EXAMPLES * layout.state())
            .map(|_| rng.gen_range(-1.0..1.0))
            .collect();
        Self {
            states,
            width,
            observations,
            masks,
        }
    }
}

/// Log-probabilities of all choices under the masks, and the likeliest of every head.
fn masked(policy: &Policy, logits: &[f32], masks: &[u8]) -> (Vec<f32>, Vec<u8>) {
    let choices = policy.layout.choices;
    // Heads know nothing of each other: each is a row of its own, so that one can be scored alone.
    let head = Heads { heads: 1, choices };
    let mut distributions = Distributions::default();
    head.evaluate(policy.level(), logits, masks, &mut distributions);
    let mut actions = vec![0; masks.len()];
    head.mode(&distributions, &mut actions);
    let mut log_probabilities = vec![0.0; logits.len()];
    let (mut scores, mut entropies) = (vec![0.0; masks.len()], vec![0.0; masks.len()]);
    for choice in 0..choices {
        let chosen = vec![choice as u8; masks.len()];
        head.score(&distributions, &chosen, &mut scores, &mut entropies);
        for (row, score) in log_probabilities.chunks_exact_mut(choices).zip(&scores) {
            row[choice] = *score;
        }
    }
    (log_probabilities, actions)
}

/// `values` as arrays in arrays: a batch of entries of `shape`.
fn nested<T: Copy + Into<Value>>(values: &[T], shape: &[usize]) -> Value {
    let size = shape.iter().product();
    let entries = values.chunks_exact(size).map(|entry| match shape {
        [] => entry[0].into(),
        [_, inner @ ..] => nested(entry, inner),
    });
    Value::Array(entries.collect())
}
