//! Twin of `shaders/sum_rows.wgsl`.

use super::Real;

/// total `[columns]` (+)= the sum over the rows of input `[rows, columns]`.
///
/// # Panics
/// If a slice is too short for the sizes.
pub fn sum_rows<R: Real>(rows: usize, columns: usize, accumulate: bool, input: &[R], total: &mut [R]) {
    for column in 0..columns {
        let mut sum = R::default();
        for row in 0..rows {
            sum += input[row * columns + column];
        }
        if accumulate {
            sum += total[column];
        }
        total[column] = sum;
    }
}
