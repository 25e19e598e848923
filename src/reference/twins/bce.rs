//! Twin of `shaders/bce.wgsl` and the sum of its parts.

use super::Real;
use super::activation::{sigmoid, softplus};

/// The mean of -(y ln s + (1 - y) ln(1 - s)), where s is the sigmoid of a prediction x and y what is expected, and its
/// gradient in `d_prediction`. -ln s is softplus(-x) and -ln(1 - s) is softplus(x), whose slope is s.
///
/// # Panics
/// If the three lengths differ.
pub fn bce<R: Real>(prediction: &[R], expected: &[R], d_prediction: &mut [R]) -> R {
    assert!(prediction.len() == expected.len() && expected.len() == d_prediction.len(), "three equal lengths");
    let (one, inverse_len) = (R::from_f64(1.0), R::from_f64(1.0 / prediction.len() as f64));
    let mut sum = R::default();
    for i in 0..prediction.len() {
        let (x, y) = (prediction[i], expected[i]);
        d_prediction[i] = ((one - y) * sigmoid(x) - y * sigmoid(-x)) * inverse_len;
        sum += y * softplus(-x) + (one - y) * softplus(x);
    }
    sum * inverse_len
}
