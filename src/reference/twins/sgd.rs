//! Twin of `shaders/sgd.wgsl`.

use super::Real;
use super::adam_prepare::AdamState;

/// How gradient descent takes its steps beside the step size: as
/// [PyTorch's `SGD`](https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Descent<R> {
    /// Of the parameter as a part of its gradient.
    pub weight_decay: R,
    /// Of the steps before; 0: plain gradient descent.
    pub momentum: R,
    /// How much less than the whole gradient, after the first step.
    pub dampening: R,
    /// Nesterov's form of the momentum.
    pub nesterov: bool,
}

/// One step of gradient descent on one parameter. Of the scalars it takes the step size, what clips, and whether it is
/// the first step. `momentum` is not looked at where there is none.
///
/// # Panics
/// If a slice is shorter than `parameter`.
pub fn sgd<R: Real>(
    state: &AdamState<R>,
    descent: &Descent<R>,
    gradient: &[R],
    parameter: &mut [R],
    momentum: &mut [R],
) {
    let one = R::from_f64(1.0);
    for i in 0..parameter.len() {
        let mut g = state.clipped(gradient[i]) + descent.weight_decay * parameter[i];
        if descent.momentum > R::default() {
            let fresh = if state.first { g } else { (one - descent.dampening) * g };
            momentum[i] = descent.momentum * momentum[i] + fresh;
            g = if descent.nesterov { g + descent.momentum * momentum[i] } else { momentum[i] };
        }
        parameter[i] -= state.learning_rate * g;
    }
}
