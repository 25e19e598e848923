//! Twin of the kernel `gru_reset`, and of steps by rows and by exchange.

use super::Real;
use super::activation::{activate, kept};
use super::gru_step::{GruOptions, GruStepParams, product};

/// The reset gate of a step whose reset acts before the product: equation (1), and r h. `h` `[T+1, B, H]`; `gates`
/// `[T, B, 4, H]`, the first of which is x_proj of r before and, if `save`, r after it, as [`kept`] has it, the fourth r h
/// after it.
///
/// # Panics
/// If a slice is too short for the sizes.
pub fn gru_reset<R: Real>(
    params: &GruStepParams,
    options: &GruOptions<'_>,
    weight_hh: &[R],
    bias_hh: Option<&[R]>,
    h: &[R],
    gates: &mut [R],
) {
    let &GruStepParams { t, batch, hidden, save } = params;
    for row in (0..batch).filter(|&row| !options.is_over(row, t)) {
        let at = t * batch + row;
        let states = &h[at * hidden..(at + 1) * hidden];
        for unit in 0..hidden {
            let gate = at * 4 * hidden + unit;
            let a_r = gates[gate] + product(weight_hh, bias_hh, unit, states);
            let r = activate(options.gate, options.clip, a_r); // (1)
            if save {
                gates[gate] = kept(options.clip, a_r, r);
            }
            gates[gate + 3 * hidden] = r * states[unit];
        }
    }
}
