//! Twin of `shaders/rnn_step.wgsl`.

use super::Real;
use super::activation::activate;
use super::gru_step::product;
use crate::activation::Activation;

/// Which step of what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RnnStepParams<'a> {
    /// The step.
    pub t: usize,
    /// B.
    pub batch: usize,
    /// H.
    pub hidden: usize,
    /// f.
    pub activation: Activation,
    /// The limit of what goes into it.
    pub clip: Option<f32>,
    /// How long each row is.
    pub lengths: Option<&'a [usize]>,
}

impl RnnStepParams<'_> {
    /// Whether a row has ended before the step.
    #[must_use]
    pub fn is_over(&self, row: usize) -> bool {
        self.lengths.is_some_and(|lengths| self.t >= lengths[row])
    }
}

/// One step: h' = f(x_proj + W_hh h + b_hh). `weight_hh` `[H, H]`, `h` `[T+1, B, H]`, `gates` `[T, B, H]` holds `x_proj`.
///
/// # Panics
/// If a slice is too short for the sizes.
pub fn rnn_step<R: Real>(params: &RnnStepParams<'_>, weight_hh: &[R], bias_hh: Option<&[R]>, h: &mut [R], gates: &[R]) {
    let &RnnStepParams { t, batch, hidden, activation, clip, .. } = params;
    for row in 0..batch {
        let at = t * batch + row;
        let (before, after) = (at * hidden, (at + batch) * hidden);
        if params.is_over(row) {
            h.copy_within(before..before + hidden, after);
            continue;
        }
        for unit in 0..hidden {
            let sum = gates[at * hidden + unit] + product(weight_hh, bias_hh, unit, &h[before..before + hidden]);
            h[after + unit] = activate(activation, clip, sum);
        }
    }
}
