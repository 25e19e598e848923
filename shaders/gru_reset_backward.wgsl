// The reset gate of a step backward whose reset acts before the product, after gru_step_backward: d_q = d_an . W_hn,
// d_r = d_q * h, and d_h gains d_q * r. Parameters and bindings: shared/step_backward.wgsl.
//
// h         rows of H states, read at h_before
// gates     [B, 4, H] of this step: r, d_az, d_an, r * h before, d_ar, d_az, d_an, r * h after it
// d_h0      [B, H]: d_h' * z before, with d_q * r after it
// weight_hh [3H, H], of which the last H rows are read; lengths [B]
//
// The work is cut as in gru_step_backward.wgsl, and departs from the twin (reference::gru_reset_backward) in the same ways.

override GATE: u32;
override GATE_ALPHA: f32;
override GATE_BETA: f32;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let hidden = params.hidden;
    let unit = workgroup.x * LANES * UNITS + local.x;
    let row = workgroup.y * ROWS;
    if unit < hidden {
        var sums = array<vec4<f32>, 4>();
        let rows = gate_rows(params.gates_offset, row, 4u * hidden);
        add_product(&sums, rows, 2u * hidden, 2u * hidden, unit);
        let total = finish_block(row, unit, sums);
    }
}

fn finish(row: u32, unit: u32, d_q: f32) -> f32 {
    if is_over(row) {
        return 0.0;
    }
    let gate = params.gates_offset + row * 4u * params.hidden + unit;
    let r = gates[gate];
    let before = h[params.h_before + row * params.h_stride + unit];
    gates[gate] = d_q * before * activation_slope(GATE, GATE_ALPHA, GATE_BETA, r);      // (7)
    d_h0[params.d_h0_offset + row * params.hidden + unit] += d_q * r;
    return 0.0;
}
