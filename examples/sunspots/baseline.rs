//! A linear autoregression, the baseline that is hard to beat.

/// A linear autoregression on the standardised square roots: `x[t+1] = c + sum of w[k] x[t-k]`.
#[derive(Debug, Clone)]
pub(crate) struct Autoregression {
    constant: f64,
    /// The latest month first.
    weights: Vec<f64>,
}

impl Autoregression {
    /// The least-squares fit of an order to a series; `None` where that has no unique solution.
    pub(crate) fn fit(x: &[f32], order: usize) -> Option<Self> {
        let size = order + 1;
        let mut normal = vec![0.0; size * size];
        let mut right = vec![0.0; size];
        for window in x.windows(size) {
            let y = f64::from(window[order]);
            let past = window[..order].iter().rev().map(|&value| f64::from(value));
            let row: Vec<f64> = std::iter::once(1.0).chain(past).collect();
            for (i, a) in row.iter().enumerate() {
                right[i] += a * y;
                for (j, b) in row.iter().enumerate().take(i + 1) {
                    normal[i * size + j] += a * b;
                }
            }
        }
        let solution = solve(normal, right)?;
        Some(Self { constant: solution[0], weights: solution[1..].to_vec() })
    }

    /// The months after `past`, each forecast fed back as if it had been seen.
    pub(crate) fn forecast(&self, past: &[f32], horizons: usize) -> Vec<f64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// x[t+1] = 1 + 1.5 x[t] - 0.7 x[t-1].
    #[test]
    fn a_fit_finds_the_recurrence_that_made_the_series() {
        let mut x = vec![0.0_f32, 1.0];
        for t in 2..200 {
            x.push(1.0 + 1.5 * x[t - 1] - 0.7 * x[t - 2]);
        }
        let fit = Autoregression::fit(&x[..60], 2).expect("a positive definite system");
        for (ahead, forecast) in fit.forecast(&x[..60], 24).into_iter().enumerate() {
            let expected = f64::from(x[60 + ahead]);
            assert!((forecast - expected).abs() < 1e-3, "{forecast} against {expected}, {ahead} months on");
        }
    }
}
