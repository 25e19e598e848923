#import shared/activation
#import shared/walk
#import shared/loads
#import shared/step_backward_params
#import shared/step_backward

// One step of back-propagation through time of the GRU: the recurrent part of d_h from the step after, then the gates
// of this step; equations (9) and (5), (6), (7), (8) of lib.rs. RESET_BEFORE leaves (7) to gru_reset_backward.
// Parameters and bindings: shared/step_backward_params.wgsl. Division of work: shared/walk.wgsl.
//
// h         rows of H states, read at h_before
// gates     [B, 4, H] of the step after: (d_ar, d_az, d_an, d_hn = d_an * r), read; of this step: (r, z, n, hn) before,
//           (d_ar, d_az, d_an, d_hn) after. (d_ar, d_az, d_an) is d_x_proj, (d_ar, d_az, d_hn) is d_h_proj. With
//           RESET_BEFORE the first stays r and the fourth r * h. r, z and n are stored as `kept` of
//           shared/activation.wgsl has them.
// d_output  rows of H; d_h_n [B, H]; weight_hh [3H, H]; lengths [B]
// d_h0      [B, H]: d_h' * z of the step after, replaced by that of this step; after the final dispatch d_h0
//
// Departures from the plain loop of the twin (reference::gru_step_backward):
// 1. The product d_h_proj . W_hh needs all units of a step, so the next step begins with it: with one dispatch per
//    step, d_h0 takes one more.
// 2. ROWS rows share each load of weights, and four units each load of gradients.
// 3. Gates and their gradients lie in the same place: each invocation replaces its own numbers.
// 4. Rows past the batch read its last row, units past H the last ones; neither is stored.

override RESET_BEFORE: bool;
override GATE: u32;
override GATE_ALPHA: f32;
override GATE_BETA: f32;
override CANDIDATE: u32;
override CANDIDATE_ALPHA: f32;
override CANDIDATE_BETA: f32;

fn multiply(at: StepOffsets, row: u32, unit: u32, local: vec2<u32>) {
    let rows0 = four_rows(at.gates_after, row, 4u * params.hidden);
    let rows1 = four_rows(at.gates_after, row + 4u, 4u * params.hidden);
    // The gates of d_h_proj are the first, second and fourth.
    let blocks = select(3u, 2u, RESET_BEFORE);
    store_sums(local, products(at, rows0, rows1, 0u, select(0u, blocks, at.has_product), unit, local.y));
}

fn finish(at: StepOffsets, row: u32, unit: u32, recurrent: f32) -> f32 {
    let hidden = params.hidden;
    var d_h = d_state(at, row, unit, recurrent);                                            // (9)
    if at.is_final {
        store_d_state(at, row, unit, d_h);
        return 0.0;
    }
    let gate = at.gates + row * 4u * hidden + unit;
    if is_over(row, at.t) {
        set_gate(gate, 0.0);
        set_gate(gate + hidden, 0.0);
        set_gate(gate + 2u * hidden, 0.0);
        set_gate(gate + 3u * hidden, 0.0);
        store_d_state(at, row, unit, d_h);
        return 0.0;
    }
    d_h += d_output_of(at, row, unit);
    let kept_z = gate_at(gate + hidden);
    let kept_n = gate_at(gate + 2u * hidden);
    let z = value_of_kept(GATE, GATE_ALPHA, GATE_BETA, kept_z);
    let n = value_of_kept(CANDIDATE, CANDIDATE_ALPHA, CANDIDATE_BETA, kept_n);
    let before = state_at(at.before + row * params.h_stride + unit);
    let d_an = d_h * (1.0 - z) * slope_of_kept(CANDIDATE, CANDIDATE_ALPHA, CANDIDATE_BETA, kept_n);  // (5)
    let d_az = d_h * (before - n) * slope_of_kept(GATE, GATE_ALPHA, GATE_BETA, kept_z);              // (6)
    set_gate(gate + hidden, d_az);                                                                   // (8)
    set_gate(gate + 2u * hidden, d_an);
    if !RESET_BEFORE {
        let hn = gate_at(gate + 3u * hidden);
        let kept_r = gate_at(gate);
        set_gate(gate, d_an * hn * slope_of_kept(GATE, GATE_ALPHA, GATE_BETA, kept_r));              // (7)
        set_gate(gate + 3u * hidden, d_an * value_of_kept(GATE, GATE_ALPHA, GATE_BETA, kept_r));
    }
    store_d_state(at, row, unit, d_h * z);
    return d_h * d_h;
}
