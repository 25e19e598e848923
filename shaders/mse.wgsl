#import shared/reduce

// Mean squared error of `len` predictions, and its gradient: loss = sum (p - y)^2 / len, d_p = 2 (p - y) / len.
//
// prediction, expected, d_prediction [len]. partial [workgroups]: one sum per workgroup, already divided by len;
// sum_rows adds them up. An invocation takes every (256 * workgroups)-th element.
//
// Departure from the plain loop of the twin (reference::mse): sums in parts, always in the same order; an invocation
// adds up 64 squares at a time, so that no sum has many terms.

alias Sum = f32;

struct MseParams {
    len: u32,
    prediction_offset: u32,
    d_prediction_offset: u32,
    workgroups: u32,
    // 1 / len
    inverse_len: f32,
}

@group(0) @binding(0) var<uniform> params: MseParams;
@group(0) @binding(1) var<storage, read> prediction: array<f32>;
@group(0) @binding(2) var<storage, read> expected: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_prediction: array<f32>;
@group(0) @binding(4) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) invocation: u32) {
    let stride = params.workgroups * 256u;
    var sum = 0.0;
    var i = workgroup.x * 256u + invocation;
    while i < params.len {
        var few = 0.0;
        for (var terms = 0u; terms < 64u && i < params.len; terms++) {
            let error = prediction[params.prediction_offset + i] - expected[i];
            d_prediction[params.d_prediction_offset + i] = 2.0 * error * params.inverse_len;
            few += error * error;
            i += stride;
        }
        sum += few;
    }
    let total = workgroup_sum(invocation, sum);
    if invocation == 0u {
        partial[workgroup.x] = total * params.inverse_len;
    }
}
