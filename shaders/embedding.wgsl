// Rows of a table by their numbers: output [indices, dim] = weight [rows, dim] at input [indices]. A number that is no
// row gives NaN.
//
// An invocation takes every (256 * workgroups)-th element of the output, which has `len`.
// Twin: reference::embedding, the same loop.

struct EmbeddingParams {
    len: u32,
    dim: u32,
    rows: u32,
    input_offset: u32,
    workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: EmbeddingParams;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> input: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) global: vec3<u32>) {
    for (var i = global.x; i < params.len; i += params.workgroups * 256u) {
        let row = input[params.input_offset + i / params.dim];
        var number = bitcast<f32>(row | 0x7fc00000u);
        if row < params.rows {
            number = weight[row * params.dim + i % params.dim];
        }
        output[i] = number;
    }
}
