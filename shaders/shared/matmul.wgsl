// What the matmul kernels share: c [m, n] (+)= op(a) [m, k] . op(b) [k, n] + bias [n].
//
// op(a) is a or its transpose: a is stored [m, k], or [k, m] with TRANSPOSE_A; b likewise. Each operand begins at its
// offset, in elements, and its stored rows lie `stride` elements apart. Stored columns of a from a_split on lie a_skip
// further to the right: so the gates r, z and hn are read out of the rows (r, z, n, hn) of the gates buffer.

struct MatmulParams {
    m: u32,
    n: u32,
    k: u32,
    a_offset: u32,
    a_stride: u32,
    a_split: u32,
    a_skip: u32,
    b_offset: u32,
    b_stride: u32,
    bias_offset: u32,
    c_offset: u32,
    c_stride: u32,
    // 1: add to what c holds. 0: replace it.
    accumulate: u32,
}

override TRANSPOSE_A: bool;
override TRANSPOSE_B: bool;
override HAS_BIAS: bool;

@group(0) @binding(0) var<uniform> params: MatmulParams;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
// Not read without HAS_BIAS.
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;

fn a_index(row: u32, inner: u32) -> u32 {
    let stored_row = select(row, inner, TRANSPOSE_A);
    let stored_column = select(inner, row, TRANSPOSE_A);
    let column = stored_column + select(0u, params.a_skip, stored_column >= params.a_split);
    return params.a_offset + stored_row * params.a_stride + column;
}

fn b_index(inner: u32, column: u32) -> u32 {
    return params.b_offset + select(inner * params.b_stride + column, column * params.b_stride + inner, TRANSPOSE_B);
}

fn store_c(row: u32, column: u32, sum: f32) {
    let index = params.c_offset + row * params.c_stride + column;
    var value = sum;
    if HAS_BIAS {
        value += bias[params.bias_offset + column];
    }
    if params.accumulate != 0u {
        value += c[index];
    }
    c[index] = value;
}
