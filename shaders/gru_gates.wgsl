#import shared/exponential
#import shared/activation
#import shared/gru_activations

// The gates of a GRU for many rows at once, from the two products that are known for all of them. A forward pass that
// saved only states recomputes its gates like this before the backward loop. Equations (1), (2), (3) of lib.rs.
//
// gates   [rows, 4, H]: x_proj = (r, z, n) in the first three before, (r, z, n, hn) after. r, z and n are stored as
//         `kept` of shared/activation.wgsl has them.
// h_proj  [rows, 3, H]: W_hh h + b_hh for r, z and n
//
// RESET_BEFORE takes two passes, since W_hn (r * h) needs r: pass 0 makes r, z and r * h (from h, rows of H states that
// lie h_stride apart), pass 1 makes n from `W_hn (r * h) + b_hn` in the last third of h_proj.
//
// One invocation per unit and row. workgroups: (ceil(H / 8), ceil(rows / 8), 1).
// Twin: reference::gru_gates, the same loop.

struct GruGatesParams {
    rows: u32,
    hidden: u32,
    gates_offset: u32,
    h_offset: u32,
    h_stride: u32,
    pass_index: u32,
}

override RESET_BEFORE: bool;

@group(0) @binding(0) var<uniform> params: GruGatesParams;
@group(0) @binding(1) var<storage, read> h: array<f32>;
@group(0) @binding(2) var<storage, read> h_proj: array<f32>;
@group(0) @binding(3) var<storage, read_write> gates: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) global: vec3<u32>) {
    let hidden = params.hidden;
    let unit = global.x;
    let row = global.y;
    if unit >= hidden || row >= params.rows {
        return;
    }
    let gate = params.gates_offset + row * 4u * hidden + unit;
    let product = row * 3u * hidden + unit;
    var r = 1.0;
    if params.pass_index == 0u {
        let a_r = gates[gate] + h_proj[product];
        r = gate_of(a_r);                                                           // (1)
        gates[gate] = kept(a_r, r);
        let a_z = gates[gate + hidden] + h_proj[product + hidden];
        gates[gate + hidden] = kept(a_z, gate_of(a_z));                              // (2)
        if RESET_BEFORE {
            gates[gate + 3u * hidden] = r * h[params.h_offset + row * params.h_stride + unit];
            return;
        }
    }
    let hn = h_proj[product + 2u * hidden];
    var reset = hn;
    if !RESET_BEFORE {
        reset = r * hn;
        gates[gate + 3u * hidden] = hn;
    }
    let a_n = gates[gate + 2u * hidden] + reset;
    gates[gate + 2u * hidden] = kept(a_n, candidate_of(a_n));                         // (3), (3')
}
