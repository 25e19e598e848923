// Where the steps forward find their numbers. Offsets and strides are in elements of the binding; WIDTH is the
// kernel's.

struct StepParams {
    // The number of steps; B and H.
    steps: u32,
    batch: u32,
    hidden: u32,
    // From one row's state to the next row's.
    h_stride: u32,

    // The first cell: its first step, for comparison with the lengths; 1, or -1 in reverse.
    t: u32,
    direction: u32,
    // The states before and after the first step, and its gates.
    h_before: u32,
    h_after: u32,
    gates_offset: u32,
    // Its rows of weight_hh, and its bias_hh.
    weights_offset: u32,
    bias_offset: u32,

    // The difference of each from one cell to the next, modulo 2^32.
    next_t: u32,
    next_direction: u32,
    next_h_before: u32,
    next_h_after: u32,
    next_gates: u32,
    next_weights: u32,
    next_bias: u32,
}

override HAS_BIAS: bool;

@group(0) @binding(0) var<uniform> params: StepParams;
// Not read without HAS_BIAS.
@group(0) @binding(5) var<storage, read> bias_hh: array<f32>;

// One step of a cell: where its numbers lie.
struct StepOffsets {
    t: u32,
    before: u32,
    after: u32,
    gates: u32,
    weights: u32,
    bias: u32,
}

// Step i of a cell.
fn step_offsets(cell: u32, i: u32) -> StepOffsets {
    let ahead = (params.direction + cell * params.next_direction) * i;
    let states = ahead * params.batch * params.h_stride;
    return StepOffsets(
        params.t + cell * params.next_t + ahead,
        params.h_before + cell * params.next_h_before + states,
        params.h_after + cell * params.next_h_after + states,
        params.gates_offset + cell * params.next_gates + ahead * params.batch * WIDTH * params.hidden,
        params.weights_offset + cell * params.next_weights,
        params.bias_offset + cell * params.next_bias,
    );
}

fn runs_in_reverse(cell: u32) -> bool {
    return params.direction + cell * params.next_direction != 1u;
}

fn bias_of(at: StepOffsets, index: u32) -> f32 {
    if HAS_BIAS {
        return bias_hh[at.bias + index];
    }
    return 0.0;
}
