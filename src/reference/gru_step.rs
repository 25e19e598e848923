//! Twin of `shaders/gru_step.wgsl`.

use super::Real;
use super::activation::{sigmoid, tanh_guarded};

/// Which step of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GruStepParams {
    /// The step.
    pub t: usize,
    /// B.
    pub batch: usize,
    /// H.
    pub hidden: usize,
    /// Keep r, z, n and hn in `gates`, which then is `[T, B, 4, H]`, otherwise `[T, B, 3, H]`.
    pub save: bool,
}

/// One step: equations (1), (2), (3), (4). `weight_hh` `[3H, H]`, `bias_hh` `[3H]`, `h` `[T+1, B, H]`; `gates` holds
/// `x_proj` before.
///
/// # Panics
/// If a slice is too short for the sizes.
pub fn gru_step<R: Real>(params: &GruStepParams, weight_hh: &[R], bias_hh: &[R], h: &mut [R], gates: &mut [R]) {
    let &GruStepParams { t, batch, hidden, save } = params;
    let width = if save { 4 } else { 3 } * hidden;
    let one = R::from_f64(1.0);
    for row in 0..batch {
        for unit in 0..hidden {
            let at = t * batch + row;
            let product = |gate: usize, h: &[R]| {
                let mut sum = bias_hh[gate * hidden + unit];
                for k in 0..hidden {
                    sum += weight_hh[(gate * hidden + unit) * hidden + k] * h[at * hidden + k];
                }
                sum
            };
            let hn = product(2, h);
            let gate = at * width + unit;
            let r = sigmoid(gates[gate] + product(0, h)); // (1)
            let z = sigmoid(gates[gate + hidden] + product(1, h)); // (2)
            let n = tanh_guarded(gates[gate + 2 * hidden] + r * hn); // (3)
            h[(at + batch) * hidden + unit] = (one - z) * n + z * h[at * hidden + unit]; // (4)
            if save {
                gates[gate] = r;
                gates[gate + hidden] = z;
                gates[gate + 2 * hidden] = n;
                gates[gate + 3 * hidden] = hn;
            }
        }
    }
}
