//! Twin of `shaders/adam.wgsl`.

use super::Real;
use super::adam_prepare::AdamState;

/// One step of Adam on one parameter (Kingma and Ba 2015, algorithm 1), with decoupled weight decay in the form of
/// [PyTorch's `AdamW`](https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html).
///
/// # Panics
/// If a slice is shorter than `parameter`.
pub fn adam<R: Real>(
    state: &AdamState<R>,
    [beta1, beta2]: [R; 2],
    [epsilon, weight_decay]: [R; 2],
    gradient: &[R],
    parameter: &mut [R],
    moment1: &mut [R],
    moment2: &mut [R],
) {
    let one = R::from_f64(1.0);
    for i in 0..parameter.len() {
        let g = state.clipped(gradient[i]);
        let decayed = parameter[i] * (one - state.learning_rate * weight_decay);
        moment1[i] = beta1 * moment1[i] + (one - beta1) * g;
        moment2[i] = beta2 * moment2[i] + (one - beta2) * g * g;
        let mean = moment1[i] / state.correction1;
        let square = moment2[i] / state.correction2;
        parameter[i] = decayed - state.learning_rate * mean / (square.sqrt() + epsilon);
    }
}
