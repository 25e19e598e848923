//! Twin of `shaders/embedding.wgsl`.

use super::Real;

/// output `[indices, dim]`: row `input[i]` of weight `[rows, dim]`, NaN where there is no such row.
///
/// # Panics
/// If a slice is too short for the sizes.
pub fn embedding<R: Real>([rows, dim]: [usize; 2], weight: &[R], input: &[u32], output: &mut [R]) {
    for (i, &row) in input.iter().enumerate() {
        for d in 0..dim {
            let row = row as usize;
            output[i * dim + d] = if row < rows { weight[row * dim + d] } else { R::from_f64(f64::NAN) };
        }
    }
}
