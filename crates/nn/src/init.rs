//! Orthogonal initialisation (Saxe et al., 2014).

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

/// A matrix `[inputs × outputs]` whose shorter side is orthonormal, times `gain`.
pub(crate) fn orthogonal(inputs: usize, outputs: usize, gain: f64, rng: &mut impl Rng) -> Vec<f32> {
    let (count, length) = (inputs.min(outputs), inputs.max(outputs));
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(count);
    while vectors.len() < count {
        let mut vector: Vec<f64> = (0..length).map(|_| StandardNormal.sample(rng)).collect();
        // Gram-Schmidt, twice: once leaves errors that a second pass takes away.
        for _ in 0..2 {
            for other in &vectors {
                let shadow: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
                for (value, other) in vector.iter_mut().zip(other) {
                    *value -= shadow * other;
                }
            }
        }
        let norm = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
        // A draw that lies in the span of the others has probability zero; draw again.
        if norm > 1e-6 {
            vector.iter_mut().for_each(|v| *v /= norm);
            vectors.push(vector);
        }
    }
    let mut matrix = vec![0.0; inputs * outputs];
    for (i, vector) in vectors.iter().enumerate() {
        for (j, value) in vector.iter().enumerate() {
            let (row, column) = if inputs < outputs { (i, j) } else { (j, i) };
            matrix[row * outputs + column] = (gain * value) as f32;
        }
    }
    matrix
}
