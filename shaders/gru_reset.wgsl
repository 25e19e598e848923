// The reset gate of a step whose reset acts before the product: equation (1) of lib.rs, and r * h, of which the step that
// follows needs all units. Parameters and bindings: shared/step.wgsl.
//
// h      rows of H states, read at h_before
// gates  [B, 4, H] of this step: x_proj of r in the first before, r after it; r * h in the fourth after it
// weight_hh [3H, H] and bias_hh [3H], of which the first H rows are read; lengths [B]
//
// The work is cut as in gru_step.wgsl, and departs from the twin (reference::gru_reset) in the same ways.

override GATE: u32;
override GATE_ALPHA: f32;
override GATE_BETA: f32;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let hidden = params.hidden;
    let unit = workgroup.x * LANES + local.x;
    if unit >= hidden {
        return;
    }
    let row = workgroup.y * ROWS;
    if all_over(row) {
        return;
    }
    let rows = state_rows(row);
    var sum_r = vec4<f32>(bias_of(unit));
    for (var k = 0u; k < hidden; k++) {
        sum_r += weight_hh[unit * hidden + k] * states(rows, k);
    }
    for (var r = 0u; r < rows_from(row); r++) {
        finish(row + r, unit, pick(sum_r, r));
    }
}

fn finish(row: u32, unit: u32, sum_r: f32) {
    if is_over(row) {
        return;
    }
    let gate = params.gates_offset + row * 4u * params.hidden + unit;
    let r = activate(GATE, GATE_ALPHA, GATE_BETA, gates[gate] + sum_r);             // (1)
    gates[gate] = r;
    gates[gate + 3u * params.hidden] = r * h[params.h_before + row * params.h_stride + unit];
}
