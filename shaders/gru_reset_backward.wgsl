#import shared/activation
#import shared/walk
#import shared/loads
#import shared/step_backward_params
#import shared/step_backward

// The reset gate of a step backward whose reset acts before the product, after gru_step_backward: d_q = d_an . W_hn,
// d_r = d_q * h, and d_h gains d_q * r. Parameters and bindings: shared/step_backward_params.wgsl. Division of work:
// shared/walk.wgsl.
//
// h         rows of H states, read at h_before
// gates     [B, 4, H] of this step: (r, d_az, d_an, r * h) before, (d_ar, d_az, d_an, r * h) after. r is stored as
//           `kept` of shared/activation.wgsl has it.
// d_h0      [B, H]: d_h' * z before, d_h' * z + d_q * r after
// weight_hh [3H, H], of which the last H rows are read; lengths [B]
//
// It departs from the twin (reference::gru_reset_backward) as gru_step_backward.wgsl does.

override GATE: u32;
override GATE_ALPHA: f32;
override GATE_BETA: f32;

// d_q of this very step.
fn multiply(at: StepOffsets, row: u32, unit: u32, local: vec2<u32>) {
    let rows0 = four_rows(at.gates, row, 4u * params.hidden);
    let rows1 = four_rows(at.gates, row + 4u, 4u * params.hidden);
    store_sums(local, products(at, rows0, rows1, 2u, 1u, unit, local.y));
}

fn finish(at: StepOffsets, row: u32, unit: u32, d_q: f32) -> f32 {
    if is_over(row, at.t) {
        return 0.0;
    }
    let gate = at.gates + row * 4u * params.hidden + unit;
    let kept_r = gate_at(gate);
    let before = state_at(at.before + row * params.h_stride + unit);
    set_gate(gate, d_q * before * slope_of_kept(GATE, GATE_ALPHA, GATE_BETA, kept_r));    // (7)
    d_h0[at.d_h0 + row * params.hidden + unit] += d_q * value_of_kept(GATE, GATE_ALPHA, GATE_BETA, kept_r);
    return 0.0;
}
