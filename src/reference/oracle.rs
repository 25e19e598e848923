//! The oracle: the GRU in f64, straight from the equations (1) to (10), in plain loops.
//!
//! Everything else is held against this file, so it shares no code with anything else and has no options but the
//! sizes. It is itself held by finite differences (`tests/oracle.rs`). Slow on purpose; lengths are asserted, since a
//! wrong one is a bug of the comparison.

#![expect(clippy::needless_range_loop, reason = "the loops run over the indices that the equations have")]

use crate::config::GruConfig;
use crate::weights::GruWeights;

/// The weights of a layer in f64, of the same shapes as [`GruWeights`].
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// From the input to the gates, `[3H, I]`.
    pub weight_ih: Vec<f64>,
    /// From the hidden state to the gates, `[3H, H]`.
    pub weight_hh: Vec<f64>,
    /// Added to the product with the input, `[3H]`.
    pub bias_ih: Vec<f64>,
    /// Added to the product with the hidden state, `[3H]`.
    pub bias_hh: Vec<f64>,
}

impl From<&GruWeights> for Weights {
    fn from(weights: &GruWeights) -> Self {
        let widen = |array: &[f32]| array.iter().map(|&v| f64::from(v)).collect();
        Self {
            weight_ih: widen(&weights.weight_ih),
            weight_hh: widen(&weights.weight_hh),
            bias_ih: widen(&weights.bias_ih),
            bias_hh: widen(&weights.bias_hh),
        }
    }
}

/// What a forward pass gives and what a backward pass needs of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Forward {
    /// T, the number of time steps.
    pub seq_len: usize,
    /// B, the number of rows.
    pub batch: usize,
    /// H, the number of units.
    pub hidden_size: usize,
    /// The hidden state before each step and after the last, `[T+1, B, H]`; `h[0]` is `h0`.
    pub h: Vec<f64>,
    /// The reset gate, `[T, B, H]`.
    pub r: Vec<f64>,
    /// The update gate, `[T, B, H]`.
    pub z: Vec<f64>,
    /// The candidate, `[T, B, H]`.
    pub n: Vec<f64>,
    /// `W_hn h + b_hn`, what the reset gate acts on, `[T, B, H]`.
    pub hn: Vec<f64>,
}

impl Forward {
    /// The hidden state after each step, `[T, B, H]`.
    #[must_use]
    pub fn output(&self) -> &[f64] {
        &self.h[self.batch * self.hidden_size..]
    }

    /// The hidden state after the last step, `[B, H]`.
    #[must_use]
    pub fn h_n(&self) -> &[f64] {
        &self.h[self.seq_len * self.batch * self.hidden_size..]
    }
}

/// The gradients of a loss with respect to everything that went into a forward pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients {
    /// Of the input, `[T, B, I]`.
    pub d_x: Vec<f64>,
    /// Of the initial state, `[B, H]`.
    pub d_h0: Vec<f64>,
    /// Of `weight_ih`, `[3H, I]`.
    pub d_weight_ih: Vec<f64>,
    /// Of `weight_hh`, `[3H, H]`.
    pub d_weight_hh: Vec<f64>,
    /// Of `bias_ih`, `[3H]`.
    pub d_bias_ih: Vec<f64>,
    /// Of `bias_hh`, `[3H]`.
    pub d_bias_hh: Vec<f64>,
}

/// Runs the layer over `seq_len` T steps of `batch` B rows: `x` is `[T, B, I]`, `h0` is `[B, H]`.
///
/// # Panics
/// If a length is wrong.
#[must_use]
pub fn forward(config: &GruConfig, weights: &Weights, seq_len: usize, batch: usize, x: &[f64], h0: &[f64]) -> Forward {
    let (inputs, units) = (config.input_size(), config.hidden_size());
    check_weights(config, weights);
    assert_eq!(x.len(), seq_len * batch * inputs, "x is [T, B, I]");
    assert_eq!(h0.len(), batch * units, "h0 is [B, H]");

    let saved = || vec![0.0; seq_len * batch * units];
    let (mut r, mut z, mut n, mut hn) = (saved(), saved(), saved(), saved());
    let mut h = vec![0.0; (seq_len + 1) * batch * units];
    h[..batch * units].copy_from_slice(h0);

    for t in 0..seq_len {
        for b in 0..batch {
            let row = t * batch + b; // the row of x, r, z, n, hn, and of the state before the step
            let x_row = &x[row * inputs..(row + 1) * inputs];
            let h_row = h[row * units..(row + 1) * units].to_vec();
            for j in 0..units {
                let at = row * units + j;
                r[at] = reset_gate(config, weights, x_row, &h_row, j);
                z[at] = update_gate(config, weights, x_row, &h_row, j);
                (n[at], hn[at]) = candidate(config, weights, x_row, &h_row, r[at], j);
                h[(row + batch) * units + j] = new_state(z[at], n[at], h_row[j]);
            }
        }
    }
    Forward { seq_len, batch, hidden_size: units, h, r, z, n, hn }
}

