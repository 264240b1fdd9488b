//! Networks that remember against a scalar one in double precision, and their gradient through time
//! against central differences.

use std::ops::Range;

use karma_nn::{
    Activation, AdamStep, Learner, Level, Mlp, MlpShape, Objective, SLOTS, Scratch, Sequences,
    Unrolled, store::Archive,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A dense layer, a gated recurrent unit and a head, number by number.
#[derive(Clone)]
struct Plain {
    layers: Vec<(Vec<f64>, Vec<f64>)>,
    state: usize,
}

impl Plain {
    fn of(mlp: &Mlp) -> Self {
        let double = |v: Vec<f32>| v.into_iter().map(f64::from).collect();
        let layers = (0..mlp.layers()).map(|layer| {
            let (weights, biases) = mlp.layer(layer);
            (double(weights), double(biases))
        });
        Self {
            layers: layers.collect(),
            state: mlp.shape().state(),
        }
    }

    fn affine(&self, layer: usize, x: &[f64]) -> Vec<f64> {
        let (weights, biases) = &self.layers[layer];
        let outputs = biases.len();
        let sum = |n: usize| {
            let terms = x.iter().enumerate();
            biases[n]
                + terms
                    .map(|(k, x)| x * weights[k * outputs + n])
                    .sum::<f64>()
        };
        (0..outputs).map(sum).collect()
    }

    /// One step; the equations of PyTorch's `GRUCell`.
    fn step(&self, x: &[f64], state: &mut [f64]) -> Vec<f64> {
        let unit = self.layers.len() - 3;
        let mut x = x.to_vec();
        for layer in 0..unit {
            x = self.affine(layer, &x);
            x.iter_mut().for_each(|v| *v = v.tanh());
        }
        let (of_input, of_state) = (self.affine(unit, &x), self.affine(unit + 1, state));
        let logistic = |v: f64| 1.0 / (1.0 + (-v).exp());
        for i in 0..self.state {
            let (r, z, n) = (i, self.state + i, 2 * self.state + i);
            let reset = logistic(of_input[r] + of_state[r]);
            let update = logistic(of_input[z] + of_state[z]);
            let candidate = (of_input[n] + reset * of_state[n]).tanh();
            state[i] = (1.0 - update) * candidate + update * state[i];
        }
        self.affine(unit + 2, state)
    }
}

/// Sequences in a table: the loss of a row is half the squares of what it gives, weighted by the row.
struct Table {
    batch: Unrolled,
    inputs: Vec<f32>,
    states: Vec<f32>,
    fresh: Vec<bool>,
    widths: [usize; 2],
}

fn weight(row: usize) -> f64 {
    1.0 + (row as f64 * 0.7).sin()
}

impl Table {
    fn draw(shape: &MlpShape, batch: Unrolled, rng: &mut Xoshiro256PlusPlus) -> Self {
        let rows = batch.sequences * batch.steps;
        let mut numbers = |n: usize| (0..n).map(|_| rng.gen_range(-1.0..1.0)).collect();
        Self {
            inputs: numbers(rows * shape.inputs),
            states: numbers(batch.sequences * shape.state()),
            fresh: (0..rows).map(|row| row % 7 == 3).collect(),
            widths: [shape.inputs, shape.state()],
            batch,
        }
    }

    /// Sequences, each with its rows in time.
    fn sequences(&self) -> Vec<Vec<usize>> {
        let Unrolled {
            sequences,
            steps,
            block,
        } = self.batch;
        (0..sequences)
            .map(|sequence| {
                let first = sequence / block * block;
                let count = block.min(sequences - first);
                let row = |step| first * steps + step * count + sequence - first;
                (0..steps).map(row).collect()
            })
            .collect()
    }

    fn loss_of(&self, net: &Plain) -> f64 {
        let double = |v: &[f32]| -> Vec<f64> { v.iter().map(|v| f64::from(*v)).collect() };
        let [width, state] = self.widths;
        let mut loss = 0.0;
        for (sequence, rows) in self.sequences().into_iter().enumerate() {
            let mut now = double(&self.states[sequence * state..(sequence + 1) * state]);
            for (step, row) in rows.into_iter().enumerate() {
                if step > 0 && self.fresh[row] {
                    now.fill(0.0);
                }
                let x = double(&self.inputs[row * width..(row + 1) * width]);
                let out = net.step(&x, &mut now);
                loss += weight(row) * out.iter().map(|v| v * v / 2.0).sum::<f64>();
            }
        }
        loss
    }
}

impl Objective for Table {
    type Work = ();

    fn input<'a>(&'a self, row: usize, _: &'a mut [f32]) -> &'a [f32] {
        &self.inputs[row * self.widths[0]..(row + 1) * self.widths[0]]
    }

    fn loss(&self, rows: Range<usize>, out: &[f32], d_out: &mut [f32], (): &mut ()) {
        let width = out.len() / rows.len();
        for (i, row) in rows.enumerate() {
            for at in i * width..(i + 1) * width {
                d_out[at] = weight(row) as f32 * out[at];
            }
        }
    }
}

impl Sequences for Table {
    fn state(&self, row: usize) -> &[f32] {
        let of_row = |rows: &Vec<usize>| rows[0] == row;
        let sequence = self.sequences().iter().position(of_row).unwrap();
        &self.states[sequence * self.widths[1]..(sequence + 1) * self.widths[1]]
    }

    fn is_fresh(&self, row: usize) -> bool {
        self.fresh[row]
    }
}

fn network([inputs, dense, state, outputs]: [usize; 4]) -> Mlp {
    let shape = MlpShape {
        inputs,
        hidden: vec![dense, state],
        outputs,
        activation: Activation::Tanh,
        recurrent: true,
    };
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(5);
    let mut mlp = Mlp::new(shape, rng, 1.0);
    for layer in 0..mlp.layers() {
        let (weights, mut biases) = mlp.layer(layer);
        biases
            .iter_mut()
            .for_each(|b| *b = rng.gen_range(-0.5..0.5));
        mlp.set_layer(layer, &weights, &biases);
    }
    mlp
}

const WIDTHS: [[usize; 4]; 3] = [[5, 16, 16, 3], [19, 33, 20, 17], [3, 7, 5, 2]];

#[test]
fn a_step_is_that_of_a_scalar_network() {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(2);
    for widths in WIDTHS {
        for level in Level::available() {
            let mlp = network(widths).with_level(level);
            let [inputs, _, state, outputs] = widths;
            let rows = 101;
            let mut states = vec![0.0_f32; rows * state];
            let mut plain = vec![0.0; rows * state];
            for step in 0..6 {
                let x: Vec<f32> = (0..rows * inputs)
                    .map(|_| rng.gen_range(-2.0..2.0))
                    .collect();
                let mut out = vec![0.0; rows * outputs];
                mlp.step(&x, rows, &mut states, &mut Scratch::default(), &mut out);
                for row in 0..rows {
                    let x: Vec<f64> = x[row * inputs..(row + 1) * inputs]
                        .iter()
                        .map(|v| f64::from(*v))
                        .collect();
                    let now = &mut plain[row * state..(row + 1) * state];
                    let exact = Plain::of(&mlp).step(&x, now);
                    let pairs = out[row * outputs..(row + 1) * outputs].iter().zip(&exact);
                    let states = states[row * state..(row + 1) * state].iter().zip(&*now);
                    for (found, exact) in pairs.chain(states) {
                        let apart = (f64::from(*found) - exact).abs();
                        assert!(apart < 1e-5, "{widths:?} {step} {row}: {found} {exact}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_gradient_through_time_is_that_of_central_differences() {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(7);
    for widths in WIDTHS {
        let mlp = network(widths);
        // Two whole blocks and a part of one, in groups of three.
        let table = Table::draw(mlp.shape(), Unrolled::new(20, 3, 9), rng);
        assert_eq!((table.batch.block, table.batch.sequences), (24, 60));
        let mut learner = Learner::new(&mlp);
        learner.gradient_through_time(&mlp, table.batch, &table, &mut [(); SLOTS]);
        for layer in 0..mlp.layers() {
            let (weights, biases) = learner.layer_gradient(&mlp, layer);
            for check in 0..20 {
                let at_weights = check < 14;
                let gradient = if at_weights { &weights } else { &biases };
                let at = rng.gen_range(0..gradient.len());
                let shifted = |by: f64| {
                    let mut net = Plain::of(&mlp);
                    let (weights, biases) = &mut net.layers[layer];
                    let array = if at_weights { weights } else { biases };
                    array[at] += by;
                    table.loss_of(&net)
                };
                let numeric = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
                let error = (f64::from(gradient[at]) - numeric).abs() / (1e-2 + numeric.abs());
                assert!(error < 1e-3, "{widths:?} layer {layer}: {error}");
            }
        }
    }
}

/// The gradients of all layers.
fn gradients(mlp: &Mlp, learner: &Learner) -> Vec<(Vec<f32>, Vec<f32>)> {
    let layers = 0..mlp.layers();
    layers.map(|l| learner.layer_gradient(mlp, l)).collect()
}

#[test]
fn the_gradient_has_the_same_bits_at_any_number_of_threads_and_in_used_arenas() {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(9);
    let mlp = network([19, 33, 20, 17]);
    let long = Table::draw(mlp.shape(), Unrolled::new(500, 1, 6), rng);
    let short = Table::draw(mlp.shape(), Unrolled::new(7, 5, 11), rng);
    let run = |threads: usize, first: &Table, second: &Table| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| {
            let mut learner = Learner::new(&mlp);
            for table in [first, second] {
                learner.gradient_through_time(&mlp, table.batch, table, &mut [(); SLOTS]);
            }
            // Of what nobody sees, of lanes that hold no parameter, the norm tells.
            let adam = AdamStep {
                learning_rate: 1e-3,
                clip_norm: 0.5,
            };
            let norm = learner.step(&mut mlp.clone(), adam).unwrap();
            (gradients(&mlp, &learner), norm)
        })
    };
    let one = run(1, &long, &long);
    // Not `assert_eq`, which would print thousands of numbers.
    assert!(one == run(3, &short, &long));
    assert!(run(1, &short, &short) == run(2, &long, &short));
}

#[test]
fn a_fresh_row_knows_nothing_of_those_before() {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(11);
    let mlp = network([5, 16, 16, 3]);
    let mut table = Table::draw(mlp.shape(), Unrolled::new(10, 1, 8), rng);
    table.fresh.fill(false);
    let gradient = |table: &Table| {
        let mut learner = Learner::new(&mlp);
        learner.gradient_through_time(&mlp, table.batch, table, &mut [(); SLOTS]);
        gradients(&mlp, &learner)
    };
    // Where all begins anew in step 5, sequences are two of their own.
    for sequence in table.sequences() {
        table.fresh[sequence[5]] = true;
    }
    let part = |steps: Range<usize>| {
        let (mut inputs, all) = (Vec::new(), table.sequences());
        for step in steps.clone() {
            for rows in &all {
                inputs.extend_from_slice(&table.inputs[rows[step] * 5..(rows[step] + 1) * 5]);
            }
        }
        let begins = steps.start == 0;
        let batch = Unrolled::new(10, 1, steps.len());
        Shifted {
            table: Table {
                states: if begins {
                    table.states.clone()
                } else {
                    vec![0.0; table.states.len()]
                },
                fresh: vec![false; inputs.len() / 5],
                inputs,
                batch,
                widths: table.widths,
            },
            by: 10 * steps.start,
        }
    };
    let halves = [part(0..5), part(5..8)].map(|half| {
        let mut learner = Learner::new(&mlp);
        learner.gradient_through_time(&mlp, half.table.batch, &half, &mut [(); SLOTS]);
        gradients(&mlp, &learner)
    });
    for (layer, (weights, biases)) in gradient(&table).into_iter().enumerate() {
        let [(w0, b0), (w1, b1)] = halves.each_ref().map(|half| &half[layer]);
        let sums = w0.iter().zip(w1).chain(b0.iter().zip(b1));
        for (whole, (first, second)) in weights.iter().chain(&biases).zip(sums) {
            assert!((whole - (first + second)).abs() < 1e-4, "layer {layer}");
        }
    }
}

/// A part of a table whose rows weigh as they do in the whole.
struct Shifted {
    table: Table,
    by: usize,
}

impl Objective for Shifted {
    type Work = ();

    fn input<'a>(&'a self, row: usize, buffer: &'a mut [f32]) -> &'a [f32] {
        self.table.input(row, buffer)
    }

    fn loss(&self, rows: Range<usize>, out: &[f32], d_out: &mut [f32], work: &mut ()) {
        let rows = rows.start + self.by..rows.end + self.by;
        self.table.loss(rows, out, d_out, work);
    }
}

impl Sequences for Shifted {
    fn state(&self, row: usize) -> &[f32] {
        self.table.state(row)
    }

    fn is_fresh(&self, row: usize) -> bool {
        self.table.is_fresh(row)
    }
}

#[test]
fn a_network_that_remembers_survives_the_round_trip() {
    let mlp = network([19, 33, 20, 17]);
    let mut archive = Archive::default();
    mlp.export("net", &mut archive);
    let shape = |name: &str| archive.tensors[name].shape.clone();
    assert_eq!(shape("net.1.weight"), [33, 60]);
    assert_eq!(shape("net.2.weight"), [20, 60]);
    assert_eq!(shape("net.2.bias"), [60]);
    let read = Mlp::import(mlp.shape().clone(), "net", &archive).unwrap();
    assert_eq!(read, mlp);
    assert_eq!(
        mlp.shape().multiply_adds(),
        19 * 33 + 33 * 60 + 20 * 60 + 20 * 17
    );
}
