#import shared/norm
#import shared/optimiser

// One step of gradient descent on one parameter, after adam_prepare, with weight decay as a part of the gradient, and
// with momentum, as PyTorch's SGD has them. A skipped step changes nothing.
//
// parameter, gradient, momentum [len]. An invocation takes every (256 * workgroups)-th element.
// Twin: reference::sgd, the same loop.

struct SgdParams {
    len: u32,
    parameter_offset: u32,
    gradient_offset: u32,
    workgroups: u32,
    weight_decay: f32,
    // 0: there is no momentum, and nothing is bound for it.
    momentum: f32,
    // 1 - dampening, rounded once, on the host. The first gradient is not dampened.
    one_minus_dampening: f32,
    nesterov: u32,
}

@group(0) @binding(0) var<uniform> params: SgdParams;
@group(0) @binding(1) var<storage, read> state: array<f32>;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> parameter: array<f32>;
@group(0) @binding(4) var<storage, read_write> momentum: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) global: vec3<u32>) {
    let len = select(params.len, 0u, state[SKIP] == 1.0);
    for (var i = global.x; i < len; i += params.workgroups * 256u) {
        var g = clipped(gradient[params.gradient_offset + i], state[SCALE], state[LIMIT]);
        if params.weight_decay != 0.0 {
            g += params.weight_decay * parameter[params.parameter_offset + i];
        }
        if params.momentum != 0.0 {
            let b = params.momentum * momentum[i] + select(params.one_minus_dampening, 1.0, state[FIRST] == 1.0) * g;
            momentum[i] = b;
            g = select(b, g + params.momentum * b, params.nesterov != 0u);
        }
        parameter[params.parameter_offset + i] -= state[LEARNING_RATE] * g;
    }
}