/// (1) `r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)`, unit `j` of one row.
fn reset_gate(config: &GruConfig, weights: &Weights, x: &[f64], h: &[f64], j: usize) -> f64 {
    sigmoid(input_product(config, weights, x, j) + hidden_product(config, weights, h, j))
}

/// (2) `z = sigmoid(W_iz x + b_iz + W_hz h + b_hz)`, unit `j` of one row.
fn update_gate(config: &GruConfig, weights: &Weights, x: &[f64], h: &[f64], j: usize) -> f64 {
    let units = config.hidden_size();
    sigmoid(input_product(config, weights, x, units + j) + hidden_product(config, weights, h, units + j))
}

/// (3) `n = tanh(W_in x + b_in + r * (W_hn h + b_hn))`, unit `j` of one row. Gives n and `hn = W_hn h + b_hn`.
fn candidate(config: &GruConfig, weights: &Weights, x: &[f64], h: &[f64], r: f64, j: usize) -> (f64, f64) {
    let units = config.hidden_size();
    let hn = hidden_product(config, weights, h, 2 * units + j);
    ((input_product(config, weights, x, 2 * units + j) + r * hn).tanh(), hn)
}

/// (4) `h' = (1 - z) * n + z * h`.
fn new_state(z: f64, n: f64, h: f64) -> f64 {
    (1.0 - z) * n + z * h
}

/// Row `row` of `W_i x + b_i`.
fn input_product(config: &GruConfig, weights: &Weights, x: &[f64], row: usize) -> f64 {
    let mut sum = weights.bias_ih[row];
    for i in 0..config.input_size() {
        sum += weights.weight_ih[row * config.input_size() + i] * x[i];
    }
    sum
}

/// Row `row` of `W_h h + b_h`.
fn hidden_product(config: &GruConfig, weights: &Weights, h: &[f64], row: usize) -> f64 {
    let mut sum = weights.bias_hh[row];
    for k in 0..config.hidden_size() {
        sum += weights.weight_hh[row * config.hidden_size() + k] * h[k];
    }
    sum
}

/// 1 / (1 + exp(-x)) without overflow: the exponential is only taken of numbers that are not positive.
fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// Goes back through time: `d_output` is `[T, B, H]`, `d_h_n` is `[B, H]`, both are added at the last step. `x` is what
/// `forward` was made of.
///
/// # Panics
/// If a length is wrong.
#[must_use]
pub fn backward(
    config: &GruConfig,
    weights: &Weights,
    x: &[f64],
    forward: &Forward,
    d_output: &[f64],
    d_h_n: &[f64],
) -> Gradients {
    let (inputs, units) = (config.input_size(), config.hidden_size());
    let (seq_len, batch) = (forward.seq_len, forward.batch);
    check_weights(config, weights);
    assert_eq!(units, forward.hidden_size, "the forward pass of another layer");
    assert_eq!(x.len(), seq_len * batch * inputs, "x is [T, B, I]");
    assert_eq!(d_output.len(), seq_len * batch * units, "d_output is [T, B, H]");
    assert_eq!(d_h_n.len(), batch * units, "d_h_n is [B, H]");

    let mut gradients = Gradients {
        d_x: vec![0.0; x.len()],
        d_h0: vec![0.0; batch * units],
        d_weight_ih: vec![0.0; weights.weight_ih.len()],
        d_weight_hh: vec![0.0; weights.weight_hh.len()],
        d_bias_ih: vec![0.0; 3 * units],
        d_bias_hh: vec![0.0; 3 * units],
    };
    for b in 0..batch {
        let mut d_h = d_h_n[b * units..(b + 1) * units].to_vec();
        for t in (0..seq_len).rev() {
            let row = t * batch + b;
            for j in 0..units {
                d_h[j] += d_output[row * units + j];
            }
            let step = step_gradients(forward, row, &d_h);
            d_h = state_gradient(config, weights, forward, row, &d_h, &step.d_h_proj);
            add_input_and_weight_gradients(config, weights, x, forward, row, &step, &mut gradients);
        }
        gradients.d_h0[b * units..(b + 1) * units].copy_from_slice(&d_h);
    }
    gradients
}

