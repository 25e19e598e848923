#import shared/reduce
#import shared/weight

// The sum of the weights of the rows of a loss, in parts: partial [workgroups], one per workgroup; sum_rows adds them
// up.
//
// expected, mask [rows]. An invocation takes every (256 * workgroups)-th row.
//
// Departure from the plain loop of the twin (reference::sum_weights): sums in parts, always in the same order; an
// invocation adds up 64 weights at a time, so that no sum has many terms. Up to 2^24 a number of rows is exact.

alias Sum = f32;

struct SumWeightsParams {
    rows: u32,
    workgroups: u32,
    ignored: u32,
}

@group(0) @binding(0) var<uniform> params: SumWeightsParams;
@group(0) @binding(1) var<storage, read> expected: array<u32>;
@group(0) @binding(2) var<storage, read> mask: array<f32>;
@group(0) @binding(3) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) invocation: u32) {
    let stride = params.workgroups * 256u;
    var sum = 0.0;
    var row = workgroup.x * 256u + invocation;
    while row < params.rows {
        var few = 0.0;
        for (var terms = 0u; terms < 64u && row < params.rows; terms++) {
            few += weight_of(row);
            row += stride;
        }
        sum += few;
    }
    let total = workgroup_sum(invocation, sum);
    if invocation == 0u {
        partial[workgroup.x] = total;
    }
}
