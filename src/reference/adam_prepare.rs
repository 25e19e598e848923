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
}

/// The scalars of step `step`, counted from 1, from the sum of the squares of all gradients.
pub fn adam_prepare<R: Real>(
    step: u32,
    learning_rate: R,
    [beta1, beta2]: [R; 2],
    max_norm: Option<R>,
    sum_squares: R,
) -> AdamState<R> {
    let correction = |beta: R| R::from_f64(1.0 - beta.into().powi(step as i32));
    let one = R::from_f64(1.0);
    let norm = sum_squares.sqrt();
    let scale = max_norm.map_or(one, |max_norm| {
        let scale = max_norm / (norm + R::from_f64(1e-6));
        if scale < one { scale } else { one }
    });
    AdamState { learning_rate, correction1: correction(beta1), correction2: correction(beta2), norm, scale }
}
