#import shared/activation
#import shared/walk
#import shared/loads
#import shared/step_params
#import shared/step

// Steps of the GRU: recurrent product, gates and blend; equations (1), (2), (3), (4) of lib.rs, or with RESET_BEFORE
// (2), (3'), (4), after gru_reset has made (1). Parameters: shared/step_params.wgsl. Division of work:
// shared/walk.wgsl.
//
// h      rows of H states, read at h_before, written at h_after
// gates  [B, W, H] of a step: x_proj = (r, z, n) in the first three before. After, with SAVE, (r, z, n, hn); without it
//        they are unchanged. W is WIDTH: 4 with SAVE or RESET_BEFORE, otherwise 3 or 4. With RESET_BEFORE the first is
//        r and the fourth r * h, before and after. r, z and n are stored as `kept` has them: an infinity where the clip
//        gave the value.
// weight_hh [3H, H], bias_hh [3H], lengths [B]
//
// Departures from the plain loop of the twin (reference::gru_step):
// 1. The products of a unit share one walk over h, LOAD_WIDTH numbers at a time.
// 2. ROWS rows share each load of a weight.
// 3. x_proj and what backward needs lie in the same place: each invocation replaces its own numbers. So a step needs
//    one buffer, and training 5 numbers per unit and step, the state among them.
// 4. Rows past the batch read its last row, units past H the last unit; neither is stored. Where all rows of a
//    workgroup are over, nothing is multiplied.
// 5. The epilogue loops over a run-time count, so the compiler emits it once instead of unrolling it.

override SAVE: bool;
override RESET_BEFORE: bool;
override GATE: u32;
override GATE_ALPHA: f32;
override GATE_BETA: f32;
override CANDIDATE: u32;
override CANDIDATE_ALPHA: f32;
override CANDIDATE_BETA: f32;

// W_hr h, W_hz h and W_hn h; with RESET_BEFORE W_hz h and W_hn (r * h).
fn multiply(at: StepOffsets, row: u32, unit: u32, local: vec2<u32>) {
    let hidden = params.hidden;
    let weight_r = weight_row(at, unit);
    let weight_z = weight_row(at, hidden + unit);
    let weight_n = weight_row(at, 2u * hidden + unit);
    let stride = weight_stride();
    let rows0 = four_rows(at.before, row, params.h_stride);
    let rows1 = four_rows(at.before, row + 4u, params.h_stride);
    let reset0 = four_rows(at.gates + 3u * hidden, row, 4u * hidden);
    let reset1 = four_rows(at.gates + 3u * hidden, row + 4u, 4u * hidden);
    var r0 = vec4<f32>();
    var r1 = vec4<f32>();
    var z0 = vec4<f32>();
    var z1 = vec4<f32>();
    var n0 = vec4<f32>();
    var n1 = vec4<f32>();
    for (var k = first_part(local.y); k < hidden; k += LOAD_WIDTH * SPLIT) {
        let of_z = weights_from(weight_z + k * stride);
        let of_n = weights_from(weight_n + k * stride);
        var of_r = Part();
        if !RESET_BEFORE {
            of_r = weights_from(weight_r + k * stride);
        }
        if ROWS == 1u {
            let state = states_from(rows0.x + k);
            z0.x += inner(of_z, state);
            if RESET_BEFORE {
                n0.x += inner(of_n, gates_from(reset0.x + k));
            } else {
                r0.x += inner(of_r, state);
                n0.x += inner(of_n, state);
            }
        } else {
            let states0 = states_of(rows0, k);
            z0 = add_products(z0, states0, of_z);
            if RESET_BEFORE {
                n0 = add_products(n0, gates_of(reset0, k), of_n);
            } else {
                r0 = add_products(r0, states0, of_r);
                n0 = add_products(n0, states0, of_n);
            }
        }
        if ROWS > 4u {
            let states1 = states_of(rows1, k);
            z1 = add_products(z1, states1, of_z);
            if RESET_BEFORE {
                n1 = add_products(n1, gates_of(reset1, k), of_n);
            } else {
                r1 = add_products(r1, states1, of_r);
                n1 = add_products(n1, states1, of_n);
            }
        }
    }
    store_sums(local, 0u, 0u, z0);
    store_sums(local, 1u, 0u, n0);
    if !RESET_BEFORE {
        store_sums(local, 2u, 0u, r0);
    }
    if ROWS > 4u {
        store_sums(local, 0u, 1u, z1);
        store_sums(local, 1u, 1u, n1);
        if !RESET_BEFORE {
            store_sums(local, 2u, 1u, r1);
        }
    }
}

// One number of the state, from the sums of row `own` of a lane.
fn finish(at: StepOffsets, row: u32, unit: u32, lane: u32, own: u32) {
    let hidden = params.hidden;
    let before = state_at(at.before + row * params.h_stride + unit);
    let after = at.after + row * params.h_stride + unit;
    if is_over(row, at.t) {
        set_state(after, before);
        return;
    }
    let gate = at.gates + row * WIDTH * hidden + unit;
    let sum_z = sum_of(lane, 0u, own) + bias_of(at, hidden + unit);
    let hn = sum_of(lane, 1u, own) + bias_of(at, 2u * hidden + unit);
    var a_r = 0.0;
    var r = 1.0;
    if !RESET_BEFORE {
        a_r = gate_at(gate) + (sum_of(lane, 2u, own) + bias_of(at, unit));
        r = activate(GATE, GATE_ALPHA, GATE_BETA, a_r);                             // (1)
    }
    let a_z = gate_at(gate + hidden) + sum_z;
    let z = activate(GATE, GATE_ALPHA, GATE_BETA, a_z);                             // (2)
    let a_n = gate_at(gate + 2u * hidden) + r * hn;
    let n = activate(CANDIDATE, CANDIDATE_ALPHA, CANDIDATE_BETA, a_n);              // (3), (3')
    set_state(after, (1.0 - z) * n + z * before);                                   // (4)
    if SAVE {
        set_gate(gate + hidden, kept(a_z, z));
        set_gate(gate + 2u * hidden, kept(a_n, n));
        if !RESET_BEFORE {
            set_gate(gate, kept(a_r, r));
            set_gate(gate + 3u * hidden, hn);
        }
    }
}
