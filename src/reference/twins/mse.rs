//! Twin of `shaders/mse.wgsl` and the sum of its parts.

use super::Real;

/// The mean of (prediction - expected)^2, and its gradient in `d_prediction`.
///
/// # Panics
/// If the three lengths differ.
pub fn mse<R: Real>(prediction: &[R], expected: &[R], d_prediction: &mut [R]) -> R {
    assert!(prediction.len() == expected.len() && expected.len() == d_prediction.len(), "three equal lengths");
    let inverse_len = R::from_f64(1.0 / prediction.len() as f64);
    let mut sum = R::default();
    for i in 0..prediction.len() {
        let error = prediction[i] - expected[i];
        d_prediction[i] = R::from_f64(2.0) * error * inverse_len;
        sum += error * error;
    }
    sum * inverse_len
}
