#ifdef F16
#import shared/f16
#endif

// The recurrent weights as the steps read them: as they are or, with F16, as f16, two in a word; in their own order or
// transposed.
//
// source [R, H]; packed [R, H] or, if transposed, [H, R]. With F16 H is even.
//
// One invocation per word. workgroups: (x, y, 1), where x y is at least the words / 256 and x is `workgroups`.
// Twins: reference::pack, reference::f16.

struct PackParams {
    // R and H.
    rows: u32,
    columns: u32,
    source_offset: u32,
    // In words.
    packed_offset: u32,
    transposed: u32,
    // Workgroups in a row of the grid.
    workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: PackParams;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read_write> packed: array<u32>;

// Element i of what is packed.
fn element(i: u32) -> f32 {
    let at = select(i, i % params.rows * params.columns + i / params.rows, params.transposed != 0u);
    return source[params.source_offset + at];
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let i = (workgroup.y * params.workgroups + workgroup.x) * 256u + local.x;
#ifdef F16
    if i < params.rows * params.columns / 2u {
        packed[params.packed_offset + i] = pack_f16(vec2<f32>(element(2u * i), element(2u * i + 1u)));
    }
#else
    if i < params.rows * params.columns {
        packed[params.packed_offset + i] = bitcast<u32>(element(i));
    }
#endif
}
