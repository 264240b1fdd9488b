//! Least squares of small systems.

/// Normal equations of one design with several targets, gathered row by row.
#[derive(Clone, Debug)]
pub(crate) struct LeastSquares {
    inputs: usize,
    outputs: usize,
    /// `[inputs × inputs]` sums of products.
    gram: Vec<f64>,
    /// `[outputs × inputs]`.
    moments: Vec<f64>,
}

/// Weights of a fit, `[outputs × inputs]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Weights {
    inputs: usize,
    values: Vec<f64>,
}

impl LeastSquares {
    pub(crate) fn new(inputs: usize, outputs: usize) -> Self {
        Self {
            inputs,
            outputs,
            gram: vec![0.0; inputs * inputs],
            moments: vec![0.0; inputs * outputs],
        }
    }

    /// Adds one row.
    pub(crate) fn add(&mut self, x: &[f64], y: &[f64]) {
        assert!(x.len() == self.inputs && y.len() == self.outputs);
        for (i, xi) in x.iter().enumerate() {
            for (gram, xj) in self.gram[i * self.inputs..].iter_mut().zip(x) {
                *gram += xi * xj;
            }
        }
        for (row, y) in self.moments.chunks_exact_mut(self.inputs).zip(y) {
            for (moment, x) in row.iter_mut().zip(x) {
                *moment += x * y;
            }
        }
    }

    /// Solves for the weights. Inputs that are linear combinations of those before them get weight
    /// 0, so that a constant column (replicas that never change) does no harm.
    pub(crate) fn solve(&self, ridge: f64) -> Weights {
        let n = self.inputs;
        let scale: Vec<f64> = (0..n)
            .map(|i| 1.0 / self.gram[i * n + i].sqrt().max(f64::MIN_POSITIVE))
            .collect();
        let scale: Vec<f64> = scale
            .iter()
            .map(|s| if s.is_finite() && *s < 1e100 { *s } else { 0.0 })
            .collect();
        let entry = |i: usize, j: usize| {
            let ridge = if i == j { ridge } else { 0.0 };
            self.gram[i * n + j] * scale[i] * scale[j] + ridge
        };
        // Cholesky in order, leaving out what the inputs before explain.
        let mut lower = vec![0.0; n * n];
        let mut kept = vec![false; n];
        for i in 0..n {
            for j in 0..=i {
                if j < i && !kept[j] {
                    continue;
                }
                let dot: f64 = (0..j).map(|k| lower[i * n + k] * lower[j * n + k]).sum();
                let rest = entry(i, j) - dot;
                if j < i {
                    lower[i * n + j] = rest / lower[j * n + j];
                } else if rest > 1e-10 {
                    lower[i * n + i] = rest.sqrt();
                    kept[i] = true;
                } else {
                    lower[i * n..(i + 1) * n].fill(0.0);
                }
            }
        }
        let mut values = Vec::with_capacity(n * self.outputs);
        for moments in self.moments.chunks_exact(n) {
            let mut w: Vec<f64> = moments.iter().zip(&scale).map(|(m, s)| m * s).collect();
            for i in 0..n {
                let dot: f64 = (0..i).map(|k| lower[i * n + k] * w[k]).sum();
                w[i] = if kept[i] {
                    (w[i] - dot) / lower[i * n + i]
                } else {
                    0.0
                };
            }
            for i in (0..n).rev() {
                let dot: f64 = (i + 1..n).map(|k| lower[k * n + i] * w[k]).sum();
                w[i] = if kept[i] {
                    (w[i] - dot) / lower[i * n + i]
                } else {
                    0.0
                };
            }
            values.extend(w.iter().zip(&scale).map(|(w, s)| w * s));
        }
        Weights { inputs: n, values }
    }
}

impl Weights {
    /// Weights of `output`.
    pub(crate) fn of(&self, output: usize) -> &[f64] {
        &self.values[output * self.inputs..(output + 1) * self.inputs]
    }

    /// The fit of `output` at `x`.
    pub(crate) fn at(&self, output: usize, x: &[f64]) -> f64 {
        self.of(output).iter().zip(x).map(|(w, x)| w * x).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_is_found_whatever_the_scales() {
        let mut fit = LeastSquares::new(3, 2);
        for i in 0..50 {
            let (a, b) = (f64::from(i % 7) * 1e6, f64::from(i % 5) * 1e-3);
            fit.add(&[1.0, a, b], &[2.0 + 3e-6 * a - 40.0 * b, b]);
        }
        let w = fit.solve(0.0);
        assert!((w.at(0, &[1.0, 5e5, 2e-3]) - (2.0 + 1.5 - 0.08)).abs() < 1e-6);
        assert!((w.at(1, &[1.0, 5e5, 2e-3]) - 2e-3).abs() < 1e-9);
    }

    #[test]
    fn columns_that_others_explain_do_no_harm() {
        let mut fit = LeastSquares::new(4, 1);
        for i in 0..50 {
            let a = f64::from(i);
            fit.add(&[1.0, a, 1.0, 2.0 * a], &[5.0 + a]);
        }
        let w = fit.solve(0.0);
        assert!((w.at(0, &[1.0, 10.0, 1.0, 20.0]) - 15.0).abs() < 1e-6);
    }
}
