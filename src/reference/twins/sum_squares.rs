//! Twin of `shaders/sum_squares.wgsl`, all parts together.

use super::Real;

/// The sum of the squares.
pub fn sum_squares<R: Real>(input: &[R]) -> R {
    let mut sum = R::default();
    for &value in input {
        sum += value * value;
    }
    sum
}
