//! Twin of `shaders/gru_step_backward.wgsl`.

use super::Real;

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

/// One step of back-propagation: the recurrent part (9) of the step after, then (5), (6), (7), (8). `weight_hh` `[3H, H]`,
/// `h` `[T+1, B, H]`, `d_output` `[T, B, H]`, `d_h_n` `[B, H]`, `gates` `[T, B, 4, H]` with the gradients of the step after
/// and the r, z, n, hn of this one, `d_h0` `[B, H]` with d_h' z of the step after.
///
/// # Panics
/// If a slice is too short for the sizes.
pub fn gru_step_backward<R: Real>(
    params: &GruStepBackwardParams,
    weight_hh: &[R],
    h: &[R],
    d_output: &[R],
    d_h_n: &[R],
    gates: &mut [R],
    d_h0: &mut [R],
) {
    let &GruStepBackwardParams { seq_len, batch, hidden, t } = params;
    let one = R::from_f64(1.0);
    let next = t.map_or(0, |t| t + 1);
    for row in 0..batch {
        for unit in 0..hidden {
            let own = row * hidden + unit;
            let mut d_h = d_h_n[own];
            if next < seq_len {
                let mut recurrent = R::default();
                for (gate, column) in [(0, 0), (1, 1), (2, 3)] {
                    for k in 0..hidden {
                        let d_proj = gates[((next * batch + row) * 4 + column) * hidden + k];
                        recurrent += weight_hh[(gate * hidden + k) * hidden + unit] * d_proj;
                    }
                }
                d_h = d_h0[own] + recurrent; // (9)
            }
            let Some(t) = t else {
                d_h0[own] = d_h;
                continue;
            };
            let at = t * batch + row;
            d_h += d_output[at * hidden + unit];
            let gate = at * 4 * hidden + unit;
            let [r, z, n, hn] = [0, 1, 2, 3].map(|column| gates[gate + column * hidden]);
            let d_an = d_h * (one - z) * (one - n * n); // (5)
            let d_az = d_h * (h[at * hidden + unit] - n) * z * (one - z); // (6)
            let d_ar = d_an * hn * r * (one - r); // (7)
            gates[gate] = d_ar; // (8)
            gates[gate + hidden] = d_az;
            gates[gate + 2 * hidden] = d_an;
            gates[gate + 3 * hidden] = d_an * r;
            d_h0[own] = d_h * z;
        }
    }
}
