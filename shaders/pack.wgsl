#ifdef F16
#import shared/f16
#import shared/fours_half
#else
#import shared/fours
#endif

// The recurrent weights as the steps read them: as they are or as numbers of 16 bits (shared/fours.wgsl, shared/fours_half.wgsl),
// in their order or in that of a GPU's steps forward: the fours of neighbouring rows side by side, so that neighbouring lanes
// load neighbouring numbers.
//
// source [R, H], H a multiple of 4; packed [R, H / 4] fours or, with side_by_side, [H / 4, R]. Offsets are in fours of the
// binding.
//
// An invocation moves four numbers. workgroups: (ceil(R H / 4 / 256), or that many in rows of `workgroups`).
// Twins: reference::pack, reference::half.

struct PackParams {
    // R and H / 4
    rows: u32,
    fours: u32,
    source_offset: u32,
    packed_offset: u32,
    side_by_side: u32,
    // Workgroups in a row of the grid.
    workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: PackParams;
@group(0) @binding(1) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> packed: array<Four>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let i = (workgroup.y * params.workgroups + workgroup.x) * 256u + local.x;
    if i < params.rows * params.fours {
        let source_at = select(i, i % params.rows * params.fours + i / params.rows, params.side_by_side != 0u);
        packed[params.packed_offset + i] = stored(source[params.source_offset + source_at]);
    }
}
