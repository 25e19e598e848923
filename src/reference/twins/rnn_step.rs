//! Twin of the kernel `rnn_step`, and of steps by rows and by exchange.

use super::Real;
use super::activation::{activate, kept};
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
    /// With a clip, keep which states it gave.
    pub save: bool,
    /// f.
    pub activation: Activation,
    /// The limit of what goes into it.
    pub clip: Option<f32>,
    /// How long each row is.
    pub lengths: Option<&'a [usize]>,
    /// The same for the step after in a step backward, where it is not the one with the next number: of a direction
    /// that runs in reverse.
    pub lengths_after: Option<&'a [usize]>,
}

impl RnnStepParams<'_> {
    /// Whether a row has ended before the step.
    #[must_use]
    pub fn is_over(&self, row: usize) -> bool {
        self.lengths.is_some_and(|lengths| self.t >= lengths[row])
    }

    /// Whether a row has ended before the step after, the number of which is `next`.
    pub(super) fn is_over_after(&self, row: usize, next: usize) -> bool {
        self.lengths_after.or(self.lengths).is_some_and(|lengths| next >= lengths[row])
    }
}

/// One step: h' = f(x_proj + W_hh h + b_hh). `weight_hh` `[H, H]`, `h` `[T+1, B, H]`, `gates` `[T, B, H]` holds
/// `x_proj`, and where that is to be saved and there is a clip, after it 0 or an infinity where the clip gave the state
/// ([`kept`]).
///
/// # Panics
/// If a slice is too short for the sizes.
pub fn rnn_step<R: Real>(
    params: &RnnStepParams<'_>,
    weight_hh: &[R],
    bias_hh: Option<&[R]>,
    h: &mut [R],
    gates: &mut [R],
) {
    let &RnnStepParams { t, batch, hidden, save, activation, clip, .. } = params;
    for row in 0..batch {
        let at = t * batch + row;
        let (before, after) = (at * hidden, (at + batch) * hidden);
        if params.is_over(row) {
            h.copy_within(before..before + hidden, after);
            continue;
        }
        for unit in 0..hidden {
            let gate = at * hidden + unit;
            let a = gates[gate] + product(weight_hh, bias_hh, unit, &h[before..before + hidden]);
            h[after + unit] = activate(activation, clip, a);
            if save && clip.is_some() {
                gates[gate] = kept(clip, a, R::default());
            }
        }
    }
}
