//! Twin of every `shaders/matmul_*.wgsl`.

use super::Real;

/// The sizes and forms of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatmulParams {
    /// Rows of op(a) and c.
    pub m: usize,
    /// Columns of op(b) and c.
    pub n: usize,
    /// Columns of op(a) and rows of op(b).
    pub k: usize,
    /// a is stored `[k, m]`, not `[m, k]`.
    pub transpose_a: bool,
    /// b is stored `[n, k]`, not `[k, n]`.
    pub transpose_b: bool,
    /// Add to what c holds.
    pub accumulate: bool,
}

/// c `[m, n]` (+)= op(a) `[m, k]` op(b) `[k, n]` + bias `[n]`.
///
/// # Panics
/// If a slice is too short for the sizes.
pub fn matmul<R: Real>(params: &MatmulParams, a: &[R], b: &[R], bias: Option<&[R]>, c: &mut [R]) {
    let &MatmulParams { m, n, k, transpose_a, transpose_b, accumulate } = params;
    for row in 0..m {
        for column in 0..n {
            let mut sum = R::default();
            for inner in 0..k {
                let a_index = if transpose_a { inner * m + row } else { row * k + inner };
                let b_index = if transpose_b { column * k + inner } else { inner * n + column };
                sum += a[a_index] * b[b_index];
            }
            if let Some(bias) = bias {
                sum += bias[column];
            }
            if accumulate {
                sum += c[row * n + column];
            }
            c[row * n + column] = sum;
        }
    }
}

/// The same without some of the m rows, or with `transpose_a` of the k's: those that are over, or before whose step an
/// episode begins. What is out is zero, whatever it holds.
///
/// # Panics
/// If a slice is too short for the sizes.
pub fn matmul_without<R: Real>(params: &MatmulParams, a: &[R], b: &[R], is_out: impl Fn(usize) -> bool, c: &mut [R]) {
    let &MatmulParams { m, n, k, transpose_a, transpose_b, accumulate } = params;
    let (mut a, mut b) = (a.to_vec(), b.to_vec());
    if transpose_a {
        for line in (0..k).filter(|&line| is_out(line)) {
            a[line * m..][..m].fill(R::default());
            for column in 0..n {
                b[if transpose_b { column * k + line } else { line * n + column }] = R::default();
            }
        }
        return matmul(params, &a, &b, None, c);
    }
    let before = c.to_vec();
    matmul(params, &a, &b, None, c);
    for line in (0..m).filter(|&line| is_out(line)) {
        for at in line * n..(line + 1) * n {
            c[at] = if accumulate { before[at] } else { R::default() };
        }
    }
}
