// One step of back-propagation through time of the GRU: the recurrent part of d_h from the step after, then the gates of
// this step; equations (9) and (5), (6), (7), (8) of lib.rs. With RESET_BEFORE (7) is left to gru_reset_backward.
// Parameters and bindings: shared/step_backward.wgsl.
//
// h         rows of H states, read at h_before
// gates     [B, 4, H] of the step after: d_ar, d_az, d_an, d_hn = d_an * r, read; of this step: r, z, n, hn before and
//           d_ar, d_az, d_an, d_hn after it. (d_ar, d_az, d_an) is d_x_proj, (d_ar, d_az, d_hn) d_h_proj. With RESET_BEFORE
//           the first stays r, and the fourth r * h.
// d_output  rows of H; d_h_n [B, H]; weight_hh [3H, H]; lengths [B]
// d_h0      [B, H]: d_h' * z of the step after, replaced by that of this step; after the final dispatch d_h0
//
// An invocation owns the units x, x + LANES, .. (UNITS of them) of ROWS neighbouring rows of the batch; a workgroup owns
// LANES UNITS units of these rows. workgroups: (ceil(H / (LANES UNITS)), ceil(B / ROWS), 1).
//
// Departures from the plain loop of the twin (reference::gru_step_backward):
// 1. The product d_h_proj . W_hh needs all units of a step, so it is taken at the begin of the next dispatch: one
//    dispatch a step, and a final one for d_h0.
// 2. ROWS rows share each load of a weight, and UNITS units each load of a gradient; neighbouring invocations read
//    neighbouring weights.
// 3. Gates and their gradients lie in the same place: each invocation replaces its own numbers.
// 4. Rows past the batch read its last row, units past H the last unit; neither is stored.

override RESET_BEFORE: bool;
override GATE: u32;
override GATE_ALPHA: f32;
override GATE_BETA: f32;
override CANDIDATE: u32;
override CANDIDATE_ALPHA: f32;
override CANDIDATE_BETA: f32;

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
            let rows = gate_rows(params.gates_after, row, 4u * hidden);
            add_product(&sums, rows, 0u, 0u, unit);
            add_product(&sums, rows, hidden, hidden, unit);
            if !RESET_BEFORE {
                // The gates of d_h_proj are the first, second and fourth.
                add_product(&sums, rows, 3u * hidden, 2u * hidden, unit);
            }
        }
        total = finish_block(row, unit, sums);
    }
    store_norm(workgroup.xy, workgroups.x, local.x, total);
}

fn finish(row: u32, unit: u32, recurrent: f32) -> f32 {
    let hidden = params.hidden;
    var d_h = d_state(row, unit, recurrent);                                            // (9)
    if params.is_final != 0u {
        store_d_state(row, unit, d_h);
        return 0.0;
    }
    let gate = params.gates_offset + row * 4u * hidden + unit;
    if is_over(row) {
        gates[gate] = 0.0;
        gates[gate + hidden] = 0.0;
        gates[gate + 2u * hidden] = 0.0;
        gates[gate + 3u * hidden] = 0.0;
        store_d_state(row, unit, d_h);
        return 0.0;
    }
    d_h += d_output_of(row, unit);
    let r = gates[gate];
    let z = gates[gate + hidden];
    let n = gates[gate + 2u * hidden];
    let before = h[params.h_before + row * params.h_stride + unit];
    let d_an = d_h * (1.0 - z) * activation_slope(CANDIDATE, CANDIDATE_ALPHA, CANDIDATE_BETA, n);  // (5)
    let d_az = d_h * (before - n) * activation_slope(GATE, GATE_ALPHA, GATE_BETA, z);   // (6)
    gates[gate + hidden] = d_az;                                                        // (8)
    gates[gate + 2u * hidden] = d_an;
    if !RESET_BEFORE {
        let hn = gates[gate + 3u * hidden];
        gates[gate] = d_an * hn * activation_slope(GATE, GATE_ALPHA, GATE_BETA, r);     // (7)
        gates[gate + 3u * hidden] = d_an * r;
    }
    store_d_state(row, unit, d_h * z);
    return d_h * d_h;
}
