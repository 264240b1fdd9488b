//! Kernels against candle's automatic differentiation in double precision.

use std::ops::Range;

use candle_core::{D, Device, Result, Tensor, Var};
use karma_nn::{
    Activation, AdamStep, Heads, Learner, Level, Mlp, MlpShape, Objective, SLOTS,
    categorical::Distributions,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

fn random(count: usize, seed: u64) -> Vec<f32> {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..count).map(|_| rng.gen_range(-1.5..1.5)).collect()
}

/// As double precision.
fn tensor(values: &[f32], shape: &[usize]) -> Result<Tensor> {
    let values: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}

fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    tensor.flatten_all()?.to_vec1()
}

/// Largest distance, relative to the largest of `exact`.
fn distance(values: &[f32], exact: &[f64]) -> f64 {
    assert_eq!(values.len(), exact.len());
    let pairs = values.iter().zip(exact);
    let worst = pairs.map(|(v, e)| (f64::from(*v) - e).abs());
    let largest = exact.iter().fold(1e-9, |top: f64, e| top.max(e.abs()));
    // NaN is no small distance.
    worst.fold(0.0, |top, d| if d <= top { top } else { d }) / largest
}

/// The parameters of a network on candle's side: weights and biases, layer by layer.
struct Reference {
    layers: Vec<[Var; 2]>,
    activation: Activation,
}

impl Reference {
    fn of(mlp: &Mlp) -> Result<Self> {
        let layers = (0..mlp.layers()).map(|layer| {
            let (weights, biases) = mlp.layer(layer);
            let shape = [weights.len() / biases.len(), biases.len()];
            let weights = Var::from_tensor(&tensor(&weights, &shape)?)?;
            Ok([weights, Var::from_tensor(&tensor(&biases, &shape[1..])?)?])
        });
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
            activation: mlp.shape().activation,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut values = x.clone();
        for (layer, [weights, biases]) in self.layers.iter().enumerate() {
            values = values.matmul(weights)?.broadcast_add(biases)?;
            if layer + 1 < self.layers.len() {
                values = match self.activation {
                    Activation::Tanh => values.tanh()?,
                    Activation::Relu => values.relu()?,
                };
            }
        }
        Ok(values)
    }
}

/// Mean of `Σ sin(out) · weight` over rows: a loss whose derivative differs with row and output.
struct Waves {
    inputs: Vec<f32>,
    weights: Vec<f32>,
    width: usize,
}

impl Waves {
    fn of(shape: &MlpShape, rows: usize) -> Self {
        Self {
            inputs: random(rows * shape.inputs, 1),
            weights: random(rows * shape.outputs, 2),
            width: shape.inputs,
        }
    }

    fn rows(&self) -> usize {
        self.inputs.len() / self.width
    }

    fn reference(&self, net: &Reference) -> Result<Tensor> {
        let rows = self.rows();
        let out = net.forward(&tensor(&self.inputs, &[rows, self.width])?)?;
        let weights = tensor(&self.weights, out.dims())?;
        (out.sin()? * weights)?.sum_all()? / rows as f64
    }
}

impl Objective for Waves {
    type Work = ();

    fn input<'a>(&'a self, row: usize, _: &'a mut [f32]) -> &'a [f32] {
        &self.inputs[row * self.width..(row + 1) * self.width]
    }

    fn loss(&self, rows: Range<usize>, out: &[f32], d_out: &mut [f32], (): &mut ()) {
        let width = out.len() / rows.len();
        let weights = &self.weights[rows.start * width..rows.end * width];
        for ((d, out), weight) in d_out.iter_mut().zip(out).zip(weights) {
            *d = out.cos() * weight / self.rows() as f32;
        }
    }
}

