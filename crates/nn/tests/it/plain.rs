//! A multi-layer perceptron in double precision, as plain as it gets.

use karma_nn::{Activation, Mlp};

/// Parameters as `[inputs × outputs]` matrices and biases, layer by layer.
#[derive(Clone)]
pub(crate) struct Plain {
    pub(crate) layers: Vec<(Vec<f64>, Vec<f64>)>,
    activation: Activation,
}

impl Plain {
    pub(crate) fn of(mlp: &Mlp) -> Self {
        let double = |v: Vec<f32>| v.into_iter().map(f64::from).collect();
        Self {
            layers: (0..mlp.layers())
                .map(|layer| {
                    let (weights, biases) = mlp.layer(layer);
                    (double(weights), double(biases))
                })
                .collect(),
            activation: mlp.shape().activation,
        }
    }

    pub(crate) fn forward(&self, x: &[f32]) -> Vec<f64> {
        let mut values: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
        for (layer, (weights, biases)) in self.layers.iter().enumerate() {
            let mut next = biases.clone();
            for (value, row) in values.iter().zip(weights.chunks_exact(biases.len())) {
                for (sum, weight) in next.iter_mut().zip(row) {
                    *sum += value * weight;
                }
            }
            if layer + 1 < self.layers.len() {
                for value in &mut next {
                    *value = match self.activation {
                        Activation::Tanh => value.tanh(),
                        Activation::Relu => value.max(0.0),
                    };
                }
            }
            values = next;
        }
        values
    }
}
