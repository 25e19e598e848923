//! What a forecast has to beat: the last value, the last cycle, and a linear autoregression.

use crate::features::Scale;

/// One solar cycle: about 11 years.
pub const CYCLE: usize = 131;

/// What was `months` ago.
pub fn lagged(values: &[f32], origin: usize, horizon: usize, months: usize) -> f32 {
    values[(origin + horizon).saturating_sub(months.max(horizon))]
}

/// A linear autoregression on the standardised square roots: `x[t+1] = c + sum of w[k] x[t-k]`.
#[derive(Debug, Clone)]
pub struct Autoregression {
    constant: f64,
    /// The latest month first.
    weights: Vec<f64>,
}

impl Autoregression {
    /// The least-squares fit of an order to a series.
    pub fn fit(x: &[f32], order: usize) -> Option<(Self, f64)> {
        let size = order + 1;
        let mut normal = vec![0.0; size * size];
        let mut right = vec![0.0; size];
        let mut squares = 0.0;
        let row = |t: usize| -> Vec<f64> {
            std::iter::once(1.0).chain((1..=order).map(|lag| f64::from(x[t - lag]))).collect()
        };
        for t in order..x.len() {
            let (row, y) = (row(t), f64::from(x[t]));
            for (i, a) in row.iter().enumerate() {
                right[i] += a * y;
                for (j, b) in row.iter().enumerate().take(i + 1) {
                    normal[i * size + j] += a * b;
                }
            }
            squares += y * y;
        }
        let solution = solve(normal, right.clone())?;
        let explained: f64 = solution.iter().zip(&right).map(|(a, b)| a * b).sum();
        let rows = (x.len() - order) as f64;
        let aic = rows * ((squares - explained) / rows).ln() + 2.0 * size as f64;
        Some((Self { constant: solution[0], weights: solution[1..].to_vec() }, aic))
    }

    /// The months after `past`, each forecast fed back as if it had been seen.
    pub fn forecast(&self, past: &[f32], horizons: usize) -> Vec<f64> {
        let order = self.weights.len();
        let mut x: Vec<f64> = past[past.len() - order..].iter().map(|&value| f64::from(value)).collect();
        for _ in 0..horizons {
            let products = self.weights.iter().zip(x.iter().rev()).map(|(weight, value)| weight * value);
            x.push(self.constant + products.sum::<f64>());
        }
        x.split_off(order)
    }
}

/// The solution of a positive definite system, of which the lower half is given, by Cholesky's method.
fn solve(mut a: Vec<f64>, mut b: Vec<f64>) -> Option<Vec<f64>> {
    let n = b.len();
    for j in 0..n {
        for i in j..n {
            let sum: f64 = (0..j).map(|k| a[i * n + k] * a[j * n + k]).sum();
            let rest = a[i * n + j] - sum;
            a[i * n + j] = if i > j {
                rest / a[j * n + j]
            } else if rest > 0.0 {
                rest.sqrt()
            } else {
                return None;
            };
        }
    }
    for i in 0..n {
        let sum: f64 = (0..i).map(|k| a[i * n + k] * b[k]).sum();
        b[i] = (b[i] - sum) / a[i * n + i];
    }
    for i in (0..n).rev() {
        let sum: f64 = (i + 1..n).map(|k| a[k * n + i] * b[k]).sum();
        b[i] = (b[i] - sum) / a[i * n + i];
    }
    Some(b)
}
