//! Twin of `shaders/pack.wgsl`.

/// `source` `[R, H]` as `[H, R]`.
pub fn transpose<R: Copy>(rows: usize, source: &[R], transposed: &mut [R]) {
    let hidden = source.len() / rows;
    for row in 0..rows {
        for k in 0..hidden {
            transposed[k * rows + row] = source[row * hidden + k];
        }
    }
}
