// The scalars of one step of Adam: the global norm of all gradients from the parts that sum_squares made, the factor that
// clips it (Pascanu, Mikolov and Bengio 2013; with PyTorch's 1e-6), and the bias corrections (Kingma and Ba 2015).
//
// partial [partials]. One workgroup of 256 invocations. workgroups: (1, 1, 1).
//
// Departures from the formulas of the twin (reference::adam): 1 - beta^t comes from the step before,
// c_t = beta c_(t-1) + (1 - beta), which loses no digits where 1 - pow(beta, t) would, and needs no count of steps.

struct AdamPrepareParams {
    partials: u32,
    // 1: scale the gradients down to max_norm where their norm is larger. 0: leave them.
    clip: u32,
    max_norm: f32,
    beta1: f32,
    beta2: f32,
    // 1 - beta1 and 1 - beta2, rounded once, on the host.
    one_minus_beta1: f32,
    one_minus_beta2: f32,
}

@group(0) @binding(0) var<uniform> params: AdamPrepareParams;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> state: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) invocation: u32) {
    var sum = 0.0;
    for (var i = invocation; i < params.partials; i += 256u) {
        sum += partial[i];
    }
    let norm = sqrt(workgroup_sum(invocation, sum));
    if invocation == 0u {
        state[NORM] = norm;
        state[SCALE] = 1.0;
        if params.clip != 0u {
            state[SCALE] = min(1.0, params.max_norm / (norm + 1e-6));
        }
        state[CORRECTION1] = params.beta1 * state[CORRECTION1] + params.one_minus_beta1;
        state[CORRECTION2] = params.beta2 * state[CORRECTION2] + params.one_minus_beta2;
    }
}
