// The mean of a loss over `len` predictions, and its gradient. The kernel says what one prediction costs, and the slope
// of that: `loss` and `slope` of a prediction and what is expected.
//
// prediction, expected, d_prediction [len]. partial [workgroups]: one sum per workgroup, already divided by len;
// sum_rows adds them up. An invocation takes every (256 * workgroups)-th element.
//
// Departures from the plain loops of the twins:
// 1. Sums in parts, always in the same order; an invocation adds up 64 losses at a time, so that no sum has many terms.
// 2. Each loss is divided by len before it is added: f32 holds the mean of all that it holds, but not always the sum.
//    What is less than 2^-126 then may be lost, as it may be in d_prediction.

alias Sum = f32;

struct LossParams {
    len: u32,
    prediction_offset: u32,
    d_prediction_offset: u32,
    workgroups: u32,
    // 1 / len
    inverse_len: f32,
}

@group(0) @binding(0) var<uniform> params: LossParams;
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
            let p = prediction[params.prediction_offset + i];
            let y = expected[i];
            d_prediction[params.d_prediction_offset + i] = slope(p, y) * params.inverse_len;
            few += loss(p, y) * params.inverse_len;
            i += stride;
        }
        sum += few;
    }
    let total = workgroup_sum(invocation, sum);
    if invocation == 0u {
        partial[workgroup.x] = total;
    }
}
