// The sum of the squares of `len` numbers, in parts: partial [partial_offset + workgroup], one a workgroup.
//
// A workgroup of 256 invocations takes every (256 workgroups)-th element.
//
// Departure from the plain loop of the twin (reference::sum_squares): sums in parts, always in the same order.

struct SumSquaresParams {
    len: u32,
    input_offset: u32,
    partial_offset: u32,
    workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: SumSquaresParams;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) invocation: u32) {
    var sum = 0.0;
    for (var i = workgroup.x * 256u + invocation; i < params.len; i += params.workgroups * 256u) {
        let value = input[params.input_offset + i];
        sum += value * value;
    }
    let total = workgroup_sum(invocation, sum);
    if invocation == 0u {
        partial[params.partial_offset + workgroup.x] = total;
    }
}
