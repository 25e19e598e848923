#import shared/exponential
#import shared/mean
#import shared/reduce
#import shared/weight

// Cross-entropy of logits x against the class t of each row, and its gradient (PyTorch's CrossEntropyLoss): with
// p = softmax(x) a row costs -ln p_t, and d_x_j = (p_j - (1 if j = t else 0)) times the share of the row in the mean.
//
// prediction, d_prediction [rows, classes]; expected [rows], whole numbers; mask [rows], weights. partial [workgroups]:
// one sum per workgroup, already divided; sum_rows adds them up. With HAS_MASK or HAS_IGNORED it has one element more,
// the sum of all weights (sum_weights). Of no weight the mean is NaN, but every gradient 0. What is no class is looked
// at nowhere: loss and gradient of its row are NaN.
//
// LANES neighbouring invocations share a row. Rows go in turn to all (256 / LANES) * workgroups groups of them.
//
// Departures from the plain loop of the twin (reference::cross_entropy):
// 1. Sums in parts, always in the same order: of 64 powers, of 64 rows, over lanes as a tree.
// 2. Each loss is divided before it is added, as in shared/loss.wgsl.
// 3. A row whose largest logit is not finite has a NaN somewhere, or something infinite less itself: it is NaN.

alias Sum = f32;

struct CrossEntropyParams {
    rows: u32,
    classes: u32,
    prediction_offset: u32,
    d_prediction_offset: u32,
    workgroups: u32,
    ignored: u32,
    // 1 / rows
    inverse_rows: f32,
}

// A power of two, at most 256.
override LANES: u32;
// Without it d_prediction is not written.
override HAS_GRADIENT: bool;

@group(0) @binding(0) var<uniform> params: CrossEntropyParams;
@group(0) @binding(1) var<storage, read> prediction: array<f32>;
@group(0) @binding(2) var<storage, read> expected: array<u32>;
@group(0) @binding(3) var<storage, read> mask: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_prediction: array<f32>;
@group(0) @binding(5) var<storage, read_write> partial: array<f32>;

// NaN if one of them is.
fn larger(a: f32, b: f32) -> f32 {
    return select(b, a, is_nan(a) || (!is_nan(b) && a > b));
}

// The sum of one value per lane of a row, or the largest. All of the workgroup must reach it.
fn over_lanes(invocation: u32, value: f32, is_sum: bool) -> f32 {
    if LANES == 1u {
        return value;
    }
    let lane = invocation % LANES;
    reduce_scratch[invocation] = value;
    workgroupBarrier();
    for (var width = LANES / 2u; width > 0u; width /= 2u) {
        if lane < width {
            let a = reduce_scratch[invocation];
            let b = reduce_scratch[invocation + width];
            reduce_scratch[invocation] = select(larger(a, b), a + b, is_sum);
        }
        workgroupBarrier();
    }
    let result = reduce_scratch[invocation - lane];
    workgroupBarrier();
    return result;
}

// e^x for x <= 0.
fn power(x: f32) -> f32 {
    return value(exponential(x));
}

// ln(1 + y) for y >= 0. Above 1 the number 1 + y is 2^k (1 + e).
fn ln_of_one_and(y: f32) -> f32 {
    let bits = bitcast<u32>(1.0 + y);
    let k = (bits >> 23u) - 127u;
    let e = bitcast<f32>((bits & 0x007fffffu) | 0x3f800000u) - 1.0;
    return f32(k) * 0.693147182 + ln_one_plus(select(e, y, k == 0u));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) invocation: u32) {
    let lane = invocation % LANES;
    let rows_at_once = 256u / LANES;
    var weights = 1.0;
    var inverse = params.inverse_rows;
    if HAS_MASK || HAS_IGNORED {
        weights = partial[params.workgroups];
        inverse = inverse_of(weights);
    }
    var sum = 0.0;
    var few = 0.0;
    var terms = 0u;
    for (var first = workgroup.x * rows_at_once; first < params.rows; first += params.workgroups * rows_at_once) {
        let is_own = first + invocation / LANES < params.rows;
        let row = min(first + invocation / LANES, params.rows - 1u);
        let begin = params.prediction_offset + row * params.classes;
        let t = expected[row];
        let own_logit = prediction[begin + min(t, params.classes - 1u)];

        var most = own_logit;
        for (var j = lane; j < params.classes; j += LANES) {
            most = larger(most, prediction[begin + j]);
        }
        let highest = over_lanes(invocation, most, false);

        // All but that of the class: then p_t - 1 keeps its digits, and so does the loss where p_t is almost 1.
        var powers = 0.0;
        for (var part = lane; part < params.classes; part += 64u * LANES) {
            var sum_of_part = 0.0;
            for (var j = part; j < min(part + 64u * LANES, params.classes); j += LANES) {
                sum_of_part += select(power(prediction[begin + j] - highest), 0.0, j == t);
            }
            powers += sum_of_part;
        }
        let others = over_lanes(invocation, powers, true);
        let own = power(own_logit - highest);

        let is_number = t < params.classes && !is_nan(highest) && !is_infinite(highest);
        let weight = weight_of(row);
        let share = select(no_number(highest), weight * inverse, is_number);
        if lane == 0u && is_own {
            // Where the class has the largest logit, nothing that is 1 may be near the small ones.
            let log_sum = ln_of_one_and(select(others + (own - 1.0), others, own == 1.0));
            // By halves: f32 holds the difference of all that it holds halved.
            let loss = log_sum * share + (0.5 * highest - 0.5 * own_logit) * (2.0 * share);
            few += select(0.0, select(share, loss, is_number), counts(weight));
            terms++;
            if terms == 64u {
                sum += few;
                few = 0.0;
                terms = 0u;
            }
        }
        if HAS_GRADIENT && is_own {
            let d_begin = params.d_prediction_offset + row * params.classes;
            for (var j = lane; j < params.classes; j += LANES) {
                let p = select(power(prediction[begin + j] - highest), -others, j == t) / (others + own);
                d_prediction[d_begin + j] = select(0.0, select(share, p * share, is_number), counts(weight));
            }
        }
    }
    let total = workgroup_sum(invocation, sum + few);
    if invocation == 0u {
        partial[workgroup.x] = select(inverse, total, counts(weights));
    }
}
