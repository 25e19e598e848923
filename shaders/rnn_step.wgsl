// One step of the plain RNN: h' = f(W_ih x + b_ih + W_hh h + b_hh). Parameters and bindings: shared/step.wgsl.
//
// h      rows of H states, read at h_before, written at h_after
// gates  [B, H] of this step: x_proj, left as it is
// weight_hh [H, H], bias_hh [H], lengths [B]
//
// The work is cut as in gru_step.wgsl, and departs from the twin (reference::rnn_step) in the same ways.

override ACTIVATION: u32;
override ALPHA: f32;
override BETA: f32;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let hidden = params.hidden;
    let unit = workgroup.x * LANES + local.x;
    if unit >= hidden {
        return;
    }
    let row = workgroup.y * ROWS;
    let rows = state_rows(row);
    var sum = vec4<f32>(bias_of(unit));
    if !all_over(row) {
        for (var k = 0u; k < hidden; k++) {
            sum += weight_hh[unit * hidden + k] * states(rows, k);
        }
    }
    for (var r = 0u; r < rows_from(row); r++) {
        finish(row + r, unit, pick(sum, r));
    }
}

fn finish(row: u32, unit: u32, sum: f32) {
    let after = params.h_after + row * params.h_stride + unit;
    if is_over(row) {
        h[after] = h[params.h_before + row * params.h_stride + unit];
        return;
    }
    h[after] = activate(ACTIVATION, ALPHA, BETA, gates[params.gates_offset + row * params.hidden + unit] + sum);
}
