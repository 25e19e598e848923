// One step of the GRU: recurrent product, gates and blend; equations (1), (2), (3), (4) of lib.rs.
//
// h      [T+1, B, H]      read at t, written at t + 1
// gates  [T, B, W, H]     holds x_proj [3, H] = (r, z, n) before the step; with SAVE (W = 4) it holds r, z, n, hn
//                         after it, without SAVE (W = 3) it is left as it is
// weight_hh [3H, H], bias_hh [3H]
//
// An invocation owns one unit of ROWS neighbouring rows of the batch; a workgroup owns LANES units of them.
// workgroups: (ceil(H / LANES), ceil(B / ROWS), 1).
//
// Departures from the plain loop of the twin (reference::gru_step):
// 1. The three products of a unit share one walk over h, whose loads are the same for a whole workgroup.
// 2. ROWS rows share each load of a weight: 3 weights and ROWS states for 3 ROWS multiply-adds.
// 3. x_proj and what backward needs lie in the same place: each invocation replaces its own numbers, so a step needs one
//    buffer and training 5 states a step, h among them.
// 4. Rows past the batch read its last row, and are not stored.

struct GruStepParams {
    // Which step this is, counted from the begin of the bound range.
    t: u32,
    batch: u32,
    hidden: u32,
    // Elements of the binding before the first state, and before the first gate.
    h_offset: u32,
    gates_offset: u32,
}

override LANES: u32;
// 1 or 4.
override ROWS: u32;
override SAVE: bool;

@group(0) @binding(0) var<uniform> params: GruStepParams;
@group(0) @binding(1) var<storage, read> weight_hh: array<f32>;
@group(0) @binding(2) var<storage, read> bias_hh: array<f32>;
@group(0) @binding(3) var<storage, read_write> h: array<f32>;
@group(0) @binding(4) var<storage, read_write> gates: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let hidden = params.hidden;
    let unit = workgroup.x * LANES + local.x;
    if unit >= hidden {
        return;
    }
    let row = workgroup.y * ROWS;
    let last_row = params.batch - 1u;
    let h_begin = params.h_offset + params.t * params.batch * hidden;
    let h0 = h_begin + row * hidden;
    let h1 = h_begin + min(row + 1u, last_row) * hidden;
    let h2 = h_begin + min(row + 2u, last_row) * hidden;
    let h3 = h_begin + min(row + 3u, last_row) * hidden;
    let weight_r = unit * hidden;
    let weight_z = (hidden + unit) * hidden;
    let weight_n = (2u * hidden + unit) * hidden;

    // W_hr h + b_hr, W_hz h + b_hz, hn = W_hn h + b_hn; one component a row.
    var sum_r = vec4<f32>(bias_hh[unit]);
    var sum_z = vec4<f32>(bias_hh[hidden + unit]);
    var hn = vec4<f32>(bias_hh[2u * hidden + unit]);
    for (var k = 0u; k < hidden; k++) {
        var state = vec4<f32>(h[h0 + k], 0.0, 0.0, 0.0);
        if ROWS > 1u {
            state = vec4<f32>(state.x, h[h1 + k], h[h2 + k], h[h3 + k]);
        }
        sum_r += weight_hh[weight_r + k] * state;
        sum_z += weight_hh[weight_z + k] * state;
        hn += weight_hh[weight_n + k] * state;
    }

    finish(row, unit, sum_r.x, sum_z.x, hn.x);
    if ROWS > 1u {
        finish(row + 1u, unit, sum_r.y, sum_z.y, hn.y);
        finish(row + 2u, unit, sum_r.z, sum_z.z, hn.z);
        finish(row + 3u, unit, sum_r.w, sum_z.w, hn.w);
    }
}

fn finish(row: u32, unit: u32, sum_r: f32, sum_z: f32, hn: f32) {
    if row >= params.batch {
        return;
    }
    let hidden = params.hidden;
    let width = select(3u, 4u, SAVE) * hidden;
    let at = params.t * params.batch + row;
    let gate = params.gates_offset + at * width + unit;
    let state = params.h_offset + at * hidden + unit;
    let r = sigmoid(gates[gate] + sum_r);                                   // (1)
    let z = sigmoid(gates[gate + hidden] + sum_z);                          // (2)
    let n = tanh_guarded(gates[gate + 2u * hidden] + r * hn);               // (3)
    h[state + params.batch * hidden] = (1.0 - z) * n + z * h[state];        // (4)
    if SAVE {
        gates[gate] = r;
        gates[gate + hidden] = z;
        gates[gate + 2u * hidden] = n;
        gates[gate + 3u * hidden] = hn;
    }
}
