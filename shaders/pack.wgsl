#ifdef F16
#import shared/f16
#endif

// The recurrent weights as the steps read them: as they are or, with F16, as f16, two in a word; in their own order or
// in that of a GPU's steps forward, with the vec4 of neighbouring rows side by side, so that neighbouring lanes load
// neighbouring numbers.
//
// source [R, H], H a multiple of 4; packed [R, H / 4] vec4 or, with side_by_side, [H / 4, R]. Offsets are in vec4 of
// the binding.
//
// One invocation per vec4. workgroups: (x, y, 1), where x y is at least R H / 4 / 256 and x is `workgroups`.
// Twins: reference::pack, reference::f16.

#ifdef F16
alias Packed = vec2<u32>;

fn packed_vec4(weights: vec4<f32>) -> Packed {
    return vec2<u32>(pack_f16(weights.xy), pack_f16(weights.zw));
}
#else
alias Packed = vec4<f32>;

fn packed_vec4(weights: vec4<f32>) -> Packed {
    return weights;
}
#endif

struct PackParams {
    // R.
    rows: u32,
    // H / 4: the vec4 of a row.
    vec4s: u32,
    source_offset: u32,
    packed_offset: u32,
    side_by_side: u32,
    // Workgroups in a row of the grid.
    workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: PackParams;
@group(0) @binding(1) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> packed: array<Packed>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let i = (workgroup.y * params.workgroups + workgroup.x) * 256u + local.x;
    if i < params.rows * params.vec4s {
        let source_at = select(i, i % params.rows * params.vec4s + i / params.rows, params.side_by_side != 0u);
        packed[params.packed_offset + i] = packed_vec4(source[params.source_offset + source_at]);
    }
}
