//! Twin of `shaders/gru_gates.wgsl`.

use super::Real;
use super::activation::{activate, kept};
use super::gru_step::GruOptions;
use crate::config::Reset;

/// The gates of `rows` rows of H units from the two products: `gates` `[rows, 4, H]` holds `x_proj` before and r, z, n,
/// hn after it, each as [`kept`] has it, `h_proj` `[rows, 3, H]` is `W_hh h + b_hh`, `h` `[rows, H]`. With the reset
/// before the product pass 0 makes r, z and r h, pass 1 n, from `W_hn (r h) + b_hn` in the last third of `h_proj`.
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
            let mut r = R::default();
            if pass == 0 {
                let a_r = gates[gate] + h_proj[product];
                r = activate(gate_activation, clip, a_r); // (1)
                gates[gate] = kept(clip, a_r, r);
                let a_z = gates[gate + hidden] + h_proj[product + hidden];
                gates[gate + hidden] = kept(clip, a_z, activate(gate_activation, clip, a_z)); // (2)
            }
            let hn = h_proj[product + 2 * hidden];
            let of_state = match (reset, pass) {
                (Reset::After, _) => {
                    gates[gate + 3 * hidden] = hn;
                    r * hn
                }
                (Reset::Before, 0) => {
                    gates[gate + 3 * hidden] = r * h[row * hidden + unit];
                    continue;
                }
                (Reset::Before, _) => hn,
            };
            let a_n = gates[gate + 2 * hidden] + of_state;
            gates[gate + 2 * hidden] = kept(clip, a_n, activate(candidate, clip, a_n)); // (3), (3')
        }
    }
}
