//! Twin of the kernel `gru_step_backward`, and of steps by rows and by exchange.

use super::Real;
use super::activation::{slope_of_kept, value_of_kept};
use super::gru_step::GruOptions;
use crate::config::Reset;

/// Which step of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GruStepBackwardParams {
    /// T.
    pub seq_len: usize,
    /// B.
    pub batch: usize,
    /// H.
    pub hidden: usize,
    /// The step; `None` is the final dispatch, which makes `d_h0` from the gates of step 0.
    pub t: Option<usize>,
}

/// One step of back-propagation: the recurrent part (9) of the step after, then (5), (6), (7), (8); with the reset
/// before the product (7) is left to [`gru_reset_backward`](super::gru_reset_backward::gru_reset_backward). `weight_hh`
/// `[3H, H]`, `h` `[T+1, B, H]`, `d_output` `[T, B, H]`, `d_h_n` `[B, H]`, `gates` `[T, B, 4, H]` with the gradients of
/// the step after and the r, z, n, hn of this one, as [`kept`](super::activation::kept) has them, `d_h0` `[B, H]` with
/// d_h' z of the step after.
///
/// # Panics
/// If a slice is too short for the sizes.
#[expect(clippy::too_many_arguments, reason = "the bindings of the kernel")]
pub fn gru_step_backward_with<R: Real>(
    params: &GruStepBackwardParams,
    options: &GruOptions<'_>,
    weight_hh: &[R],
    h: &[R],
    d_output: &[R],
    d_h_n: &[R],
    gates: &mut [R],
    d_h0: &mut [R],
) {
    let &GruStepBackwardParams { seq_len, batch, hidden, t } = params;
    let &GruOptions { reset, gate: gate_activation, candidate, clip, .. } = options;
    let one = R::from_f64(1.0);
    let next = t.map_or(0, |t| t + 1);
    // Which block of weight_hh meets which column of the gates.
    let blocks: &[(usize, usize)] = match reset {
        Reset::After => &[(0, 0), (1, 1), (2, 3)],
        Reset::Before => &[(0, 0), (1, 1)],
    };
    for row in 0..batch {
        for unit in 0..hidden {
            let own = row * hidden + unit;
            let mut d_h = d_h_n[own];
            if next < seq_len {
                d_h = d_h0[own];
            }
            // Of a step that is over there is no product, whatever the weights are.
            if next < seq_len && !options.is_over_after(row, next) {
                let mut recurrent = R::default();
                for &(gate, column) in blocks {
                    for k in 0..hidden {
                        let d_proj = gates[((next * batch + row) * 4 + column) * hidden + k];
                        recurrent += weight_hh[(gate * hidden + k) * hidden + unit] * d_proj;
                    }
                }
                d_h += recurrent; // (9)
            }
            let Some(t) = t else {
                d_h0[own] = d_h;
                continue;
            };
            let at = t * batch + row;
            let gate = at * 4 * hidden + unit;
            if options.is_over(row, t) {
                // With reset before the product the others are the second kernel's.
                let columns: &[usize] = if reset == Reset::After { &[0, 1, 2, 3] } else { &[1, 2] };
                for column in columns {
                    gates[gate + column * hidden] = R::default();
                }
                d_h0[own] = d_h;
                continue;
            }
            d_h += d_output[at * hidden + unit];
            let [kept_r, kept_z, kept_n, hn] = [0, 1, 2, 3].map(|column| gates[gate + column * hidden]);
            let z = value_of_kept(gate_activation, clip, kept_z);
            let n = value_of_kept(candidate, clip, kept_n);
            let d_an = d_h * (one - z) * slope_of_kept(candidate, clip, kept_n); // (5)
            let d_az = d_h * (h[at * hidden + unit] - n) * slope_of_kept(gate_activation, clip, kept_z); // (6)
            gates[gate + hidden] = d_az; // (8)
            gates[gate + 2 * hidden] = d_an;
            if reset == Reset::After {
                gates[gate] = d_an * hn * slope_of_kept(gate_activation, clip, kept_r); // (7)
                gates[gate + 3 * hidden] = d_an * value_of_kept(gate_activation, clip, kept_r);
            }
            d_h0[own] = d_h * z;
        }
    }
}

/// [`gru_step_backward_with`] the default options.
///
/// # Panics
/// As [`gru_step_backward_with`].
pub fn gru_step_backward<R: Real>(
    params: &GruStepBackwardParams,
    weight_hh: &[R],
    h: &[R],
    d_output: &[R],
    d_h_n: &[R],
    gates: &mut [R],
    d_h0: &mut [R],
) {
    gru_step_backward_with(params, &GruOptions::default(), weight_hh, h, d_output, d_h_n, gates, d_h0);
}
