// Steps of the GRU by rows, for small H: a workgroup owns a row of the batch for all steps of a dispatch. Equations
// (1), (2), (3), (4) of lib.rs. Here is what does not depend on H; the rest, with `main`, is written for HIDDEN units
// by src/kernels/generated/gru_rows.rs. Parameters: shared/step_params.wgsl.
//
// h      rows of H states, read at h_before of the first step, written at h_after of each
// gates  [B, W, H] of a step: x_proj = (r, z, n) in the first three before. After, with SAVE, (r, z, n, hn); without it
//        they are unchanged. W is WIDTH: 4 with SAVE, otherwise 3 or 4. r, z and n are stored as `kept` has them.
// weight_hh [3H, H], bias_hh [3H]
//
// A unit has SLICES invocations; slice s multiplies vec4 s, s + SLICES, s + 2 SLICES .. of the state, and slice 0
// finishes the unit. workgroups: (1, B, cells).
//
// Departures from the plain loop of the twin (reference::gru_step):
// 1. The recurrent weights are loaded once and stay in registers. Hence the unrolled text: WGSL has no unroll hint, and
//    an array that a loop indexes leaves the registers.
// 2. The state lies in workgroup memory in two copies: a step reads one and writes the other, so it ends with its one
//    barrier. Only slices that are added in workgroup memory take a second.
// 3. x_proj is loaded several steps before its step, into registers of its own: one step ahead is not enough, since a
//    step takes less time than a load.
// 4. x_proj and what backward needs lie in the same place: slice 0 of a unit replaces what only it reads.
// 5. Past H there are states and weights of zero, up to a whole vec4 for every slice.

override SAVE: bool;
override WIDTH: u32;
override GATE: u32;
override GATE_ALPHA: f32;
override GATE_BETA: f32;
override CANDIDATE: u32;
override CANDIDATE_ALPHA: f32;
override CANDIDATE_BETA: f32;

@group(0) @binding(2) var<storage, read_write> h: array<f32>;
@group(0) @binding(3) var<storage, read_write> gates: array<f32>;
// Not read.
@group(0) @binding(4) var<storage, read> lengths: array<u32>;

// What an invocation owns.
struct Lane {
    cell: u32,
    row: u32,
    unit: u32,
    slice: u32,
    // Whether it finishes its unit.
    is_owner: bool,
    bias: vec3<f32>,
}

fn lane_of(workgroup: vec3<u32>, invocation: u32) -> Lane {
    let unit = min(invocation / SLICES, HIDDEN - 1u);
    let slice = invocation % SLICES;
    let at = step_offsets(workgroup.z, 0u);
    let bias = vec3<f32>(bias_of(at, unit), bias_of(at, HIDDEN + unit), bias_of(at, 2u * HIDDEN + unit));
    return Lane(workgroup.z, workgroup.y, unit, slice, slice == 0u && invocation / SLICES < HIDDEN, bias);
}

// Where the state of a unit lies in h, for a step whose states begin at `begin`.
fn state_index(lane: Lane, begin: u32) -> u32 {
    return begin + lane.row * params.h_stride + lane.unit;
}

// Puts the first state into workgroup memory, and gives that of the unit.
fn first_state(lane: Lane, invocation: u32) -> f32 {
    let state = h[state_index(lane, step_offsets(lane.cell, 0u).before)];
    if lane.is_owner {
        set_state(lane.unit, state);
    }
    for (var past = HIDDEN + invocation; past < STATES; past += WORKGROUP) {
        set_state(past, 0.0);
        set_state(STATES + past, 0.0);
    }
    workgroupBarrier();
    return state;
}

fn sum_of(products: vec4<f32>) -> f32 {
    return (products.x + products.y) + (products.z + products.w);
}

// Where the gates of a unit lie at step t.
fn gate_index(lane: Lane, t: u32) -> u32 {
    return step_offsets(lane.cell, t).gates + lane.row * WIDTH * HIDDEN + lane.unit;
}

// x_proj at step t. Past the last step that of the last, which is not used.
fn x_proj(lane: Lane, t: u32) -> vec3<f32> {
    if !lane.is_owner {
        return vec3<f32>();
    }
    let gate = gate_index(lane, min(t, params.steps - 1u));
    return vec3<f32>(gates[gate], gates[gate + HIDDEN], gates[gate + 2u * HIDDEN]);
}