/// The gradients of the two products that go into one step of one row.
struct StepGradients {
    /// Of `W_i x + b_i`, `[3H]`.
    d_x_proj: Vec<f64>,
    /// Of `W_h h + b_h`, `[3H]`.
    d_h_proj: Vec<f64>,
}

/// (5) to (8), one row: `d_h_new` is the gradient of the new state, `[H]`.
fn step_gradients(forward: &Forward, row: usize, d_h_new: &[f64]) -> StepGradients {
    let units = forward.hidden_size;
    let mut step = StepGradients { d_x_proj: vec![0.0; 3 * units], d_h_proj: vec![0.0; 3 * units] };
    for j in 0..units {
        let at = row * units + j;
        let (r, z, n, hn, h) = (forward.r[at], forward.z[at], forward.n[at], forward.hn[at], forward.h[at]);
        let d_n = d_h_new[j] * (1.0 - z); // (5)
        let d_an = d_n * (1.0 - n * n);
        let d_z = d_h_new[j] * (h - n); // (6)
        let d_az = d_z * z * (1.0 - z);
        let d_r = d_an * hn; // (7)
        let d_ar = d_r * r * (1.0 - r);
        step.d_x_proj[j] = d_ar; // (8)
        step.d_x_proj[units + j] = d_az;
        step.d_x_proj[2 * units + j] = d_an;
        step.d_h_proj[j] = d_ar;
        step.d_h_proj[units + j] = d_az;
        step.d_h_proj[2 * units + j] = d_an * r;
    }
    step
}

/// (9) `d_h = d_h' * z + d_h_proj . W_hh`, one row.
fn state_gradient(
    config: &GruConfig,
    weights: &Weights,
    forward: &Forward,
    row: usize,
    d_h_new: &[f64],
    d_h_proj: &[f64],
) -> Vec<f64> {
    let units = config.hidden_size();
    let mut d_h = vec![0.0; units];
    for k in 0..units {
        d_h[k] = d_h_new[k] * forward.z[row * units + k];
        for g in 0..3 * units {
            d_h[k] += d_h_proj[g] * weights.weight_hh[g * units + k];
        }
    }
    d_h
}

/// (10) `d_x = d_x_proj . W_ih; dW_ih += d_x_proj^T x; dW_hh += d_h_proj^T h; db_* += d_*_proj`, one row.
fn add_input_and_weight_gradients(
    config: &GruConfig,
    weights: &Weights,
    x: &[f64],
    forward: &Forward,
    row: usize,
    step: &StepGradients,
    gradients: &mut Gradients,
) {
    let (inputs, units) = (config.input_size(), config.hidden_size());
    for g in 0..3 * units {
        for i in 0..inputs {
            gradients.d_x[row * inputs + i] += step.d_x_proj[g] * weights.weight_ih[g * inputs + i];
            gradients.d_weight_ih[g * inputs + i] += step.d_x_proj[g] * x[row * inputs + i];
        }
        for k in 0..units {
            gradients.d_weight_hh[g * units + k] += step.d_h_proj[g] * forward.h[row * units + k];
        }
        gradients.d_bias_ih[g] += step.d_x_proj[g];
        gradients.d_bias_hh[g] += step.d_h_proj[g];
    }
}

fn check_weights(config: &GruConfig, weights: &Weights) {
    let (inputs, units) = (config.input_size(), config.hidden_size());
    assert_eq!(weights.weight_ih.len(), 3 * units * inputs, "weight_ih is [3H, I]");
    assert_eq!(weights.weight_hh.len(), 3 * units * units, "weight_hh is [3H, H]");
    assert_eq!(weights.bias_ih.len(), 3 * units, "bias_ih is [3H]");
    assert_eq!(weights.bias_hh.len(), 3 * units, "bias_hh is [3H]");
}

#[cfg(test)]
mod tests {
    use super::sigmoid;

    #[test]
    fn sigmoid_is_stable_far_out() {
        for x in [0.0, 1e-300, 1.0, 36.0, 700.0, 1e3, 1e308, f64::INFINITY] {
            let (up, down) = (sigmoid(x), sigmoid(-x));
            assert!((0.5..=1.0).contains(&up) && (0.0..=0.5).contains(&down), "sigmoid at {x}: {up} and {down}");
            approx::assert_abs_diff_eq!(up + down, 1.0, epsilon = 1e-15);
        }
        approx::assert_relative_eq!(sigmoid(-700.0), (-700.0_f64).exp(), max_relative = 1e-14);
        assert!(sigmoid(f64::NAN).is_nan(), "NaN stays NaN");
    }
}
