//! Twin of the kernel `gru_step`, and of steps by rows and by exchange.

use super::Real;
use super::activation::{activate, kept};
use crate::activation::Activation;
use crate::config::Reset;

/// The options of a GRU that a step knows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GruOptions<'a> {
    /// Where the reset gate acts.
    pub reset: Reset,
    /// The activation of r and z.
    pub gate: Activation,
    /// The activation of n.
    pub candidate: Activation,
    /// The limit of what goes into them.
    pub clip: Option<f32>,
    /// How long each row is.
    pub lengths: Option<&'a [usize]>,
    /// The same for the step after in a step backward, where it is not the one with the next number: of a direction
    /// that runs in reverse.
    pub lengths_after: Option<&'a [usize]>,
}

impl Default for GruOptions<'_> {
    /// Reset after the product, sigmoid, tanh, no clip, all rows whole.
    fn default() -> Self {
        let (gate, candidate) = (Activation::Sigmoid, Activation::Tanh);
        Self { reset: Reset::After, gate, candidate, clip: None, lengths: None, lengths_after: None }
    }
}

impl GruOptions<'_> {
    /// Whether a row has ended before a step.
    #[must_use]
    pub fn is_over(&self, row: usize, t: usize) -> bool {
        self.lengths.is_some_and(|lengths| t >= lengths[row])
    }

    /// Whether a row has ended before the step after, the number of which is `next`.
    pub(super) fn is_over_after(&self, row: usize, next: usize) -> bool {
        self.lengths_after.or(self.lengths).is_some_and(|lengths| next >= lengths[row])
    }
}

/// Which step of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GruStepParams {
    /// The step.
    pub t: usize,
    /// B.
    pub batch: usize,
    /// H.
    pub hidden: usize,
    /// Keep r, z, n and hn in `gates`, which then is `[T, B, 4, H]`, otherwise `[T, B, 3, H]`: each as
    /// [`kept`] has it.
    pub save: bool,
}

/// Row `row` of `weight_hh` times a vector, plus its bias.
pub(super) fn product<R: Real>(weight_hh: &[R], bias_hh: Option<&[R]>, row: usize, vector: &[R]) -> R {
    let mut sum = bias_hh.map_or(R::default(), |bias| bias[row]);
    for k in 0..vector.len() {
        sum += weight_hh[row * vector.len() + k] * vector[k];
    }
    sum
}

/// One step: equations (1), (2), (3), (4), or with the reset before the product (2), (3'), (4), after
/// [`gru_reset`](super::gru_reset::gru_reset). `weight_hh` `[3H, H]`, `bias_hh` `[3H]`, `h` `[T+1, B, H]`; `gates`
/// holds `x_proj` before, with the reset before the product always four numbers a unit, r and r h among them.
///
/// # Panics
/// If a slice is too short for the sizes.
pub fn gru_step_with<R: Real>(
    params: &GruStepParams,
    options: &GruOptions<'_>,
    weight_hh: &[R],
    bias_hh: Option<&[R]>,
    h: &mut [R],
    gates: &mut [R],
) {
    let &GruStepParams { t, batch, hidden, save } = params;
    let &GruOptions { reset, gate: gate_activation, candidate, clip, .. } = options;
    let width = if save || reset == Reset::Before { 4 } else { 3 } * hidden;
    let one = R::from_f64(1.0);
    for row in 0..batch {
        let at = t * batch + row;
        let (before, after) = (at * hidden, (at + batch) * hidden);
        if options.is_over(row, t) {
            h.copy_within(before..before + hidden, after);
            continue;
        }
        let states = h[before..before + hidden].to_vec();
        let reset_states =
            if reset == Reset::Before { gates[at * width + 3 * hidden..][..hidden].to_vec() } else { Vec::new() };
        for unit in 0..hidden {
            let gate = at * width + unit;
            let (a_r, r, hn) = match reset {
                Reset::After => {
                    let a_r = gates[gate] + product(weight_hh, bias_hh, unit, &states);
                    let hn = product(weight_hh, bias_hh, 2 * hidden + unit, &states);
                    (a_r, activate(gate_activation, clip, a_r), hn) // (1)
                }
                Reset::Before => (R::default(), one, product(weight_hh, bias_hh, 2 * hidden + unit, &reset_states)),
            };
            let a_z = gates[gate + hidden] + product(weight_hh, bias_hh, hidden + unit, &states);
            let z = activate(gate_activation, clip, a_z); // (2)
            let a_n = gates[gate + 2 * hidden] + r * hn;
            let n = activate(candidate, clip, a_n); // (3), (3')
            h[after + unit] = (one - z) * n + z * states[unit]; // (4)
            if save {
                gates[gate + hidden] = kept(clip, a_z, z);
                gates[gate + 2 * hidden] = kept(clip, a_n, n);
                if reset == Reset::After {
                    gates[gate] = kept(clip, a_r, r);
                    gates[gate + 3 * hidden] = hn;
                }
            }
        }
    }
}

/// [`gru_step_with`] the default options.
///
/// # Panics
/// As [`gru_step_with`].
pub fn gru_step<R: Real>(params: &GruStepParams, weight_hh: &[R], bias_hh: &[R], h: &mut [R], gates: &mut [R]) {
    gru_step_with(params, &GruOptions::default(), weight_hh, Some(bias_hh), h, gates);
}
