//! Twin of `shaders/embedding_backward.wgsl`.

use super::Real;

/// d_weight `[rows, dim]`: of each row the sum of d_output `[indices, dim]` over all i of which `input[i]` is the row;
/// none for row `padding`.
///
/// # Panics
/// If a slice is too short for the sizes.
pub fn embedding_backward<R: Real>(
    [rows, dim]: [usize; 2],
    input: &[u32],
    padding: Option<usize>,
    d_output: &[R],
    d_weight: &mut [R],
) {
    d_weight.fill(R::default());
    for (i, &row) in input.iter().enumerate() {
        let row = row as usize;
        if row < rows && padding != Some(row) {
            for d in 0..dim {
                d_weight[row * dim + d] += d_output[i * dim + d];
            }
        }
    }
}
