//! Twin of the kernel `gru_reset_backward`, and of steps by rows and by exchange.

use super::Real;
use super::activation::{slope_of_kept, value_of_kept};
use super::gru_step::{GruOptions, GruStepParams};

/// The reset gate of a step backward whose reset acts before the product: d_q = d_an W_hn, d_r = d_q h, and d_h gains
/// d_q r. `gates` `[T, B, 4, H]` hold r, d_az, d_an, r h before and d_ar, d_az, d_an, r h after it, zeros where the row is
/// over; `d_h0` `[B, H]` d_h' z before.
///
/// # Panics
/// If a slice is too short for the sizes.
pub fn gru_reset_backward<R: Real>(
    params: &GruStepParams,
    options: &GruOptions<'_>,
    weight_hh: &[R],
    h: &[R],
    gates: &mut [R],
    d_h0: &mut [R],
) {
    let &GruStepParams { t, batch, hidden, .. } = params;
    for row in 0..batch {
        let at = t * batch + row;
        if options.is_over(row, t) {
            gates[at * 4 * hidden..][..hidden].fill(R::default());
            gates[(at * 4 + 3) * hidden..][..hidden].fill(R::default());
            continue;
        }
        for unit in 0..hidden {
            let mut d_q = R::default();
            for k in 0..hidden {
                d_q += weight_hh[(2 * hidden + k) * hidden + unit] * gates[(at * 4 + 2) * hidden + k];
            }
            let gate = at * 4 * hidden + unit;
            let r = gates[gate];
            gates[gate] = d_q * h[at * hidden + unit] * slope_of_kept(options.gate, options.clip, r); // (7)
            d_h0[row * hidden + unit] += d_q * value_of_kept(options.gate, options.clip, r);
        }
    }
}
