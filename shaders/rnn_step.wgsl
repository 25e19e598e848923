#import shared/activation
#import shared/walk
#ifdef VEC4
#import shared/quads
#ifdef F16
#import shared/weights_half
#else
#import shared/weights
#endif
#else
#import shared/singles
#endif
#import shared/step

// Steps of the plain RNN: h' = f(W_ih x + b_ih + W_hh h + b_hh). Parameters, bindings and how the work is cut:
// shared/step.wgsl.
//
// h      rows of H states, read at h_before, written at h_after
// gates  [B, H] of a step: x_proj before it. With SAVE and a clip 0 after it, or an infinity where the clip gave the
//        state; otherwise it is left as it is.
// weight_hh [H, H], bias_hh [H], lengths [B]
//
// It departs from the twin (reference::rnn_step) in the same ways as gru_step.wgsl.

override SAVE: bool;
override ACTIVATION: u32;
override ALPHA: f32;
override BETA: f32;

// W_hh h
fn multiply(at: Place, row: u32, unit: u32, local: vec2<u32>) {
    multiply_one(at, row, unit, local);
}

fn finish(at: Place, row: u32, unit: u32, lane: u32, own: u32) {
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
