//! Twin of `shaders/adam_prepare.wgsl`, written from the formulas.

use super::Real;

/// The scalars of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamState<R> {
    /// The step size.
    pub learning_rate: R,
    /// 1 - beta1^t.
    pub correction1: R,
    /// 1 - beta2^t.
    pub correction2: R,
    /// The global norm of the gradients.
    pub norm: R,
    /// What the gradients are multiplied by.
    pub scale: R,
    /// How far from 0 they then go at most, if there is a limit.
    pub limit: Option<R>,
    /// No step was taken before this one.
    pub first: bool,
}

impl<R: Real> AdamState<R> {
    /// A gradient as the step takes it: first its part of the common norm, then clamped. NaN is over no limit.
    pub(super) fn clipped(&self, gradient: R) -> R {
        let scaled = gradient * self.scale;
        match self.limit {
            Some(limit) if scaled > limit => limit,
            Some(limit) if scaled < -limit => -limit,
            _ => scaled,
        }
    }
}

/// The scalars of step `step`, from the sum of the squares of all gradients, which for the step of several backward
/// passes are their sums or means. Steps are counted from 1, without those that were left out.
pub fn adam_prepare<R: Real>(
    step: u32,
    learning_rate: R,
    [beta1, beta2]: [R; 2],
    [max_norm, clip_value]: [Option<R>; 2],
    sum_squares: R,
) -> AdamState<R> {
    let correction = |beta: R| R::from_f64(1.0 - beta.into().powi(step as i32));
    let one = R::from_f64(1.0);
    let norm = sum_squares.sqrt();
    let scale = max_norm.map_or(one, |max_norm| {
        let with_epsilon = norm + R::from_f64(1e-6);
        // A norm that is NaN is not at most anything, so it becomes the factor; an infinite one gives 0.
        if with_epsilon <= max_norm { one } else { max_norm / with_epsilon }
    });
    AdamState {
        learning_rate,
        correction1: correction(beta1),
        correction2: correction(beta2),
        norm,
        scale,
        limit: clip_value,
        first: step == 1,
    }
}
