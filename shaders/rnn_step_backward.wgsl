// One step of back-propagation through time of the plain RNN: d_h' from the step after, then d_a = d_h' f'(a).
// Parameters and bindings: shared/step_backward.wgsl.
//
// h         rows of H states, read at h_after
// gates     [B, H] of the step after: d_a, read; of this step: d_a after it, which is d_x_proj and d_h_proj
// d_output  rows of H; d_h_n [B, H]; weight_hh [H, H]; lengths [B]
// d_h0      [B, H]: 0 after a step (nothing of d_h' reaches the state before but by the product); for a row that is over
//           what it was; after the final dispatch d_h0
//
// The work is cut as in gru_step_backward.wgsl, and departs from the twin (reference::rnn_step_backward) in the same ways.

override ACTIVATION: u32;
override ALPHA: f32;
override BETA: f32;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let hidden = params.hidden;
    let unit = workgroup.x * LANES * UNITS + local.x;
    let row = workgroup.y * ROWS;
    var total = 0.0;
    if unit < hidden {
        var sums = array<vec4<f32>, 4>();
        if params.has_product != 0u {
            add_product(&sums, gate_rows(params.gates_after, row, hidden), 0u, 0u, unit);
        }
        total = finish_block(row, unit, sums);
    }
    store_norm(workgroup.xy, workgroups.x, local.x, total);
}

fn finish(row: u32, unit: u32, recurrent: f32) -> f32 {
    var d_h = d_state(row, unit, recurrent);
    if params.is_final != 0u {
        store_d_state(row, unit, d_h);
        return 0.0;
    }
    let gate = params.gates_offset + row * params.hidden + unit;
    if is_over(row) {
        gates[gate] = 0.0;
        store_d_state(row, unit, d_h);
        return 0.0;
    }
    d_h += d_output_of(row, unit);
    let after = h[params.h_after + row * params.h_stride + unit];
    gates[gate] = d_h * activation_slope(ACTIVATION, ALPHA, BETA, after);
    store_d_state(row, unit, 0.0);
    return d_h * d_h;
}
