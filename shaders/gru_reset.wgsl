#import shared/activation
#import shared/walk
#import shared/loads
#import shared/step_params
#import shared/step

// The reset gate of a step whose reset acts before the product: equation (1) of lib.rs, and r * h, of which the kernel
// after it needs all units. Parameters: shared/step_params.wgsl. Division of work: shared/walk.wgsl.
//
// h      rows of H states, read at h_before
// gates  [B, 4, H] of the step: x_proj of r in the first before, r as `kept` has it after; r * h in the fourth after
// weight_hh [3H, H] and bias_hh [3H], of which the first H rows are read; lengths [B]
//
// It departs from the twin (reference::gru_reset) as gru_step.wgsl does.

override GATE: u32;
override GATE_ALPHA: f32;
override GATE_BETA: f32;

// W_hr h
fn multiply(at: StepOffsets, row: u32, unit: u32, local: vec2<u32>) {
    multiply_one(at, row, unit, local);
}

fn finish(at: StepOffsets, row: u32, unit: u32, lane: u32, own: u32) {
    if is_over(row, at.t) {
        return;
    }
    let gate = at.gates + row * WIDTH * params.hidden + unit;
    let a_r = gate_at(gate) + (sum_of(lane, 0u, own) + bias_of(at, unit));
    let r = activate(GATE, GATE_ALPHA, GATE_BETA, a_r);                             // (1)
    set_gate(gate, kept(a_r, r));
    set_gate(gate + 3u * params.hidden, r * state_at(at.before + row * params.h_stride + unit));
}
