#ifdef PACK
#import shared/f16
#endif

// Gates to f16 and back, for a forward pass that saves them as f16.
//
// gates   [rows, 4, H]: r, z, n, hn (with the reset before the product r, z, n, r * h)
// packed  [rows, 2, H]: (r, z), then (n, hn), two f16 in a word
//
// One invocation per unit and row. workgroups: (ceil(H / 8), ceil(rows / 8), 1).
// Twins: reference::f16::f16_from_gates, reference::f16::gates_from_f16.

struct GatesF16Params {
    rows: u32,
    hidden: u32,
    gates_offset: u32,
}

@group(0) @binding(0) var<uniform> params: GatesF16Params;
@group(0) @binding(1) var<storage, read_write> gates: array<f32>;
@group(0) @binding(2) var<storage, read_write> packed: array<u32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) global: vec3<u32>) {
    let hidden = params.hidden;
    let unit = global.x;
    let row = global.y;
    if unit < hidden && row < params.rows {
        let gate = params.gates_offset + row * 4u * hidden + unit;
        move_unit(gate, row * 2u * hidden + unit, hidden);
    }
}

#ifdef PACK
fn move_unit(gate: u32, pair: u32, hidden: u32) {
    packed[pair] = pack_f16(vec2<f32>(gates[gate], gates[gate + hidden]));
    packed[pair + hidden] = pack_f16(vec2<f32>(gates[gate + 2u * hidden], gates[gate + 3u * hidden]));
}
#else
fn move_unit(gate: u32, pair: u32, hidden: u32) {
    let first = unpack2x16float(packed[pair]);
    let second = unpack2x16float(packed[pair + hidden]);
    gates[gate] = first.x;
    gates[gate + hidden] = first.y;
    gates[gate + 2u * hidden] = second.x;
    gates[gate + 3u * hidden] = second.y;
}
#endif