/// Networks with no, one and two hidden layers, of widths that fill lines and widths that do not.
fn networks() -> Vec<Mlp> {
    let shapes = [
        (5, vec![], 3, Activation::Tanh),
        (9, vec![16], 1, Activation::Tanh),
        (37, vec![33, 48], 28, Activation::Tanh),
        (80, vec![64, 64], 35, Activation::Tanh),
        (20, vec![40, 24], 4, Activation::Relu),
    ];
    let networks = shapes.map(|(inputs, hidden, outputs, activation)| {
        let shape = MlpShape {
            inputs,
            hidden,
            outputs,
            activation,
            recurrent: false,
        };
        let mut mlp = Mlp::new(shape, &mut Xoshiro256PlusPlus::seed_from_u64(9), 1.0);
        // Biases that are zero would hide where they go.
        for layer in 0..mlp.layers() {
            let (weights, biases) = mlp.layer(layer);
            mlp.set_layer(layer, &weights, &random(biases.len(), layer as u64));
        }
        mlp
    });
    networks.into()
}

#[test]
fn every_layer_has_the_gradient_that_candle_finds() -> Result<()> {
    for mlp in networks() {
        let objective = Waves::of(mlp.shape(), 301);
        let net = Reference::of(&mlp)?;
        let gradients = objective.reference(&net)?.backward()?;
        for level in Level::available() {
            let mlp = mlp.clone().with_level(level);
            let mut learner = Learner::new(&mlp);
            learner.gradient(&mlp, 301, &objective, &mut [(); SLOTS]);
            for (layer, [weights, biases]) in net.layers.iter().enumerate() {
                let (of_weights, of_biases) = learner.layer_gradient(&mlp, layer);
                for (values, var) in [(of_weights, weights), (of_biases, biases)] {
                    let far = distance(&values, &numbers(gradients.get(var).unwrap())?);
                    let (shape, level) = (mlp.shape(), level.name());
                    assert!(far < 1e-5, "{shape:?}, layer {layer}, {level}: {far}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn training_goes_where_adam_on_candles_gradients_goes() -> Result<()> {
    const STEPS: i32 = 25;
    let adam = AdamStep {
        learning_rate: 3e-3,
        clip_norm: 0.1,
    };
    for mut mlp in networks() {
        let objective = Waves::of(mlp.shape(), 130);
        let (net, mut learner) = (Reference::of(&mlp)?, Learner::new(&mlp));
        let vars: Vec<&Var> = net.layers.iter().flatten().collect();
        let zeros = vars.iter().map(|var| var.zeros_like());
        let mut first = zeros.collect::<Result<Vec<Tensor>>>()?;
        let mut second = first.clone();
        let mut clipped = 0;
        for step in 1..=STEPS {
            learner.gradient(&mlp, 130, &objective, &mut [(); SLOTS]);
            let norm = f64::from(learner.step(&mut mlp, adam).unwrap());
            let gradients = objective.reference(&net)?.backward()?;
            let mut square = 0.0;
            for var in &vars {
                square += gradients
                    .get(var)
                    .unwrap()
                    .sqr()?
                    .sum_all()?
                    .to_scalar::<f64>()?;
            }
            assert!((square.sqrt() / norm - 1.0).abs() < 1e-3, "{square} {norm}");
            clipped += u32::from(square.sqrt() > 0.1);
            let scale = (0.1 / square.sqrt()).min(1.0);
            for ((var, first), second) in vars.iter().zip(&mut first).zip(&mut second) {
                let gradient = (gradients.get(var).unwrap() * scale)?;
                *first = ((&*first * 0.9)? + (&gradient * 0.1)?)?;
                *second = ((&*second * 0.999)? + (gradient.sqr()? * 0.001)?)?;
                let mean = (&*first / (1.0 - 0.9_f64.powi(step)))?;
                let root = (&*second / (1.0 - 0.999_f64.powi(step)))?.sqrt()?;
                var.set(&(var.as_tensor() - (mean / (root + 1e-5)?)? * 3e-3)?)?;
            }
        }
        assert!(clipped > 0, "a step that is clipped");
        for (layer, [weights, biases]) in net.layers.iter().enumerate() {
            let (ours, shifts) = mlp.layer(layer);
            assert!(distance(&ours, &numbers(weights)?) < 1e-4);
            assert!(distance(&shifts, &numbers(biases)?) < 1e-4);
        }
    }
    Ok(())
}

const HEADS: Heads = Heads {
    heads: 4,
    choices: 7,
};
const ROWS: usize = 45;

/// What candle says of masked heads: log-probabilities of `chosen` and entropies, both summed over
/// heads.
fn scores(logits: &Tensor, masks: &[u8], chosen: &[u8]) -> Result<(Tensor, Tensor)> {
    let Heads { heads, choices } = HEADS;
    let bit = |slot: usize| f64::from(masks[slot / choices] >> (slot % choices) & 1);
    let allowed: Vec<f64> = (0..ROWS * heads * choices).map(bit).collect();
    let allowed = Tensor::from_vec(allowed, (ROWS, heads, choices), &Device::Cpu)?;
    let away = ((&allowed - 1.0)? * 1e30)?;
    let values = ((logits.reshape((ROWS, heads, choices))? * &allowed)? + away)?;
    let values = values.broadcast_sub(&values.max_keepdim(D::Minus1)?.detach())?;
    let sums = values.exp()?.sum_keepdim(D::Minus1)?;
    let logs = values.broadcast_sub(&sums.log()?)?;
    let entropy = (logs.exp()? * &logs)?
        .sum(D::Minus1)?
        .sum(D::Minus1)?
        .neg()?;
    let chosen: Vec<u32> = chosen.iter().map(|c| u32::from(*c)).collect();
    let chosen = Tensor::from_vec(chosen, (ROWS, heads, 1), &Device::Cpu)?;
    let log_probs = logs.gather(&chosen, D::Minus1)?.squeeze(D::Minus1)?;
    Ok((log_probs.sum(D::Minus1)?, entropy))
}

#[test]
fn masked_heads_have_the_log_probabilities_entropies_and_gradients_that_candle_finds() -> Result<()>
{
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(4);
    let slots = ROWS * HEADS.heads;
    // Logits large enough for probabilities near 0 and 1, masks that leave one choice to all.
    let logits: Vec<f32> = (0..ROWS * HEADS.width())
        .map(|_| rng.gen_range(-9.0..9.0))
        .collect();
    let masks: Vec<u8> = (0..slots).map(|_| rng.gen_range(1..128)).collect();
    let chosen: Vec<u8> = masks.iter().map(|mask| mask.ilog2() as u8).collect();
    let (by_log_prob, by_entropy) = (random(ROWS, 5), random(ROWS, 6));

    let var = Var::from_tensor(&tensor(&logits, &[ROWS, HEADS.width()])?)?;
    let (exact_log_probs, exact_entropy) = scores(&var, &masks, &chosen)?;
    let policy = (&exact_log_probs * tensor(&by_log_prob, &[ROWS])?)?;
    let spread = (&exact_entropy * tensor(&by_entropy, &[ROWS])?)?;
    let gradients = (policy + spread)?.sum_all()?.backward()?;
    let exact = numbers(gradients.get(&var).unwrap())?;

    for level in Level::available() {
        let mut of = Distributions::default();
        HEADS.evaluate(level, &logits, &masks, &mut of);
        let (mut log_probs, mut entropy) = (vec![0.0; ROWS], vec![0.0; ROWS]);
        HEADS.score(&of, &chosen, &mut log_probs, &mut entropy);
        assert!(distance(&log_probs, &numbers(&exact_log_probs)?) < 1e-6);
        assert!(distance(&entropy, &numbers(&exact_entropy)?) < 1e-6);
        let mut d = vec![f32::NAN; logits.len()];
        HEADS.gradient(&mut of, &chosen, &by_log_prob, &by_entropy, &mut d);
        assert!(distance(&d, &exact) < 2e-6);
    }
    Ok(())
}
