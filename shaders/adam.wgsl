#import shared/norm
#import shared/optimiser

// One step of Adam (Kingma and Ba 2015, algorithm 1) on one parameter, after adam_prepare, with a weight decay that is
// decoupled from the gradient (Loshchilov and Hutter 2019, algorithm 2, line 12; AdamW). A skipped step changes
// nothing.
//
// parameter, gradient, moment1, moment2 [len]. An invocation takes every (256 * workgroups)-th element.
//
// Departure from PyTorch's parameter * (1 - rate * decay) - step, and from the twin's (reference::adam): the decay is
// added to the step, since 1 - rate * decay has few digits of a small product left.

struct AdamParams {
    len: u32,
    parameter_offset: u32,
    gradient_offset: u32,
    workgroups: u32,
    beta1: f32,
    beta2: f32,
    one_minus_beta1: f32,
    one_minus_beta2: f32,
    epsilon: f32,
    weight_decay: f32,
}

@group(0) @binding(0) var<uniform> params: AdamParams;
@group(0) @binding(1) var<storage, read> state: array<f32>;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> parameter: array<f32>;
@group(0) @binding(4) var<storage, read_write> moment1: array<f32>;
@group(0) @binding(5) var<storage, read_write> moment2: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) global: vec3<u32>) {
    let len = select(params.len, 0u, state[SKIP] == 1.0);
    for (var i = global.x; i < len; i += params.workgroups * 256u) {
        let g = clipped(gradient[params.gradient_offset + i], state[SCALE], state[LIMIT]);
        let m = params.beta1 * moment1[i] + params.one_minus_beta1 * g;
        let v = params.beta2 * moment2[i] + params.one_minus_beta2 * g * g;
        moment1[i] = m;
        moment2[i] = v;
        var step = state[LEARNING_RATE] / state[CORRECTION1] * m / (sqrt(v / state[CORRECTION2]) + params.epsilon);
        if params.weight_decay != 0.0 {
            step += state[LEARNING_RATE] * params.weight_decay * parameter[params.parameter_offset + i];
        }
        parameter[params.parameter_offset + i] -= step;
    }
}
