//! Twin of `shaders/gru_gates.wgsl`.

use super::Real;
use super::activation::activate;
use super::gru_step::GruOptions;
use crate::config::Reset;

/// The gates of `rows` rows of H units from the two products: `gates` `[rows, 4, H]` holds `x_proj` before and r, z, n, hn
/// after it, `h_proj` `[rows, 3, H]` is `W_hh h + b_hh`, `h` `[rows, H]`. With the reset before the product pass 0 makes r, z
/// and r h, pass 1 n, from `W_hn (r h) + b_hn` in the last third of `h_proj`.
///
/// # Panics
/// If a slice is too short for the sizes.
pub fn gru_gates<R: Real>(
    [rows, hidden]: [usize; 2],
    options: &GruOptions<'_>,
    pass: u32,
    h: &[R],
    h_proj: &[R],
    gates: &mut [R],
) {
    let &GruOptions { reset, gate: gate_activation, candidate, clip, .. } = options;
    for row in 0..rows {
        for unit in 0..hidden {
            let (gate, product) = (row * 4 * hidden + unit, row * 3 * hidden + unit);
            if pass == 0 {
                gates[gate] = activate(gate_activation, clip, gates[gate] + h_proj[product]); // (1)
                let sum = gates[gate + hidden] + h_proj[product + hidden];
                gates[gate + hidden] = activate(gate_activation, clip, sum); // (2)
            }
            let hn = h_proj[product + 2 * hidden];
            let of_state = match (reset, pass) {
                (Reset::After, _) => {
                    gates[gate + 3 * hidden] = hn;
                    gates[gate] * hn
                }
                (Reset::Before, 0) => {
                    gates[gate + 3 * hidden] = gates[gate] * h[row * hidden + unit];
                    continue;
                }
                (Reset::Before, _) => hn,
            };
            gates[gate + 2 * hidden] = activate(candidate, clip, gates[gate + 2 * hidden] + of_state); // (3), (3')
        }
    }
}
