//! Twin of the kernel `rnn_step_backward`, and of steps by rows and by exchange.

use super::Real;
use super::activation::{activation_slope, is_mark};
use super::rnn_step::RnnStepParams;

/// One step of back-propagation of the plain RNN: d_h' from the step after (of `seq_len` T), then d_a = d_h' f'(a).
/// `weight_hh` `[H, H]`, `h` `[T+1, B, H]`, `d_output` `[T, B, H]`, `d_h_n` `[B, H]`, `gates` `[T, B, H]` with d_a of
/// the step after, and of this one after it; with a clip they hold before it what `rnn_step` has left. `d_h0` `[B, H]`.
/// `is_final`: the dispatch that makes `d_h0` from d_a of step 0.
///
/// # Panics
/// If a slice is too short for the sizes.
#[expect(clippy::too_many_arguments, reason = "the bindings of the kernel")]
pub fn rnn_step_backward<R: Real>(
    params: &RnnStepParams<'_>,
    seq_len: usize,
    is_final: bool,
    weight_hh: &[R],
    h: &[R],
    d_output: &[R],
    d_h_n: &[R],
    gates: &mut [R],
    d_h0: &mut [R],
) {
    let &RnnStepParams { t, batch, hidden, activation, clip, .. } = params;
    let next = if is_final { 0 } else { t + 1 };
    for row in 0..batch {
        for unit in 0..hidden {
            let own = row * hidden + unit;
            let mut d_h = d_h_n[own];
            if next < seq_len {
                d_h = d_h0[own];
            }
            // Of a step that is over there is no product, whatever the weights are.
            if next < seq_len && !params.is_over_after(row, next) {
                let mut recurrent = R::default();
                for k in 0..hidden {
                    recurrent += weight_hh[k * hidden + unit] * gates[(next * batch + row) * hidden + k];
                }
                d_h += recurrent; // (9)
            }
            let at = t * batch + row;
            if is_final {
                d_h0[own] = d_h;
            } else if params.is_over(row) {
                gates[at * hidden + unit] = R::default();
                d_h0[own] = d_h;
            } else {
                d_h += d_output[at * hidden + unit];
                let slope = if is_mark(clip, gates[at * hidden + unit]) {
                    R::default()
                } else {
                    activation_slope(activation, h[(at + batch) * hidden + unit])
                };
                gates[at * hidden + unit] = d_h * slope;
                d_h0[own] = R::default();
            }
        }
    }
}
