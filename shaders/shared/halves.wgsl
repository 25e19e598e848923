// Gates as numbers of 16 bits, two in a word.
//
// gates   [rows, 4, H]: r, z, n, hn (with reset before the product r, z, n, r * h)
// halves  [rows, 2, H]: (r, z), then (n, hn)
//
// An invocation takes one unit of one row. workgroups: (ceil(H / 8), ceil(rows / 8), 1).

struct HalvesParams {
    rows: u32,
    hidden: u32,
    gates_offset: u32,
    halves_offset: u32,
}

@group(0) @binding(0) var<uniform> params: HalvesParams;
@group(0) @binding(1) var<storage, read_write> gates: array<f32>;
@group(0) @binding(2) var<storage, read_write> halves: array<u32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) global: vec3<u32>) {
    let hidden = params.hidden;
    let unit = global.x;
    let row = global.y;
    if unit < hidden && row < params.rows {
        move_unit(params.gates_offset + row * 4u * hidden + unit, params.halves_offset + row * 2u * hidden + unit, hidden);
    }
}
