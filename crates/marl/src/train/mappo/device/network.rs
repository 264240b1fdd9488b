//! A network and its optimiser on a device of candle's.

use candle_core::{DType, Device, Result, Tensor, Var};
use karma_nn::{Activation, AdamStep};

use crate::train::Net;

/// An array of parameters with its moments.
#[derive(Debug)]
struct Parameter {
    values: Var,
    first: Tensor,
    second: Tensor,
}

/// A network with its optimiser.
#[derive(Debug)]
pub(super) struct Network {
    /// Weights `[inputs × outputs]` and biases, layer by layer.
    layers: Vec<[Parameter; 2]>,
    activation: Activation,
    steps: u64,
}

/// What a step of a network's optimiser met.
#[derive(Debug)]
pub(super) enum Stepped {
    /// It was taken; what was to be told of the loss.
    Told(Vec<f64>),
    /// The gradient is not finite; nothing was changed.
    NonFinite,
}

impl Network {
    /// Brings `net`, which remembers nothing, to `device`.
    pub(super) fn upload(net: &Net, device: &Device) -> Result<Self> {
        let layers = (0..net.mlp.layers()).map(|layer| {
            let [first, second] = net.learner.moments(&net.mlp, layer);
            let values = net.mlp.layer(layer);
            let biases = values.1.len();
            let weights = [values.0.len() / biases, biases];
            Ok([
                parameter([values.0, first.0, second.0], &weights, device)?,
                parameter([values.1, first.1, second.1], &weights[1..], device)?,
            ])
        });
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
            activation: net.mlp.shape().activation,
            steps: net.learner.steps(),
        })
    }

    /// Brings parameters and moments back to `net`.
    pub(super) fn download(&self, net: &mut Net) -> Result<()> {
        let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        for (layer, [weights, biases]) in self.layers.iter().enumerate() {
            let (of_weights, of_biases) = (values(&weights.values)?, values(&biases.values)?);
            net.mlp.set_layer(layer, &of_weights, &of_biases);
            let first = [values(&weights.first)?, values(&biases.first)?];
            let second = [values(&weights.second)?, values(&biases.second)?];
            let moments = [&first, &second].map(|of| (&of[0][..], &of[1][..]));
            net.learner.set_moments(&net.mlp, layer, moments);
        }
        net.learner.set_steps(self.steps);
        Ok(())
    }

    /// Rows × outputs, of `x: rows × inputs`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut values = x.clone();
        for (layer, [weights, biases]) in self.layers.iter().enumerate() {
            values = values
                .matmul(&weights.values)?
                .broadcast_add(&biases.values)?;
            if layer + 1 < self.layers.len() {
                values = match self.activation {
                    Activation::Tanh => values.tanh()?,
                    Activation::Relu => values.relu()?,
                };
            }
        }
        Ok(values)
    }

    /// One step of Adam down the gradient of `loss`, as [`karma_nn::Learner::step`] takes it; `told`
    /// is a vector that is read with the norm, so that the device is waited for once.
    pub(super) fn step(&mut self, loss: &Tensor, told: &Tensor, adam: AdamStep) -> Result<Stepped> {
        let gradients = loss.backward()?;
        let of = |parameter: &Parameter| match gradients.get(&parameter.values) {
            Some(gradient) => Ok(gradient.clone()),
            None => parameter.values.zeros_like(),
        };
        let parameters = || self.layers.iter().flatten();
        let gradients = parameters().map(of).collect::<Result<Vec<Tensor>>>()?;
        let squares = gradients.iter().map(|g| g.sqr()?.sum_all());
        let squares = Tensor::stack(&squares.collect::<Result<Vec<Tensor>>>()?, 0)?;
        let read = Tensor::cat(&[&squares, told], 0)?.to_dtype(DType::F64)?;
        let mut read: Vec<f64> = read.to_vec1()?;
        let told = read.split_off(gradients.len());
        let norm = read.iter().sum::<f64>().sqrt();
        if !norm.is_finite() {
            return Ok(Stepped::NonFinite);
        }
        self.steps += 1;
        let [scale, rate, unbias] = adam.factors(norm, self.steps);
        for (parameter, gradient) in self.layers.iter_mut().flatten().zip(gradients) {
            let gradient = (gradient * scale)?;
            parameter.first = ((&parameter.first * 0.9)? + (&gradient * 0.1)?)?;
            parameter.second = ((&parameter.second * 0.999)? + (gradient.sqr()? * 0.001)?)?;
            let root = ((&parameter.second * unbias)?.sqrt()? + 1e-5)?;
            let change = ((&parameter.first * rate)? / root)?;
            parameter
                .values
                .set(&(parameter.values.as_tensor() - change)?)?;
        }
        Ok(Stepped::Told(told))
    }
}

fn parameter(arrays: [Vec<f32>; 3], shape: &[usize], device: &Device) -> Result<Parameter> {
    let [values, first, second] = arrays.map(|of| Tensor::from_vec(of, shape, device));
    Ok(Parameter {
        values: Var::from_tensor(&values?)?,
        first: first?,
        second: second?,
    })
}
