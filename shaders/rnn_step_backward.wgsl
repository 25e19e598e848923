#import shared/activation
#import shared/walk
#import shared/loads
#import shared/step_backward_params
#import shared/step_backward

// One step of back-propagation through time of the plain RNN: d_h' from the step after, then d_a = d_h' f'(a).
// Parameters and bindings: shared/step_backward_params.wgsl. Division of work: shared/walk.wgsl.
//
// h         rows of H states, read at h_after
// gates     [B, H] of the step after: d_a, read; of this step: d_a after, which is d_x_proj and d_h_proj. With a clip 0
//           before, or an infinity where the clip gave the state; otherwise it is not read.
// d_output  rows of H; d_h_n [B, H]; weight_hh [H, H]; lengths [B]
// d_h0      [B, H]: 0 after a step (d_h' reaches the state before only through the product); for a row that is over
//           what it was; after the final dispatch d_h0
//
// It departs from the twin (reference::rnn_step_backward) as gru_step_backward.wgsl does.

override ACTIVATION: u32;
override ALPHA: f32;
override BETA: f32;

fn multiply(at: StepOffsets, row: u32, unit: u32, local: vec2<u32>) {
    let rows0 = four_rows(at.gates_after, row, params.hidden);
    let rows1 = four_rows(at.gates_after, row + 4u, params.hidden);
    store_sums(local, products(at, rows0, rows1, 0u, select(0u, 1u, at.has_product), unit, local.y));
}

fn finish(at: StepOffsets, row: u32, unit: u32, recurrent: f32) -> f32 {
    var d_h = d_state(at, row, unit, recurrent);
    if at.is_final {
        store_d_state(at, row, unit, d_h);
        return 0.0;
    }
    let gate = at.gates + row * params.hidden + unit;
    if is_over(row, at.t) {
        set_gate(gate, 0.0);
        store_d_state(at, row, unit, d_h);
        return 0.0;
    }
    d_h += d_output_of(at, row, unit);
    let after = state_at(at.after + row * params.h_stride + unit);
    var slope = activation_slope(ACTIVATION, ALPHA, BETA, after);
    if HAS_CLIP {
        slope = select(slope, 0.0, is_infinite(gate_at(gate)));
    }
    set_gate(gate, d_h * slope);
    store_d_state(at, row, unit, 0.0);
    return d_h * d_h;
}
