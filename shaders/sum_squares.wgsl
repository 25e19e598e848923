#import shared/norm
#import shared/reduce

// The sum of the squares of `len` numbers, in parts: three numbers per workgroup, one for each range of
// shared/norm.wgsl, from partial [3 (partial_offset + workgroup)] on.
//
// An invocation takes every (256 * workgroups)-th element.
//
// Departures from the plain loop of the twin (reference::sum_squares):
// 1. Sums in parts, always in the same order; an invocation adds up 64 squares at a time, so that no sum has many
//    terms.
// 2. Three ranges of numbers, so that f32 holds the squares of all of them.

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
    let stride = params.workgroups * 256u;
    var sum = Sum();
    var i = workgroup.x * 256u + invocation;
    while i < params.len {
        var few = Sum();
        for (var terms = 0u; terms < 64u && i < params.len; terms++) {
            few += square(input[params.input_offset + i]);
            i += stride;
        }
        sum += few;
    }
    let total = workgroup_sum(invocation, sum);
    if invocation == 0u {
        let first = 3u * (params.partial_offset + workgroup.x);
        partial[first + TINY] = total[TINY];
        partial[first + MEDIUM] = total[MEDIUM];
        partial[first + HUGE] = total[HUGE];
    }
}
