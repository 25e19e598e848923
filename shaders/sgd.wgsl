#import shared/optimiser

// One step of gradient descent on one parameter, after adam_prepare: parameter -= rate * scale * gradient. A skipped
// step changes nothing.
//
// parameter, gradient [len]. An invocation takes every (256 * workgroups)-th element.
// Twin: reference::sgd, the same loop.

struct SgdParams {
    len: u32,
    parameter_offset: u32,
    gradient_offset: u32,
    workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: SgdParams;
@group(0) @binding(1) var<storage, read> state: array<f32>;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> parameter: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) global: vec3<u32>) {
    let len = select(params.len, 0u, state[SKIP] == 1.0);
    for (var i = global.x; i < len; i += params.workgroups * 256u) {
        let g = gradient[params.gradient_offset + i] * state[SCALE];
        parameter[params.parameter_offset + i] -= state[LEARNING_RATE] * g;
    }
}
