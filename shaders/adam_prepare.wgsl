#import shared/norm
#import shared/reduce
#import shared/optimiser

// The scalars of one optimiser step: the global norm of all gradients from the partial sums of sum_squares, the factor
// that clips it (Pascanu, Mikolov and Bengio 2013; with PyTorch's 1e-6), whether the step is skipped, and the bias
// corrections of Adam (Kingma and Ba 2015). Of gradients that were added up over several backward passes the step can
// take their mean; where there are none it is skipped, and not counted.
//
// partial [partials, 3], norm [1], skipped [1]. One workgroup of 256 invocations. workgroups: (1, 1, 1).
//
// Departures from the formulas of the twin (reference::adam_prepare):
// 1. 1 - beta^t is computed from that of the previous step, c_t = beta c_(t-1) + (1 - beta): this loses no digits where
//    1 - pow(beta, t) would, and needs no step counter.
// 2. NaN and infinity are detected by their bits. WGSL leaves open what min, max and comparisons make of NaN, and a NaN
//    norm must not become a factor of 1, which would switch clipping off.

struct AdamPrepareParams {
    partials: u32,
    // 1: scale the gradients down to max_norm if their norm is larger. 0: leave them.
    clip: u32,
    max_norm: f32,
    // Infinity: gradients are as large as they like.
    clip_value: f32,
    // 1: skip the step if any gradient is not finite.
    skip_nonfinite: u32,
    // 0: gradients of one backward pass. 1: the sum of those that were added up. 2: their mean.
    accumulation: u32,
    beta1: f32,
    beta2: f32,
    // 1 - beta1 and 1 - beta2, rounded once, on the host.
    one_minus_beta1: f32,
    one_minus_beta2: f32,
}

const MEAN: u32 = 2u;

@group(0) @binding(0) var<uniform> params: AdamPrepareParams;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> state: array<f32>;
@group(0) @binding(3) var<storage, read_write> norm: array<f32>;
@group(0) @binding(4) var<storage, read_write> skipped: array<f32>;

// The factor for all gradients. As in clip_grad_norm_ it is NaN for a NaN norm, and 0 for an infinite one.
fn clip_scale(total: f32) -> f32 {
    let size = magnitude(total);
    if params.clip == 0u {
        return 1.0;
    }
    if size > INFINITY {
        return total;
    }
    if size == INFINITY {
        return 0.0;
    }
    let with_epsilon = total + 1e-6;
    if with_epsilon <= params.max_norm {
        return 1.0;
    }
    return params.max_norm / with_epsilon;
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) invocation: u32) {
    var sum = Sum();
    for (var i = invocation; i < params.partials; i += 256u) {
        sum += vec3<f32>(partial[3u * i + TINY], partial[3u * i + MEDIUM], partial[3u * i + HUGE]);
    }
    let total = workgroup_sum(invocation, sum);
    if invocation == 0u {
        let count = state[ACCUMULATED];
        state[ACCUMULATED] = 0.0;
        let is_empty = params.accumulation != 0u && count == 0.0;
        let is_mean = params.accumulation == MEAN && !is_empty;
        var global_norm = root(total);
        if is_mean {
            global_norm /= count;
        }
        norm[0] = global_norm;
        var scale = clip_scale(global_norm);
        if is_mean {
            scale /= count;
        }
        state[SCALE] = scale;
        state[LIMIT] = params.clip_value;
        // Not by the norm, which can overflow although every gradient is finite.
        let is_bad = params.skip_nonfinite != 0u && magnitude(total[HUGE]) >= INFINITY;
        state[SKIP] = f32(is_bad || is_empty);
        state[FIRST] = f32(state[CORRECTION1] == 0.0);
        if is_bad {
            skipped[0] += 1.0;
        } else if !is_empty {
            state[CORRECTION1] = params.beta1 * state[CORRECTION1] + params.one_minus_beta1;
            state[CORRECTION2] = params.beta2 * state[CORRECTION2] + params.one_minus_beta2;
        }
    }
}
