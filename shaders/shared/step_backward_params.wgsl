// Where the steps backward find their numbers. Offsets and strides are in elements of the binding; WIDTH is the
// kernel's.

struct StepBackwardParams {
    // The number of steps, 0 for the product after the last one; B and H.
    steps: u32,
    batch: u32,
    hidden: u32,
    // From one row's state, or gradient of the output, to the next row's.
    h_stride: u32,
    // 1: at the first step d_h comes from d_h_n. 0: from what the step after left in d_h0.
    from_d_h_n: u32,
    // 1: there is a step after the first one in time, whose gradients make the first recurrent product.
    has_product: u32,
    // From one workgroup's sums of squares of d_h to the next's.
    norms_stride: u32,

    // The first cell: its first step, for comparison with the lengths; -1, or 1 if it runs in reverse.
    t: u32,
    direction: u32,
    // The states before and after the first step, its gates, and the gradient of its output.
    h_before: u32,
    h_after: u32,
    gates_offset: u32,
    d_output_offset: u32,
    // The first row's gradients of the last and of the first state.
    d_h_n_offset: u32,
    d_h0_offset: u32,
    // Its weight_hh.
    weights_offset: u32,
    // Where its sums of squares of d_h go, one per workgroup.
    norms_offset: u32,
    // Where its sums of the gradients of biases go.
    biases_offset: u32,

    // The difference of each from one cell to the next, modulo 2^32.
    next_t: u32,
    next_direction: u32,
    next_h_before: u32,
    next_h_after: u32,
    next_gates: u32,
    next_d_output: u32,
    next_d_h_n: u32,
    next_d_h0: u32,
    next_weights: u32,
    next_norms: u32,
    next_biases: u32,
}

// Sum the squares of d_h.
override HAS_NORMS: bool;
// Sum the gradients of the biases, where steps do.
override HAS_BIASES: bool;

@group(0) @binding(0) var<uniform> params: StepBackwardParams;
@group(0) @binding(5) var<storage, read> d_output: array<f32>;
@group(0) @binding(6) var<storage, read> d_h_n: array<f32>;
@group(0) @binding(7) var<storage, read_write> d_h0: array<f32>;
// Sums of squares of d_h, and of gradients of biases: not written without HAS_NORMS and HAS_BIASES.
@group(0) @binding(8) var<storage, read_write> sums: array<f32>;

// One step of a cell: where its numbers lie.
struct StepOffsets {
    t: u32,
    before: u32,
    after: u32,
    gates: u32,
    // Those of the step after it.
    gates_after: u32,
    d_output: u32,
    d_h_n: u32,
    d_h0: u32,
    weights: u32,
    norms: u32,
    from_d_h_n: bool,
}

// Step i of a cell.
fn step_offsets(cell: u32, i: u32) -> StepOffsets {
    let direction = params.direction + cell * params.next_direction;
    let ahead = direction * i;
    let states = ahead * params.batch * params.h_stride;
    let gates_of_step = params.batch * WIDTH * params.hidden;
    let gates_here = params.gates_offset + cell * params.next_gates + ahead * gates_of_step;
    let t = params.t + cell * params.next_t + ahead;
    return StepOffsets(
        t,
        params.h_before + cell * params.next_h_before + states,
        params.h_after + cell * params.next_h_after + states,
        gates_here,
        gates_here - direction * gates_of_step,
        params.d_output_offset + cell * params.next_d_output + states,
        params.d_h_n_offset + cell * params.next_d_h_n,
        params.d_h0_offset + cell * params.next_d_h0,
        params.weights_offset + cell * params.next_weights,
        params.norms_offset + cell * params.next_norms + ahead,
        params.from_d_h_n != 0u,
    );
}

// Steps backward go the other way.
fn runs_in_reverse(cell: u32) -> bool {
    return params.direction + cell * params.next_direction == 1u;
}
