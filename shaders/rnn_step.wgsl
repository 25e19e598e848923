#import shared/activation
#import shared/walk
#import shared/loads
#import shared/step_params
#import shared/step

// Steps of the plain RNN: h' = f(W_ih x + b_ih + W_hh h + b_hh). Parameters: shared/step_params.wgsl. Division of
// work: shared/walk.wgsl.
//
// h      rows of H states, read at h_before, written at h_after
// gates  [B, H] of a step: x_proj before. After, with SAVE and a clip, 0, or an infinity where the clip gave the state;
//        otherwise unchanged.
// weight_hh [H, H], bias_hh [H], lengths [B]
//
// It departs from the twin (reference::rnn_step) as gru_step.wgsl does.

override SAVE: bool;
override ACTIVATION: u32;
override ALPHA: f32;
override BETA: f32;

// W_hh h
fn multiply(at: StepOffsets, row: u32, unit: u32, local: vec2<u32>) {
    multiply_one(at, row, unit, local);
}

fn finish(at: StepOffsets, row: u32, unit: u32, lane: u32, own: u32) {
    let before = at.before + row * params.h_stride + unit;
    let after = at.after + row * params.h_stride + unit;
    if is_over(row, at.t) {
        set_state(after, state_at(before));
        return;
    }
    let gate = at.gates + row * params.hidden + unit;
    let a = gate_at(gate) + (sum_of(lane, 0u, own) + bias_of(at, unit));
    set_state(after, activate(ACTIVATION, ALPHA, BETA, a));
    if SAVE && HAS_CLIP {
        set_gate(gate, kept(a, 0.0));
    }
}
