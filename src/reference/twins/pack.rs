//! Twin of `shaders/pack.wgsl`.

/// `source` `[R, H]`, H a multiple of 4, as `[H / 4, R, 4]`.
pub fn pack<R: Copy>(rows: usize, source: &[R], packed: &mut [R]) {
    let hidden = source.len() / rows;
    for row in 0..rows {
        for k in 0..hidden {
            packed[(k / 4 * rows + row) * 4 + k % 4] = source[row * hidden + k];
        }
    }
}
