// One step of the GRU: recurrent product, gates and blend; equations (1), (2), (3), (4) of lib.rs, or with RESET_BEFORE
// (2), (3'), (4), after gru_reset has made (1). Parameters and bindings: shared/step.wgsl.
//
// h      rows of H states, read at h_before, written at h_after
// gates  [B, W, H] of this step; x_proj = (r, z, n) in the first three before it. With SAVE r, z, n, hn after it, without
//        it is left as it is. W is WIDTH: 4 with SAVE or RESET_BEFORE, else 3 or 4. With RESET_BEFORE the first is r and
//        the fourth r * h before and after.
// weight_hh [3H, H], bias_hh [3H], lengths [B]
//
// An invocation owns one unit of ROWS neighbouring rows of the batch; a workgroup owns LANES units of them.
// workgroups: (ceil(H / LANES), ceil(B / ROWS), 1).
//
// Departures from the plain loop of the twin (reference::gru_step):
// 1. The products of a unit share one walk over h, whose loads are the same for a whole workgroup.
// 2. ROWS rows share each load of a weight: 3 weights and ROWS states for 3 ROWS multiply-adds.
// 3. x_proj and what backward needs lie in the same place: each invocation replaces its own numbers, so a step needs one
//    buffer and training 5 states a step, h among them.
// 4. Rows past the batch read its last row, and are not stored. Where all rows of a workgroup are over, nothing is
//    multiplied.

override SAVE: bool;
// W
override WIDTH: u32;
override RESET_BEFORE: bool;
override GATE: u32;
override GATE_ALPHA: f32;
override GATE_BETA: f32;
override CANDIDATE: u32;
override CANDIDATE_ALPHA: f32;
override CANDIDATE_BETA: f32;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let hidden = params.hidden;
    let unit = workgroup.x * LANES + local.x;
    if unit >= hidden {
        return;
    }
    let row = workgroup.y * ROWS;
    let rows = state_rows(row);
    let weight_r = unit * hidden;
    let weight_z = (hidden + unit) * hidden;
    let weight_n = (2u * hidden + unit) * hidden;

    // W_hr h + b_hr, W_hz h + b_hz, hn = W_hn h + b_hn; one component a row.
    var sum_r = vec4<f32>();
    var sum_z = vec4<f32>(bias_of(hidden + unit));
    var hn = vec4<f32>(bias_of(2u * hidden + unit));
    if !all_over(row) {
        if RESET_BEFORE {
            let at = min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(params.batch - 1u));
            let reset = params.gates_offset + (at * 4u + 3u) * hidden;
            for (var k = 0u; k < hidden; k++) {
                sum_z += weight_hh[weight_z + k] * states(rows, k);
                var reset_states = vec4<f32>(gates[reset.x + k], 0.0, 0.0, 0.0);
                if ROWS > 1u {
                    reset_states = vec4<f32>(reset_states.x, gates[reset.y + k], gates[reset.z + k], gates[reset.w + k]);
                }
                hn += weight_hh[weight_n + k] * reset_states;
            }
        } else {
            sum_r = vec4<f32>(bias_of(unit));
            for (var k = 0u; k < hidden; k++) {
                let state = states(rows, k);
                sum_r += weight_hh[weight_r + k] * state;
                sum_z += weight_hh[weight_z + k] * state;
                hn += weight_hh[weight_n + k] * state;
            }
        }
    }

    for (var r = 0u; r < rows_from(row); r++) {
        finish(row + r, unit, pick(sum_r, r), pick(sum_z, r), pick(hn, r));
    }
}

fn finish(row: u32, unit: u32, sum_r: f32, sum_z: f32, hn: f32) {
    let hidden = params.hidden;
    let before = h[params.h_before + row * params.h_stride + unit];
    let after = params.h_after + row * params.h_stride + unit;
    if is_over(row) {
        h[after] = before;
        return;
    }
    let width = WIDTH * hidden;
    let gate = params.gates_offset + row * width + unit;
    var r = 1.0;
    if !RESET_BEFORE {
        r = activate(GATE, GATE_ALPHA, GATE_BETA, gates[gate] + sum_r);                                   // (1)
    }
    let z = activate(GATE, GATE_ALPHA, GATE_BETA, gates[gate + hidden] + sum_z);                          // (2)
    let n = activate(CANDIDATE, CANDIDATE_ALPHA, CANDIDATE_BETA, gates[gate + 2u * hidden] + r * hn);     // (3), (3')
    h[after] = (1.0 - z) * n + z * before;                                                                // (4)
    if SAVE {
        gates[gate + hidden] = z;
        gates[gate + 2u * hidden] = n;
        if !RESET_BEFORE {
            gates[gate] = r;
            gates[gate + 3u * hidden] = hn;
        }
    }
}
