//! Twin of `shaders/sgd.wgsl`.

use super::Real;
use super::adam_prepare::AdamState;

/// One step of gradient descent on one parameter. Of the scalars it takes the step size and the factor that clips.
///
/// # Panics
/// If `gradient` is shorter than `parameter`.
pub fn sgd<R: Real>(state: &AdamState<R>, gradient: &[R], parameter: &mut [R]) {
    for i in 0..parameter.len() {
        parameter[i] -= state.learning_rate * (gradient[i] * state.scale);
    }
}
