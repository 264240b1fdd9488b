//! The losses of the fused kernels against candle's differentiation in double precision, and against
//! finite differences.

use std::ops::Range;

use candle_core::{Device, Result, Tensor, Var};
use karma_cluster::seed::derive;
use karma_nn::{Heads, Level, Objective, categorical::Distributions};
use rand::Rng;

use super::{
    super::super::{
        Place,
        losses::{ActorObjective, ActorWork, Batch, CriticObjective},
        memory::Memory,
    },
    Played, Weights, policy, value,
};
use crate::train::view::{Shape, View};

const HEADS: Heads = Heads {
    heads: 4,
    choices: 7,
};
const SHAPE: Shape = Shape {
    agents: 3,
    heads: HEADS,
    state: 1,
    own: 0,
};
const CELLS: usize = 40;
const ROWS: usize = CELLS * SHAPE.agents;
const CLIP: f32 = 0.2;
/// Of so many numbers, differences are taken at one.
const APART: usize = 37;

fn random(count: usize, name: &str, range: Range<f32>) -> Vec<f32> {
    let mut stream = derive(11, name, 0);
    (0..count)
        .map(|_| stream.gen_range(range.clone()))
        .collect()
}

fn doubles(values: &[f32], shape: &[usize]) -> Result<Tensor> {
    let values: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// What a policy played in one step of many environments, and what the next says of it: logits, far
/// enough from those that played for ratios on both sides of the clip.
fn played() -> (Memory, Vec<f32>) {
    let (slots, width) = (ROWS * HEADS.heads, HEADS.width());
    let mut memory = Memory::new(SHAPE, CELLS, 0);
    memory.resize(1);
    let mut stream = derive(11, "masks", 0);
    memory.masks = (0..slots).map(|_| stream.gen_range(1..128)).collect();
    memory.choices = memory
        .masks
        .iter()
        .map(|mask| mask.trailing_zeros() as u8)
        .collect();
    let logits = random(ROWS * width, "logits", -2.0..2.0);
    let shifts = random(ROWS * width, "shifts", -0.2..0.2);
    let before: Vec<f32> = logits.iter().zip(shifts).map(|(a, b)| a + b).collect();
    let mut of = Distributions::default();
    HEADS.evaluate(Level::best(), &before, &memory.masks, &mut of);
    let mut entropy = vec![0.0; ROWS];
    HEADS.score(&of, &memory.choices, &mut memory.log_probs, &mut entropy);
    memory.advantages = random(ROWS, "advantages", -2.0..2.0);
    memory.values = random(ROWS, "values", -1.0..1.0);
    memory.returns = random(ROWS, "returns", -1.0..1.0);
    (memory, logits)
}

/// The same on candle's side.
fn tensors(memory: &Memory) -> Result<Played> {
    let Heads { heads, choices } = HEADS;
    let bit = |at: usize| f64::from((memory.masks[at / choices] >> (at % choices)) & 1);
    let bits: Vec<f64> = (0..ROWS * HEADS.width()).map(bit).collect();
    let chosen: Vec<u32> = memory.choices.iter().map(|c| u32::from(*c)).collect();
    Ok(Played {
        allowed: Tensor::from_vec(bits, (ROWS, heads, choices), &Device::Cpu)?,
        choices: Tensor::from_vec(chosen, (ROWS, heads), &Device::Cpu)?,
        log_probs: doubles(&memory.log_probs, &[ROWS])?,
        advantages: doubles(&memory.advantages, &[ROWS])?,
    })
}

fn places() -> Vec<Place> {
    let cells = 0..CELLS as u32;
    cells.map(|cell| Place { player: 0, cell }).collect()
}

fn batch<'a>(memories: &'a [&'a Memory], order: &'a [Place], view: &'a View) -> Batch<'a> {
    Batch {
        memories,
        order,
        view,
        states: (|memory| &memory.actors, 0),
    }
}

/// The gradient that candle finds of `loss` at `at`, held to finite differences.
fn gradient(
    at: &[f32],
    shape: &[usize],
    loss: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Vec<f64>> {
    let var = Var::from_tensor(&doubles(at, shape)?)?;
    let gradients = loss(&var)?.backward()?;
    let gradient: Vec<f64> = gradients.get(&var).unwrap().flatten_all()?.to_vec1()?;
    let origin: Vec<f64> = at.iter().map(|v| f64::from(*v)).collect();
    for slot in (0..at.len()).step_by(APART) {
        let shifted = |by: f64| {
            let mut values = origin.clone();
            values[slot] += by;
            loss(&Tensor::from_vec(values, shape, &Device::Cpu)?)?.to_scalar::<f64>()
        };
        let numeric = (shifted(1e-5)? - shifted(-1e-5)?) / 2e-5;
        let exact = gradient[slot];
        assert!(
            (exact - numeric).abs() < 1e-6 * largest(&gradient),
            "{slot}: {exact} and {numeric}"
        );
    }
    Ok(gradient)
}

fn largest(of: &[f64]) -> f64 {
    of.iter().fold(0.0, |top, value| top.max(value.abs()))
}

fn assert_close(fused: &[f32], exact: &[f64]) {
    let tolerance = 1e-5 * largest(exact);
    assert!(tolerance > 1e-9 && fused.len() == exact.len());
    for (at, (fused, exact)) in fused.iter().zip(exact).enumerate() {
        let far = (f64::from(*fused) - exact).abs();
        assert!(far <= tolerance, "{at}: {fused} and {exact}");
    }
}

#[test]
fn the_policys_loss_has_the_gradient_that_candle_and_differences_find() {
    let (memory, logits) = played();
    let (memories, order) = ([&memory], places());
    let view = View::sight_of(SHAPE, (0..SHAPE.agents).collect());
    let of_candle = tensors(&memory).unwrap();
    for (clip, entropy, mask_loss) in [
        (CLIP, 0.0, 0.0),
        (CLIP, 0.05, 0.0),
        (CLIP, 0.01, 0.3),
        (f32::INFINITY, 0.01, 0.1),
    ] {
        let weights = Weights {
            clip: f64::from(clip),
            entropy: f64::from(entropy),
            mask_loss: f64::from(mask_loss),
        };
        let loss = |logits: &Tensor| policy(logits, &of_candle, weights);
        let shape = [ROWS, HEADS.width()];
        let exact = gradient(&logits, &shape, |logits| Ok(loss(logits)?[0].clone())).unwrap();
        let [_, told] = loss(&doubles(&logits, &shape).unwrap()).unwrap();
        let told: Vec<f64> = told.to_vec1().unwrap();
        for level in Level::available() {
            let objective = ActorObjective {
                batch: batch(&memories, &order, &view),
                heads: HEADS,
                level,
                clip,
                entropy,
                mask_loss,
            };
            let (mut d, mut work) = (vec![f32::NAN; logits.len()], ActorWork::default());
            objective.loss(0..ROWS, &logits, &mut d, &mut work);
            assert_close(&d, &exact);
            let sums = &work.sums;
            let ours = [
                sums.kl,
                sums.clipped,
                sums.entropy,
                sums.forbidden,
                sums.largest,
            ];
            for (ours, exact) in ours.iter().zip(&told) {
                let far = (ours - exact).abs();
                assert!(far < 1e-5 * (1.0 + exact.abs()), "{ours} and {exact}");
            }
            let some = ROWS as f64 * 0.2..ROWS as f64 * 0.8;
            assert!(clip.is_infinite() || some.contains(&sums.clipped));
            assert_eq!(sums.forbidden > 0.0, mask_loss > 0.0);
        }
    }
}

#[test]
fn the_values_loss_has_the_gradient_that_candle_and_differences_find() {
    let (memory, _) = played();
    let (memories, order) = ([&memory], places());
    let shifts = random(ROWS, "changes", -0.5..0.5);
    let values: Vec<f32> = memory
        .values
        .iter()
        .zip(shifts)
        .map(|(a, b)| a + b)
        .collect();
    let [old, targets] =
        [&memory.values, &memory.returns].map(|of| doubles(of, &[CELLS, SHAPE.agents]).unwrap());
    for clip in [CLIP, f32::INFINITY] {
        let view = View::team(SHAPE);
        let batch = batch(&memories, &order, &view);
        let (mut d, mut sum) = (vec![f32::NAN; ROWS], 0.0);
        CriticObjective { batch, clip }.loss(0..CELLS, &values, &mut d, &mut sum);
        let loss = |values: &Tensor| value(values, &old, &targets, f64::from(clip));
        let shape = [CELLS, SHAPE.agents];
        let exact = gradient(&values, &shape, |values| Ok(loss(values)?[0].clone())).unwrap();
        assert_close(&d, &exact);
        let [_, told] = loss(&doubles(&values, &shape).unwrap()).unwrap();
        let told: Vec<f64> = told.to_vec1().unwrap();
        assert!((told[0] - sum).abs() < 1e-5 * sum);
        // Some are held by the clip, and get no gradient.
        let held = d.iter().filter(|d| **d == 0.0).count();
        assert_eq!(held > ROWS / 20, clip.is_finite(), "{held}");
    }
}
