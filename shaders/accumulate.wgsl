#import shared/norm
#import shared/optimiser

// Adds a gradient to those of earlier backward passes: accumulated += gradient, until the next step. `counts` is 1 for
// one of the parameters, whose first invocation counts the pass.
//
// gradient, accumulated [len]. An invocation takes every (256 * workgroups)-th element.
// Twin: reference::accumulate, the same loop.

struct AccumulateParams {
    len: u32,
    gradient_offset: u32,
    workgroups: u32,
    counts: u32,
}

@group(0) @binding(0) var<uniform> params: AccumulateParams;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> accumulated: array<f32>;
@group(0) @binding(3) var<storage, read_write> state: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) global: vec3<u32>) {
    if global.x == 0u && params.counts == 1u {
        state[ACCUMULATED] += 1.0;
    }
    for (var i = global.x; i < params.len; i += params.workgroups * 256u) {
        accumulated[i] += gradient[params.gradient_offset + i];
    }
}
