// One step of back-propagation through time: the recurrent part of d_h from the step after, then the gates of this step;
// equations (9) and (5), (6), (7), (8) of lib.rs.
//
// h         [T+1, B, H]    read at t
// d_output  [T, B, H]      read at t
// gates     [T, B, 4, H]   at t + 1: d_ar, d_az, d_an, d_hn = d_an * r, read; at t: r, z, n, hn before the step and
//                          d_ar, d_az, d_an, d_hn after it. (d_ar, d_az, d_an) is d_x_proj, (d_ar, d_az, d_hn) d_h_proj.
// d_h_n     [B, H]         read at the last step
// d_h0      [B, H]         d_h' * z of the step after, replaced by that of this step; after the final dispatch d_h0
// weight_hh [3H, H]
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

struct GruStepBackwardParams {
    // Which step this is, counted from the begin of the bound range. In the final dispatch -1, as all bits set.
    t: u32,
    batch: u32,
    hidden: u32,
    // 1: the last step of the sequence, with d_h_n in the place of the step after.
    is_last: u32,
    // 1: the final dispatch, which makes d_h0 from the gates of step 0.
    is_final: u32,
    // Elements of the binding before the first state, gate, and output gradient.
    h_offset: u32,
    gates_offset: u32,
    d_output_offset: u32,
}

override LANES: u32;
// 1 or 4.
override ROWS: u32;
// 1 or 4.
override UNITS: u32;

@group(0) @binding(0) var<uniform> params: GruStepBackwardParams;
@group(0) @binding(1) var<storage, read> weight_hh: array<f32>;
@group(0) @binding(2) var<storage, read> h: array<f32>;
@group(0) @binding(3) var<storage, read> d_output: array<f32>;
@group(0) @binding(4) var<storage, read> d_h_n: array<f32>;
@group(0) @binding(5) var<storage, read_write> gates: array<f32>;
@group(0) @binding(6) var<storage, read_write> d_h0: array<f32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let hidden = params.hidden;
    let unit = workgroup.x * LANES * UNITS + local.x;
    if unit >= hidden {
        return;
    }
    let row = workgroup.y * ROWS;
    // sumN: the recurrent part of unit + N LANES, one component a row.
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    if params.is_last == 0u {
        let last_row = params.batch - 1u;
        // t + 1 wraps to 0 in the final dispatch.
        let begin = params.gates_offset + (params.t + 1u) * params.batch * 4u * hidden;
        let row0 = begin + row * 4u * hidden;
        let row1 = begin + min(row + 1u, last_row) * 4u * hidden;
        let row2 = begin + min(row + 2u, last_row) * 4u * hidden;
        let row3 = begin + min(row + 3u, last_row) * 4u * hidden;
        let last_unit = hidden - 1u;
        let unit1 = min(unit + LANES, last_unit);
        let unit2 = min(unit + LANES * 2u, last_unit);
        let unit3 = min(unit + LANES * 3u, last_unit);
        for (var gate = 0u; gate < 3u; gate++) {
            // The gates of d_h_proj are the first, second and fourth.
            let column = select(gate, 3u, gate == 2u) * hidden;
            let weight = gate * hidden * hidden;
            for (var k = 0u; k < hidden; k++) {
                var d_proj = vec4<f32>(gates[row0 + column + k], 0.0, 0.0, 0.0);
                if ROWS > 1u {
                    d_proj = vec4<f32>(
                        d_proj.x,
                        gates[row1 + column + k],
                        gates[row2 + column + k],
                        gates[row3 + column + k],
                    );
                }
                let from_k = weight + k * hidden;
                sum0 += weight_hh[from_k + unit] * d_proj;
                if UNITS > 1u {
                    sum1 += weight_hh[from_k + unit1] * d_proj;
                    sum2 += weight_hh[from_k + unit2] * d_proj;
                    sum3 += weight_hh[from_k + unit3] * d_proj;
                }
            }
        }
    }

    finish_rows(row, unit, sum0);
    if UNITS > 1u {
        finish_rows(row, unit + LANES, sum1);
        finish_rows(row, unit + LANES * 2u, sum2);
        finish_rows(row, unit + LANES * 3u, sum3);
    }
}

fn finish_rows(row: u32, unit: u32, recurrent: vec4<f32>) {
    if unit >= params.hidden {
        return;
    }
    finish(row, unit, recurrent.x);
    if ROWS > 1u {
        finish(row + 1u, unit, recurrent.y);
        finish(row + 2u, unit, recurrent.z);
        finish(row + 3u, unit, recurrent.w);
    }
}

fn finish(row: u32, unit: u32, recurrent: f32) {
    if row >= params.batch {
        return;
    }
    let hidden = params.hidden;
    let own = row * hidden + unit;
    var d_h = 0.0;
    if params.is_last != 0u {
        d_h = d_h_n[own];
    } else {
        d_h = d_h0[own] + recurrent;                                        // (9)
    }
    if params.is_final != 0u {
        d_h0[own] = d_h;
        return;
    }

    let at = params.t * params.batch + row;
    d_h += d_output[params.d_output_offset + at * hidden + unit];
    let gate = params.gates_offset + at * 4u * hidden + unit;
    let r = gates[gate];
    let z = gates[gate + hidden];
    let n = gates[gate + 2u * hidden];
    let hn = gates[gate + 3u * hidden];
    let d_an = d_h * (1.0 - z) * (1.0 - n * n);                             // (5)
    let d_az = d_h * (h[params.h_offset + at * hidden + unit] - n) * z * (1.0 - z);  // (6)
    let d_ar = d_an * hn * r * (1.0 - r);                                   // (7)
    gates[gate] = d_ar;                                                     // (8)
    gates[gate + hidden] = d_az;
    gates[gate + 2u * hidden] = d_an;
    gates[gate + 3u * hidden] = d_an * r;
    d_h0[own] = d_h * z;
}
