// The mean of a loss over `len` predictions, and its gradient. The kernel says what one prediction costs, and the slope
// of that: `loss` and `slope` of a prediction and what is expected.
//
// prediction, expected, d_prediction [len]. partial [workgroups]: one sum per workgroup, already divided by len;
// sum_rows adds them up. An invocation takes every (256 * workgroups)-th element.
//
// With MASKED: mask [len / columns], the weight of each row; partial has one element more, the sum of these weights
// (sum_weights). Then that times columns is what is divided by, and of no weight the mean is NaN, but every gradient 0.
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
#ifdef MASKED
    // The elements of a row.
    columns: u32,
#else
    // 1 / len
    inverse_len: f32,
#endif
}

// Without it d_prediction is not written.
override HAS_GRADIENT: bool;

@group(0) @binding(0) var<uniform> params: LossParams;
@group(0) @binding(1) var<storage, read> prediction: array<f32>;
@group(0) @binding(2) var<storage, read> expected: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_prediction: array<f32>;
@group(0) @binding(4) var<storage, read_write> partial: array<f32>;
#ifdef MASKED
@group(0) @binding(5) var<storage, read> mask: array<f32>;
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) invocation: u32) {
    let stride = params.workgroups * 256u;
#ifdef MASKED
    let weights = partial[params.workgroups];
    let inverse = inverse_of(weights * f32(params.columns));
#endif
    var sum = 0.0;
    var i = workgroup.x * 256u + invocation;
    while i < params.len {
        var few = 0.0;
        for (var terms = 0u; terms < 64u && i < params.len; terms++) {
            let p = prediction[params.prediction_offset + i];
            let y = expected[i];
#ifdef MASKED
            let weight = mask[i / params.columns];
            let share = weight * inverse;
            let d = select(0.0, slope(p, y) * share, counts(weight));
            few += select(0.0, loss(p, y) * share, counts(weight));
#else
            let d = slope(p, y) * params.inverse_len;
            few += loss(p, y) * params.inverse_len;
#endif
            if HAS_GRADIENT {
                d_prediction[params.d_prediction_offset + i] = d;
            }
            i += stride;
        }
        sum += few;
    }
    let total = workgroup_sum(invocation, sum);
    if invocation == 0u {
#ifdef MASKED
        partial[workgroup.x] = select(inverse, total, counts(weights));
#else
        partial[workgroup.x] = total;
#endif
    }
}