// Step t. Gives the state after it.
fn take_step(lane: Lane, weights: Weights, t: u32, x: vec3<f32>, before: f32) -> f32 {
    let front = (t & 1u) * STATES;
    let sums = sum_over_slices(lane, multiply(weights, front + 4u * lane.slice));
    var state = before;
    if lane.is_owner {
        state = finish(gate_index(lane, t), x, sums + lane.bias, before);
        set_state(STATES - front + lane.unit, state);
        h[state_index(lane, step_offsets(lane.cell, t).after)] = state;
    }
    workgroupBarrier();
    return state;
}

// The new state of a unit from x_proj, W_hh h + b_hh and its state before.
fn finish(gate: u32, x: vec3<f32>, h_proj: vec3<f32>, before: f32) -> f32 {
    let a_r = x.x + h_proj.x;
    let r = activate(GATE, GATE_ALPHA, GATE_BETA, a_r);                             // (1)
    let a_z = x.y + h_proj.y;
    let z = activate(GATE, GATE_ALPHA, GATE_BETA, a_z);                             // (2)
    let a_n = x.z + r * h_proj.z;
    let n = activate(CANDIDATE, CANDIDATE_ALPHA, CANDIDATE_BETA, a_n);              // (3)
    if SAVE {
        gates[gate] = kept(a_r, r);
        gates[gate + HIDDEN] = kept(a_z, z);
        gates[gate + 2u * HIDDEN] = kept(a_n, n);
        gates[gate + 3u * HIDDEN] = h_proj.z;
    }
    return (1.0 - z) * n + z * before;                                              // (4)
}

#ifdef SUBGROUP

// The slices of a unit are neighbours in a subgroup, which has 8 invocations at least.
fn sum_over_slices(lane: Lane, sums: vec3<f32>) -> vec3<f32> {
    var total = sums;
    for (var distance = 1u; distance < SLICES; distance *= 2u) {
        total += subgroupShuffleXor(total, distance);
    }
    return total;
}

#else
#ifdef SLICED

var<workgroup> partial: array<f32, 3u * WORKGROUP>;

// In workgroup memory. Only the owner of the unit gets the sums.
fn sum_over_slices(lane: Lane, sums: vec3<f32>) -> vec3<f32> {
    let own = 3u * (lane.unit * SLICES + lane.slice);
    partial[own] = sums.x;
    partial[own + 1u] = sums.y;
    partial[own + 2u] = sums.z;
    workgroupBarrier();
    var total = sums;
    if lane.is_owner {
        for (var other = own + 3u; other < own + 3u * SLICES; other += 3u) {
            total += vec3<f32>(partial[other], partial[other + 1u], partial[other + 2u]);
        }
    }
    return total;
}

#else

fn sum_over_slices(lane: Lane, sums: vec3<f32>) -> vec3<f32> {
    return sums;
}

#endif
#endif

#ifdef VEC4

// H is a multiple of 4.
@group(0) @binding(1) var<storage, read> weight_hh: array<vec4<f32>>;

// Four weights of a row of weight_hh from column k on, zero past its end.
fn weights_at(lane: Lane, row: u32, k: u32) -> vec4<f32> {
    let at = step_offsets(lane.cell, 0u).weights + row * HIDDEN + min(k, HIDDEN - 4u);
    return select(vec4<f32>(), weight_hh[at / 4u], k < HIDDEN);
}

#else

@group(0) @binding(1) var<storage, read> weight_hh: array<f32>;

fn weights_at(lane: Lane, row: u32, k: u32) -> vec4<f32> {
    let columns = vec4<u32>(k, k + 1u, k + 2u, k + 3u);
    let at = step_offsets(lane.cell, 0u).weights + row * HIDDEN + min(columns, vec4<u32>(HIDDEN - 1u));
    let weights = vec4<f32>(weight_hh[at.x], weight_hh[at.y], weight_hh[at.z], weight_hh[at.w]);
    return select(vec4<f32>(), weights, columns < vec4<u32>(HIDDEN));
}

#endif
#ifdef EXACT_STORES

// Neighbouring invocations store neighbouring components, and a store to one leaves the others alone.
var<workgroup> states: array<vec4<f32>, 2u * STATE_VEC4S>;

fn states_at(index: u32) -> vec4<f32> {
    return states[index / 4u];
}

fn set_state(index: u32, state: f32) {
    states[index / 4u][index % 4u] = state;
}

#else

// In WGSL a store to one component of a vector may write all of it.
var<workgroup> states: array<f32, 2u * STATES>;

fn states_at(index: u32) -> vec4<f32> {
    return vec4<f32>(states[index], states[index + 1u], states[index + 2u], states[index + 3u]);
}

fn set_state(index: u32, state: f32) {
    states[index] = state;
}

#endif
